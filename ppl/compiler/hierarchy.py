"""Pass: the split of a hierarchical model into hyperparameters and the block that is near Gaussian given them.

A group of effects whose scale is itself unknown gives a posterior that no single Gaussian fits: its joint mode lies at
a zero scale. Given the scales the effects are Gaussian or close to it, so the guide is factored in that order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ppl.compiler.costs import random_parents
from ppl.constraints import SUPPORTS
from ppl.model import expressions as ex
from ppl.model.model import Model, Site
from ppl.model.plan import Plan
from ppl.model.ragged import existing

SCALES = frozenset({"scale", "cov", "prec", "chol", "df"})
CONCENTRATIONS = frozenset({"concentration", "concentration0", "concentration1", "rate"})
"""What says how far the members of a group are spread, where the family has no scale: only of latent groups."""
PRODUCTS = frozenset({"multiply", "matmul", "dot"})
MOST_HYPERPARAMETERS = 16
FEW = 8
"""Up to so many hyperparameters in all, others on a half line join those that a scale reads."""
HYPER_BLOCK, CONDITIONAL_BLOCK = "hyperparameters", "given hyperparameters"


def split_hierarchy(plan: Plan) -> Plan:
    """Mark the two blocks where some group of latents has an unknown scale, as written or as a factor.

    Hyperparameters are the sites that a scale reads and, where there are few, all others that live on a half
    line: what remains enters the model through its natural coordinate.
    """
    model = plan.model
    if plan.factored or model.params or is_hierarchical(plan):
        return plan
    continuous = {site.name: site for site in plan.continuous}
    scales = {name for site in model.latents for name in _scale_parents(model, site)}
    scales |= {name for site in model.latents if site.axes for name in _scale_parents(model, site, CONCENTRATIONS)}
    scales &= continuous.keys()
    scales |= _factors_of_effects(model, continuous)
    noise = {name for site in model.observed for name in _scale_parents(model, site)} & continuous.keys()
    noise = {name for name in noise if _size(continuous, [name]) <= FEW}
    hyper = scales | noise
    others = sorted({name for name, site in continuous.items() if _half_line(site)} - hyper)
    if _size(continuous, [*hyper, *others]) <= FEW:
        hyper |= set(others)
    if not scales or _size(continuous, hyper) > MOST_HYPERPARAMETERS or hyper == continuous.keys():
        return plan
    sites = dict(plan.sites)
    for name in continuous:
        inside = name in hyper
        sites[name] = replace(
            sites[name],
            block=HYPER_BLOCK if inside else CONDITIONAL_BLOCK,
            reason=sites[name].reason
            + ("; a hyperparameter" if inside else "; near Gaussian given the hyperparameters"),
        )
    return replace(plan, sites=sites)


def is_hierarchical(plan: Plan) -> bool:
    """Whether the latents are split into hyperparameters and the rest."""
    return any(site.block == HYPER_BLOCK for site in plan.sites.values())


def _size(sites: dict[str, Site], names: Iterable[str]) -> int:
    return sum(existing(sites[name]) for name in names)


def _half_line(site: Site) -> bool:
    return SUPPORTS[site.support.name].name in ("positive", "greater_than", "less_than")


def _scale_parents(model: Model, site: Site, parameters: frozenset[str] = SCALES) -> frozenset[str]:
    """Random sites that a scale-like parameter of `site` reads, looking through deterministic statements."""
    arguments = [value for name, value in site.distribution.arguments.items() if name in parameters]
    return random_parents(model, *arguments)


def _factors_of_effects(model: Model, continuous: dict[str, Site]) -> set[str]:
    """Scalar sites that multiply a group of effects.

    The scale of a non-centred writing, the coefficient of a lag, a kernel's parameters in `cholesky(K) @ z`.
    """
    found: set[str] = set()
    for statement in model.statements:
        for node in ex.walk(*statement.inputs):
            if isinstance(node, ex.Call) and node.function in PRODUCTS:
                left, right = (random_parents(model, argument) & continuous.keys() for argument in node.arguments)
                for factor, effects in ((left, right), (right, left)):
                    single = all(not continuous[name].shape for name in factor)
                    if factor and single and _has_group(continuous, effects):
                        found |= factor
    return found


def _has_group(continuous: dict[str, Site], names: frozenset[str]) -> bool:
    return any(continuous[name].axes and not _half_line(continuous[name]) for name in names)
