"""Pass: the coordinate of every location-scale site, between its own value (centred) and the standardised one.

`z ~ normal(m, s)` with weak data is easier through `z = m + s u`, with strong data as it stands, and in between through
`z = m + s^(1 - d) (u - d m)`, for which u ~ normal(d m, s^d). The model says the same in each; only the guide's
coordinate changes. Notes settle d here; otherwise it is 1, and a fit may learn it for every element (Gorinova, Moore
and Hoffman 2020, Automatic reparameterisation of probabilistic programs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ppl.compiler.costs import list_costs, random_parents
from ppl.compiler.programs.writer import location_and_scale
from ppl.distributions import DISTRIBUTIONS
from ppl.errors import Diagnostic, ModelError
from ppl.model.expressions import values_read
from ppl.model.model import Site
from ppl.model.plan import Degree, Plan
from ppl.model.ragged import existing

_NOTES = {"noncentered": 0.0, "centered": 1.0}
_OF_VECTOR = ("noncentered", "fullrank", "lowrank")
"""Notes that only sites in the Gaussian vector can follow."""


def parameterise(plan: Plan) -> Plan:
    """Follow the notes `@noncentered` and `@centered`; every other site is centred.

    Raises ModelError for a site whose family has no location and scale, and for notes on the coordinate or the
    covariance of a site that is not in the Gaussian vector.
    """
    asked = {site.name for site in plan.model.latents if _noted(site) == 0.0}
    problems = [
        Diagnostic("E404", site.span, f"`{site.name}` ~ {site.distribution.name} {why}")
        for site in plan.continuous
        if site.name in asked and (why := not_standardised(plan, site))
    ]
    problems += [problem for site in plan.factored for problem in _out_of_reach(plan, site)]
    if problems:
        raise ModelError(problems)
    sites = dict(plan.sites)
    for name in (site.name for site in plan.continuous if site.name in asked and sites[site.name].centred == 1.0):
        sites[name] = replace(sites[name], centred=0.0, reason=f"{sites[name].reason}; non-centred, as noted")
    return replace(plan, sites=sites)


def _out_of_reach(plan: Plan, site: Site) -> list[Diagnostic]:
    """Notes about the Gaussian vector at a site that has a guide factor of its own instead."""
    found = f"`{site.name}` has a {plan.sites[site.name].factor} factor of its own, which `@{{}}` does not reach"
    return [
        Diagnostic("E404", note.span or site.span, found.format(note.name), "remove the note")
        for note in site.notes
        if note.name in _OF_VECTOR
    ]


def adaptable(plan: Plan) -> tuple[Site, ...]:
    """The sites whose degree of centring matters: their location or scale is unknown.

    Not those that depend on their own past: their location is not known before they are.
    """
    return tuple(
        site for site in plan.continuous if not not_standardised(plan, site) and values_read(*location_and_scale(site))
    )


def settled(plan: Plan) -> bool:
    """Whether the notes say how centred every adaptable site is to be."""
    return all(_noted(site) is not None for site in adaptable(plan))


def with_degrees(plan: Plan, degrees: Mapping[str, np.ndarray]) -> Plan:
    """The plan with learned degrees of centring, an array of its shape for each of some sites."""
    sites = dict(plan.sites)
    for name, array in degrees.items():
        site = plan.model.by_name[name]
        assert isinstance(site, Site)
        degree: Degree = tuple(map(float, np.ravel(array))) if site.shape else float(array)
        how = described(site, np.asarray(array))
        sites[name] = replace(sites[name], centred=degree, reason=f"{sites[name].reason}; {how}")
    return list_costs(replace(plan, sites=sites))


def described(site: Site, degrees: np.ndarray) -> str:
    """In words: the mean degree, and the smallest and largest where elements differ."""
    low, middle, high = float(degrees.min()), float(degrees.mean()), float(degrees.max())
    elements = f"; {low:.2f} to {high:.2f} over {existing(site)} elements" if high - low > 0.005 else ""
    return f"{middle:.2f} centred (learned{elements})"


def _noted(site: Site) -> float | None:
    """The degree that a note asks for."""
    return next((_NOTES[note.name] for note in site.notes if note.name in _NOTES), None)


def not_standardised(plan: Plan, site: Site) -> str:
    """Why a site cannot be standardised, or nothing."""
    if not can_standardise(site):
        return "has no location and scale to standardise by"
    if site.name in plan.model.circular:
        return "depends on its own past, so it is its own coordinate"
    discrete = {other.name for other in plan.model.latents if other.distribution.family.discrete}
    reads = random_parents(plan.model, *location_and_scale(site)) & discrete
    return f"has a location or scale that depends on `{min(reads)}`, which is discrete" if reads else ""


def can_standardise(site: Site) -> bool:
    """Whether a site's unconstrained value is its location plus its scale times a standard variable."""
    family = site.distribution.family
    return family.location_scale is not None and DISTRIBUTIONS.get(family.name) is family and not site.dims
