"""Pass: eliminations whose rows come again are worked out once for each kind of row, and the kinds counted.

In a mixture, two rows that agree in their data and in what they look up have the same log density once their discrete
unknowns are summed out: a million counts of at most thirty different values cost as much as thirty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ppl.axes import Axis, union
from ppl.compiler.collapse.candidate import LEAST_SAVING, LEAST_SHARE, inlined
from ppl.compiler.collapse.rows import at_cells, first_places, keys, sorted_into_cells
from ppl.model import expressions as ex
from ppl.model.collapse import Cells, CountedElimination
from ppl.model.elimination import Elimination, Reading, Step
from ppl.model.expressions import Expr
from ppl.model.model import DistributionUse, Factor, Model, Site
from ppl.model.plan import Plan
from ppl.model.rewrite import rewritten


def count_rows(plan: Plan) -> Plan:
    """Mark the eliminations that are to be worked out for each kind of row, with what that takes.

    Not those that go through a plate step by step or by looking up, or of which a scored site wants the parts, nor
    those along a plate that is seen in parts.
    """
    kept = {cost.name for cost in plan.costs if cost.keep}
    parts = {batch.axis for batch in plan.model.batches}
    found = {}
    for elimination in plan.eliminations:
        plates = set(elimination.plates)
        if elimination.name not in kept and plates and not plates & parts and _is_by_rows(elimination):
            counted = _counted(plan.model, elimination)
            if counted is not None:
                found[elimination.name] = counted
    if not found:
        return plan
    sites = dict(plan.sites)
    for counted in found.values():
        for name in counted.elimination.states:
            sites[name] = replace(sites[name], reason=f"{sites[name].reason}; {_said(counted.cells)}")
    return replace(plan, sites=sites, counted=found)


def _is_by_rows(elimination: Elimination) -> bool:
    """Whether each row over the elimination's plates is summed out by itself."""
    plates = set(elimination.plates)
    readings = [reading for step in elimination.steps for reading in step.others.values()]
    return (
        not elimination.chains
        and not elimination.lookups
        and all(plates <= set(part.plates) for step in elimination.steps for part in step.parts)
        and all(plates <= set(reading.direct) for reading in readings)
    )


def _said(cells: Cells) -> str:
    kinds = cells.axis.size
    return f"{cells.rows:,} rows counted as {kinds:,} kind{'s' * (kinds != 1)}"


@dataclass(frozen=True)
class _Member:
    """A statement with all it reads in terms of latents and data alone, its states without plates."""

    statement: Site | Factor
    parts: tuple[Expr, ...]
    observed: Expr | None

    def told_by(self, plates: Sequence[Axis]) -> Iterator[Expr]:
        """Static expressions that tell its rows apart."""
        for part in (*self.parts, *([] if self.observed is None else [self.observed])):
            yield from keys(part, plates)

    def at(self, cells: Cells) -> Site | Factor:
        """With a row for each cell in place of its own."""
        places, statement = first_places(cells), self.statement
        axes = _over_cells(statement.axes, cells)
        parts = [at_cells(part, cells, places) for part in self.parts]
        if isinstance(statement, Factor):
            return replace(statement, value=parts[0], axes=axes)
        use = statement.distribution
        moved = DistributionUse(use.family, dict(zip(use.arguments, parts, strict=True)), use.span)
        observed = None if self.observed is None else at_cells(self.observed, cells, places)
        return replace(statement, distribution=moved, axes=axes, observed=observed)


def _counted(model: Model, elimination: Elimination) -> CountedElimination | None:
    """None where a member cannot be moved, or too few rows are alike."""
    members = [_member(model, name, elimination) for name in elimination.members]
    able = [member for member in members if member is not None]
    if len(able) < len(members):
        return None
    plates = union([elimination.plates])
    rows = math.prod(axis.size for axis in plates)
    states = max(elimination.table_states(step) for step in elimination.steps)
    most = min((1.0 - LEAST_SHARE) * rows, rows - LEAST_SAVING / states)
    if most < 1.0:
        return None
    told_by = [key for member in able for key in member.told_by(plates)]
    cells = sorted_into_cells(elimination.members[-1], plates, told_by, most)
    if cells is None:
        return None
    return CountedElimination(cells, tuple(member.at(cells) for member in able), _moved(elimination, cells))


def _member(model: Model, name: str, elimination: Elimination) -> _Member | None:
    statement = model.by_name[name]
    assert isinstance(statement, Site | Factor)
    if isinstance(statement, Factor):
        value = inlined(model, statement.value)
        return None if value is None else _Member(statement, (_without_plates(value, elimination),), None)
    if statement.present is not None or any(part.type.axes for part in statement.support.arguments):
        return None
    parts = [inlined(model, part) for part in statement.distribution.arguments.values()]
    observed = None if statement.observed is None else inlined(model, statement.observed)
    able = tuple(_without_plates(part, elimination) for part in parts if part is not None)
    if len(able) < len(parts) or (statement.observed is not None and (observed is None or not observed.type.static)):
        return None
    return _Member(statement, able, observed)


def _without_plates(root: Expr, elimination: Elimination) -> Expr:
    """Enumerated sites stand for their states, which are the same in every row."""

    def bare(node: Expr) -> Expr | None:
        if isinstance(node, ex.Value) and node.name in elimination.states:
            return replace(node, type=replace(node.type, axes=()))
        return None

    return rewritten(root, bare)


def _over_cells(axes: Sequence[Axis], cells: Cells) -> tuple[Axis, ...]:
    return union([[axis for axis in axes if axis not in cells.plates], [cells.axis]])


def _moved(elimination: Elimination, cells: Cells) -> Elimination:
    """The same steps over cells in place of rows."""

    def read(reading: Reading) -> Reading:
        return replace(reading, direct=_over_cells(reading.direct, cells))

    def step(old: Step) -> Step:
        parts = tuple(replace(part, plates=_over_cells(part.plates, cells)) for part in old.parts)
        others = {name: read(reading) for name, reading in old.others.items()}
        return replace(old, plates=_over_cells(old.plates, cells), parts=parts, others=others)

    return replace(elimination, steps=tuple(map(step, elimination.steps)))
