"""Expected log priors in closed form: `E_q[log p(z | parents)]` for a site whose guide does not depend on its parents.

Two ways: some priors need nothing beyond the moments of a Gaussian over the coordinate, and a factor of the prior's own
exponential family has the prior's mean statistics. Over the parents it stays a Monte Carlo average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ppl.compiler.factors import FACTOR_FAMILIES
from ppl.distributions import DISTRIBUTIONS
from ppl.distributions.base import ExponentialFamily
from ppl.guides.base import HALF_LOG_TWO_PI
from ppl.model.model import Site
from ppl.model.plan import Plan

Array = Any
Formula = Callable[..., Array]
LOG_TWO = 0.6931471805599453


def _normal(xp: Any, mean: Array, variance: Array, loc: Array, scale: Array) -> Array:
    return -0.5 * ((mean - loc) ** 2 + variance) / (scale * scale) - xp.log(scale) - HALF_LOG_TWO_PI


def _standard(xp: Any, mean: Array, variance: Array) -> Array:
    return -0.5 * (mean * mean + variance) - HALF_LOG_TWO_PI


def _gamma(xp: Any, mean: Array, variance: Array, concentration: Array, rate: Array) -> Array:
    shape = concentration * xp.log(rate) - xp.special.gammaln(concentration) + concentration * mean
    return shape - rate * xp.exp(mean + 0.5 * variance)


def _inverse_gamma(xp: Any, mean: Array, variance: Array, concentration: Array, scale: Array) -> Array:
    shape = concentration * xp.log(scale) - xp.special.gammaln(concentration) - concentration * mean
    return shape - scale * xp.exp(0.5 * variance - mean)


def _half_normal(xp: Any, mean: Array, variance: Array, scale: Array) -> Array:
    square = xp.exp(2.0 * (mean + variance)) / (scale * scale)
    return mean - 0.5 * square - xp.log(scale) + (LOG_TWO - HALF_LOG_TWO_PI)


def _exponential(xp: Any, mean: Array, variance: Array, rate: Array) -> Array:
    return mean + xp.log(rate) - rate * xp.exp(mean + 0.5 * variance)


GAUSSIAN_COORDINATE: dict[tuple[str, str], Formula] = {
    ("real", "normal"): _normal,
    ("positive", "lognormal"): _normal,
    ("positive", "gamma"): _gamma,
    ("positive", "inverse_gamma"): _inverse_gamma,
    ("positive", "half_normal"): _half_normal,
    ("positive", "exponential"): _exponential,
}
"""`E[log p(x(u)) + log |dx/du|]` for a coordinate u with this mean and variance, by support and family of the prior."""


@dataclass(frozen=True)
class ClosedPrior:
    """How the expected log prior of a site is had: `formula(xp, *moments, **parameters of the prior)`, elementwise.

    `family` is that of a factor, whose mean statistics the moments are then; None where they are the mean and variance
    of a Gaussian coordinate. `parameters` says whether the formula takes the prior's.
    """

    formula: Formula
    family: ExponentialFamily | None = None
    parameters: bool = True

    @property
    def ranks(self) -> tuple[int, ...]:
        """How many event dimensions each of the moments has."""
        return (0, 0) if self.family is None else self.family.ranks


def closed_priors(plan: Plan, independent: bool) -> dict[str, ClosedPrior]:
    """The sites whose expected log prior is closed; `independent` says that the Gaussian's coordinates are."""
    joined = {name for elimination in plan.eliminations for name in elimination.members}
    found = {}
    for site in (*plan.continuous, *plan.factored):
        decided = plan.sites[site.name]
        if decided.estimator == "score" or site.name in joined or site.name in plan.model.circular:
            continue
        closed = _closed(plan, site)
        block = set() if independent or decided.factor else {other.name for other in plan.continuous}
        if closed is not None and not (closed.parameters and _ancestors(plan, site) & (block | {site.name})):
            found[site.name] = closed
    return found


def _closed(plan: Plan, site: Site) -> ClosedPrior | None:
    decided, family = plan.sites[site.name], site.distribution.family
    if DISTRIBUTIONS.get(family.name) is not family:
        return None
    if decided.factor and not decided.bijection:
        exponential = FACTOR_FAMILIES[decided.factor].distribution.exponential
        same = decided.factor == family.name and exponential is not None and not exponential.fixed
        return ClosedPrior(_expected(exponential), exponential) if same and exponential is not None else None
    if decided.standardised:
        return ClosedPrior(_standard, parameters=False) if decided.centred == 0.0 and family.name == "normal" else None
    formula = GAUSSIAN_COORDINATE.get((site.support.name, family.name))
    return None if formula is None else ClosedPrior(formula)


def _expected(family: ExponentialFamily) -> Formula:
    """The expected log density of a family less that of its base measure, from mean statistics."""

    def formula(xp: Any, *statistics: Array, **parameters: Array) -> Array:
        return against(xp, family, family.natural(xp, **parameters), statistics)

    return formula


def against(xp: Any, family: ExponentialFamily, natural: tuple[Array, ...], statistics: tuple[Array, ...]) -> Array:
    """`<eta, T> - A(eta)`, elementwise."""
    total = -family.log_normaliser(xp, *natural)
    for eta, statistic, rank in zip(natural, statistics, family.ranks, strict=True):
        product = eta * statistic
        total = total + (xp.sum(product, axis=tuple(range(-rank, 0))) if rank else product)
    return total


def _ancestors(plan: Plan, site: Site) -> frozenset[str]:
    """The latents that a site's parameters are computed from."""
    direct = plan.model.random_ancestors(site)
    return direct.union(*(plan.carried.get(name, frozenset()) for name in direct))
