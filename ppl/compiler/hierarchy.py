"""Pass: the split of a hierarchical model into hyperparameters and the block that is near Gaussian given them.

A site whose scale is itself unknown gives a posterior that no single Gaussian fits: its joint mode lies at a zero
scale. Conditionally on the scales the rest is Gaussian or close to it, so the guide is factored in that order.
"""

from __future__ import annotations

from dataclasses import replace

from ppl.model.expressions import Expr, values_read
from ppl.model.model import Deterministic, Model, Site
from ppl.model.plan import Plan

SCALES = frozenset({"scale", "cov", "prec", "chol", "df"})
MOST_HYPERPARAMETERS = 8
HYPER_BLOCK, CONDITIONAL_BLOCK = "hyperparameters", "given hyperparameters"


def split_hierarchy(plan: Plan) -> Plan:
    """Mark hyperparameters (whatever a scale reads) and the rest, where some latent's scale is unknown."""
    model = plan.model
    if plan.scored or model.params or not any(_scale_parents(model, site) for site in model.latents):
        return plan
    continuous = {site.name: site for site in plan.continuous}
    hyper = {name for site in model.sites for name in _scale_parents(model, site) if name in continuous}
    count = sum(plan.sites[name].size for name in hyper)
    if count > MOST_HYPERPARAMETERS or hyper == continuous.keys():
        return plan
    sites = dict(plan.sites)
    for name in continuous:
        block = HYPER_BLOCK if name in hyper else CONDITIONAL_BLOCK
        sites[name] = replace(sites[name], block=block)
    return replace(plan, sites=sites)


def _scale_parents(model: Model, site: Site) -> frozenset[str]:
    """Random sites that a scale-like parameter of `site` reads, looking through deterministic statements."""
    found: set[str] = set()
    for name, argument in site.distribution.arguments.items():
        if name in SCALES:
            found |= _random(model, argument)
    return frozenset(found)


def _random(model: Model, expression: Expr) -> set[str]:
    names: set[str] = set()
    for name in values_read(expression):
        statement = model.by_name[name]
        names |= _random(model, statement.value) if isinstance(statement, Deterministic) else {name}
    return names
