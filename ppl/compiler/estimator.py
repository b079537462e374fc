"""Pass: the gradient estimator and the guide block of every guided site."""

from __future__ import annotations

from dataclasses import replace

from ppl.constraints import SUPPORTS
from ppl.errors import Diagnostic, ModelError
from ppl.model.model import Site
from ppl.model.plan import Plan, SitePlan

GAUSSIAN_BLOCK = "gaussian"
FACTORS = {"boolean": "bernoulli", "integer_interval": "categorical", "count": "poisson"}
"""The family of the guide factor of a discrete site, by its support."""


def choose_estimators(plan: Plan) -> Plan:
    """Pathwise where a bijection carries the site into the Gaussian block, the score function otherwise."""
    sites = dict(plan.sites)
    warnings: list[Diagnostic] = []
    problems: list[Diagnostic] = []
    for site in plan.model.latents:
        support = SUPPORTS[site.support.name]
        problems += _refuse(site)
        if sites[site.name].treatment == "enumerated":
            continue
        if support.bijection is not None:
            sites[site.name] = _pathwise(sites[site.name], site)
        elif site.present is not None:
            found = f"`{site.name}` in a ragged plate cannot be summed out; scoring it there is not supported yet"
            problems.append(Diagnostic("E801", site.span, found))
        elif support.name in FACTORS and all(bound.type.static for bound in site.support.arguments):
            sites[site.name] = _scored(sites[site.name], site)
            warnings += _warn_unbounded(site)
        else:
            problems.append(_no_guide(site))
    problems += _random_support(plan)
    if problems:
        raise ModelError(problems)
    return replace(plan, sites=sites).warned(warnings)


def _no_guide(site: Site) -> Diagnostic:
    support = SUPPORTS[site.support.name]
    found = f"its support is {support.describe.format(*support.arguments)}"
    if support.name in FACTORS:
        found = "the ends of its support are random"
    return Diagnostic("E405", site.span, f"no guide for `{site.name}`: {found}")


def _pathwise(decided: SitePlan, site: Site) -> SitePlan:
    bijection = SUPPORTS[site.support.name].bijection
    assert bijection is not None
    through = "" if site.support.name == "real" else f", through {bijection.formula}"
    return replace(
        decided,
        bijection=site.support.name,
        block=GAUSSIAN_BLOCK,
        estimator="pathwise",
        reason=f"continuous: {site.support.name}{through}",
        alternatives="score: unbiased too, but noisier",
    )


def _scored(decided: SitePlan, site: Site) -> SitePlan:
    factor = FACTORS[site.support.name]
    return replace(
        decided,
        block=factor,
        estimator="score",
        reason=f"discrete: a {factor} factor, scored with its own downstream costs and a leave-one-out baseline",
        alternatives="pathwise: a discrete draw does not move smoothly with its parameters",
    )


def _warn_unbounded(site: Site) -> list[Diagnostic]:
    if site.support.name != "count":
        return []
    found = "unbounded discrete latent: it cannot be enumerated, so it is sampled and scored"
    return [Diagnostic("W401", site.distribution.span or site.span, found)]


def _refuse(site: Site) -> list[Diagnostic]:
    """Notes that ask for what cannot be done to this site."""
    discrete = site.distribution.family.discrete
    problems = []
    for note in site.notes:
        if note.name == "score" and not discrete:
            found = f"`{site.name}` is continuous and lives in the Gaussian block: it is reparameterised"
            problems.append(Diagnostic("E404", note.span or site.span, found, "remove the note"))
    return problems


def _random_support(plan: Plan) -> list[Diagnostic]:
    """A support must not move with a discrete site: the Gaussian block is drawn first."""
    from ppl.model.expressions import values_read

    discrete = {site.name for site in plan.model.latents if site.distribution.family.discrete}
    problems = []
    for site in plan.model.latents:
        if site.distribution.family.discrete:
            continue
        for name in sorted(values_read(*site.support.arguments) & discrete):
            kind = "enumerated" if plan.sites[name].treatment == "enumerated" else "discrete"
            found = f"support of latent `{site.name}` depends on `{name}`, which is {kind}"
            fix = "scale instead: u ~ uniform(0, 1); x = z * u"
            problems.append(Diagnostic("E402", site.distribution.span or site.span, found, fix=fix))
    return problems
