"""Pass: the coordinate of every location-scale site, its own value (centred) or the standardised one (non-centred).

`z ~ normal(m, s)` with weak data is easier through `z = m + s u`, with strong data as it stands. The model says the
same either way; only the guide's coordinate changes.
"""

from __future__ import annotations

from dataclasses import replace

from ppl.distributions import DISTRIBUTIONS
from ppl.errors import Diagnostic, ModelError
from ppl.model.expressions import values_read
from ppl.model.model import Site
from ppl.model.plan import Plan


def parameterise(plan: Plan) -> Plan:
    """Follow the notes `@noncentered` and `@centered`; every other site is centred.

    Raises ModelError for a site whose family has no location and scale.
    """
    asked = {site.name for site in plan.model.latents if any(note.name == "noncentered" for note in site.notes)}
    problems = [
        Diagnostic("E404", site.span, f"`{site.name}` ~ {site.distribution.name} {why}")
        for site in plan.continuous
        if site.name in asked and (why := _not_standardised(plan, site))
    ]
    if problems:
        raise ModelError(problems)
    return _standardised(plan, asked, "as noted")


def non_centred(plan: Plan) -> Plan:
    """The plan with every site standardised whose scale is itself unknown, unless it is noted `@centered`."""
    names = set()
    for site in plan.continuous:
        kept = any(note.name == "centered" for note in site.notes)
        if not _not_standardised(plan, site) and not kept:
            _, scale = site.distribution.family.location_scale or ("", "")
            if values_read(site.distribution.arguments[scale]):
                names.add(site.name)
    return _standardised(plan, names, "its scale is unknown")


def _not_standardised(plan: Plan, site: Site) -> str:
    """Why a site cannot be standardised, or nothing."""
    if not can_standardise(site):
        return "has no location and scale to standardise by"
    return "depends on its own past, so it is its own coordinate" if site.name in plan.model.circular else ""


def can_standardise(site: Site) -> bool:
    """Whether a site's unconstrained value is its location plus its scale times a standard variable."""
    family = site.distribution.family
    return family.location_scale is not None and DISTRIBUTIONS.get(family.name) is family and not site.dims


def _standardised(plan: Plan, names: set[str], why: str) -> Plan:
    sites = dict(plan.sites)
    for name in names & sites.keys():
        if sites[name].estimator == "pathwise" and sites[name].centred:
            reason = f"{sites[name].reason}; non-centred, {why}"
            sites[name] = replace(sites[name], centred=False, reason=reason)
    return replace(plan, sites=sites)
