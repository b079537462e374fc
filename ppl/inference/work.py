"""How long one log density takes, told from the plan alone.

A clock would do too, but how many draws are affordable must not depend on what else the machine is doing: equal
seeds give equal results.
"""

from __future__ import annotations

import math

from ppl.blocks import ROWS
from ppl.compiler.programs.blocks import block_axes
from ppl.compiler.work import density_work, work_of
from ppl.model import expressions as ex
from ppl.model.model import Deterministic, Site
from ppl.model.plan import Plan

SECONDS = 2e-9
"""For one number of one array operation, on a machine of today, give or take a factor of three."""
TABLE = 5.0
"""Array operations for an entry of the largest table when discrete sites are summed out."""
GRADIENT = 4.0
"""A gradient against the density itself."""


def density_seconds(plan: Plan) -> float:
    """Roughly how long the log density of one draw takes, where many are computed at once."""
    expressions: list[ex.Expr] = []
    numbers = 10.0
    integrated = {name: marginal for marginal in plan.marginals for name in marginal.members}
    for original in plan.model.statements:
        statement = plan.over_cells.get(original.name, original)
        if (marginal := integrated.get(statement.name)) is not None:
            if statement is marginal.site:
                expressions += marginal.site.distribution.expressions
                numbers += marginal.work
        elif statement.name in plan.collapses:
            expressions += plan.collapses[statement.name].expressions
            numbers += plan.collapses[statement.name].work
        elif isinstance(statement, Site):
            numbers += density_work(statement.distribution.expressions, math.prod(statement.shape))
            expressions += statement.inputs
        elif not isinstance(statement, Deterministic):
            expressions += statement.inputs
    numbers += TABLE * sum(elimination.largest for elimination in plan.evaluated_eliminations)
    return SECONDS * (numbers + work_of(_with_definitions(plan, expressions)))


def stepwise(plan: Plan) -> bool:
    """Whether a density goes step after step, the more slowly the less likely a place: equations and recurrences."""
    inputs = [part for statement in plan.model.statements for part in statement.inputs]
    return any(isinstance(node, ex.Solution | ex.Recurrence) for node in ex.walk(*inputs))


def _with_definitions(plan: Plan, expressions: list[ex.Expr]) -> list[ex.Expr]:
    """The expressions and those of the deterministic statements that they need."""
    found, names = list(expressions), set[str]()
    waiting = list(expressions)
    while waiting:
        for name in ex.values_read(waiting.pop()) - names:
            names.add(name)
            statement = plan.model.by_name[name]
            if isinstance(statement, Deterministic):
                found.append(statement.value)
                waiting.append(statement.value)
    return found


def widest_array(plan: Plan, in_blocks: bool) -> int:
    """Numbers in the largest array of one draw, roughly; `in_blocks` where large plates are worked through so."""
    short = block_axes(plan) if in_blocks else {}
    sizes = [
        math.prod(site.shape) // (short[site.name].size // ROWS if site.name in short else 1)
        for site in plan.model.sites
        if site.name not in plan.collapses and site.name not in plan.over_cells
    ]
    sizes += [elimination.largest for elimination in plan.evaluated_eliminations]
    return max([1, *sizes, *(int(found.work) for found in plan.collapses.values())])
