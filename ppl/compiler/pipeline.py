"""The compiler, top to bottom: a model in, a plan out."""

from __future__ import annotations

from collections.abc import Callable

from ppl.compiler.collapse.eliminations import count_rows
from ppl.compiler.collapse.likelihoods import all_at_hand, collapse
from ppl.compiler.costs import list_costs
from ppl.compiler.enumeration.sites import enumerate_discretes
from ppl.compiler.estimator import choose_estimators
from ppl.compiler.hierarchy import split_hierarchy
from ppl.compiler.marginal.groups import marginalise, may_marginalise
from ppl.compiler.notes import make_points
from ppl.compiler.parameterise import parameterise
from ppl.compiler.treatment import treat
from ppl.model.model import Model
from ppl.model.plan import Plan

Pass = Callable[[Plan], Plan]

PASSES: tuple[Pass, ...] = (
    make_points,
    treat,
    enumerate_discretes,
    choose_estimators,
    parameterise,
    split_hierarchy,
    list_costs,
    collapse,
    count_rows,
    all_at_hand,
)
"""Every pass, in order; `marginalise`, which is up to the guide, comes behind `choose_estimators`."""


def compile_model(model: Model, marginal: bool = False) -> Plan:
    """Decide the treatment of every site of a bound model; with `marginal` conjugate groups are integrated out.

    Raises ModelError where a site cannot be treated, or needs rows that are not at hand.
    """
    plan = Plan(model)
    for run in PASSES:
        plan = run(plan)
        if marginal and run is choose_estimators:
            plan = marginalise(plan)
    return plan


def with_marginals(plan: Plan) -> Plan:
    """The plan with conjugate groups integrated out, where there are any."""
    found = compile_model(plan.model, marginal=True) if may_marginalise(plan) else plan
    return found.warned(plan.warnings) if found.marginals else plan
