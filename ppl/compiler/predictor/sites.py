"""Observed sites that read a Gaussian only through one affine number a row: their expected log density without draws.

With `eta = x' beta + alpha[group] + …` and Gaussian coordinates, eta of a row is a normal with a mean and a variance
that follow from theirs, and `E[log p(y | eta)]` an integral over one dimension: Gauss-Hermite nodes, exact where the
log density is quadratic in eta, or a closed form where eta is the logarithm of a rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ppl.axes import Axis
from ppl.compiler.collapse.candidate import inlined
from ppl.compiler.predictor.affine import Affine, elements, log_linear, lookups_inside, predictor
from ppl.compiler.predictor.moments import Covariance, Moments, coordinate, moments
from ppl.compiler.programs.writer import Weights, location_and_scale
from ppl.constraints import SUPPORTS, is_within
from ppl.distributions import DISTRIBUTIONS, Parameter
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.collapse import Collapse, Counts, NaturalSums
from ppl.model.expressions import Expr, values_read
from ppl.model.model import DistributionUse, Site
from ppl.model.plan import Plan
from ppl.model.rewrite import rewritten, substituted

NODES, NODES_IN_PARTS = 20, 10
"""Of the quadrature: errors below 1e-10 for a logistic row whose predictor has sd 1, 1e-4 with sd 3. Where steps see
parts of many rows a predictor is narrow, and time counts: with 10 nodes the errors are 1e-7 and 2e-3.
"""
MOST_BESIDE_DRAWS = 20_000
"""Rows times nodes that are worth it where each draw of other unknowns takes them."""
TINY = 1e-30
"""Added to variances: a root has no slope at 0."""
SMOOTH: Mapping[str, frozenset[str]] = {
    "bernoulli": frozenset({"logits"}),
    "binomial": frozenset({"logits"}),
    "exponential": frozenset({"rate"}),
    "gamma": frozenset({"rate"}),
    "geometric": frozenset({"logits"}),
    "gumbel": frozenset({"loc"}),
    "log_logistic": frozenset({"scale"}),
    "logistic": frozenset({"loc"}),
    "lognormal": frozenset({"loc"}),
    "negative_binomial": frozenset({"mean", "log_mean"}),
    "negative_binomial_probs": frozenset({"logits"}),
    "normal": frozenset({"loc"}),
    "ordered_logistic": frozenset({"predictor"}),
    "ordered_probit": frozenset({"predictor"}),
    "poisson": frozenset({"rate", "log_rate"}),
    "student_t": frozenset({"loc"}),
    "weibull": frozenset({"scale"}),
}
"""The families, with the parameters in which their log density is smooth."""
LOG_ODDS: Mapping[str, Callable[[Expr], Expr]] = {
    **dict.fromkeys(("expit", "inv_logit", "sigmoid"), lambda eta: eta),
    "normal_cdf": lambda eta: _of_normal(eta),
}
QUADRATIC = frozenset({("normal", "loc"), ("lognormal", "loc")})
"""Two nodes are exact."""
RATES = frozenset({"poisson", "exponential", "gamma"})
"""The log density is linear in the logarithm of the rate less the rate, times the value unless that is a count."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """How the expected log density of an observed site over the coordinates of the sites in `over` is had.

    `site`, or what stands for it in a `collapse`, has moments of the coordinates in their place. Its log density is
    taken at nodes, which have an axis, by their `weights`; `correction` is added to it for each row.
    """

    site: Site
    over: frozenset[str]
    weights: Weights
    correction: Expr | None = None
    collapse: Collapse | None = None

    @property
    def nodes(self) -> int:
        return self.weights.axis.size

    def __str__(self) -> str:
        how = {1: "in closed form", 2: "exactly"}.get(self.nodes, f"by {self.nodes} nodes a row")
        return f"{self.site.name} over {', '.join(sorted(self.over))}, {how}"


def predicted_sites(plan: Plan, covariance: Covariance) -> dict[str, Predicted]:
    """The observed sites whose expected log density needs no draws of what their predictor reads."""
    left = {name for members in plan.joined.values() for name in members}
    left |= {cost.name for cost in plan.costs if cost.keep} | plan.model.circular
    written = _coordinates(plan)
    found = {}
    for site in plan.model.observed:
        if not written or site.name in left or site.dims or not _is_smooth(site):
            continue
        arguments = _arguments(plan, site)
        if arguments is not None:
            parts = {name: lookups_inside(substituted(part, written)) for name, part in arguments.items()}
            arguments = _by_logits(parts)
            predicted = _predicted(plan, site, arguments, frozenset(written), covariance)
            if predicted is not None:
                found[site.name] = predicted
    return found


def _is_smooth(site: Site) -> bool:
    family = site.distribution.family
    return family.name in SMOOTH and DISTRIBUTIONS.get(family.name) is family


def _coordinates(plan: Plan) -> dict[str, Expr]:
    """The value of each site that is affine in its Gaussian coordinate, which bears the site's name."""
    found: dict[str, Expr] = {}
    for site in plan.continuous:
        degree = plan.sites[site.name].centred
        if SUPPORTS[site.support.name].name != "real" or not isinstance(degree, float):
            continue
        own: Expr = coordinate(plan.model, site.name)
        if degree != 1.0:
            parts = [inlined(plan.model, part) for part in location_and_scale(site)]
            if any(part is None for part in parts):
                continue
            loc, scale = (substituted(part, found) for part in parts if part is not None)
            moved = _call("subtract", own, _call("multiply", construct.constant(degree), loc))
            stretch = scale if degree == 0.0 else _call("power", scale, construct.constant(1.0 - degree))
            own = _call("add", loc, _call("multiply", stretch, moved))
        found[site.name] = own
    return found


def _arguments(plan: Plan, site: Site) -> dict[str, Expr] | None:
    """The parameters, over the cells where the site is collapsed, in terms of latents and data."""
    collapse = plan.collapses.get(site.name)
    if isinstance(collapse, NaturalSums):
        return collapse.arguments
    if isinstance(collapse, Counts):
        return collapse.single.distribution.arguments
    if collapse is not None:
        return None
    parts = {name: inlined(plan.model, part) for name, part in site.distribution.arguments.items()}
    known = {name: part for name, part in parts.items() if part is not None}
    return known if len(known) == len(parts) else None


def _by_logits(arguments: dict[str, Expr]) -> dict[str, Expr]:
    """Chances that are a sigmoid of something by their log odds, which do not round to infinity far out."""
    probs = arguments.get("probs")
    if not isinstance(probs, ex.Call) or probs.function not in LOG_ODDS:
        return arguments
    rest = {name: part for name, part in arguments.items() if name != "probs"}
    return {**rest, "logits": LOG_ODDS[probs.function](probs.arguments[0])}


def _of_normal(eta: Expr) -> Expr:
    return _call("subtract", _call("log_normal_cdf", eta), _call("log_normal_cdf", _call("negative", eta)))


def _predicted(
    plan: Plan, site: Site, arguments: Mapping[str, Expr], latents: frozenset[str], covariance: Covariance
) -> Predicted | None:
    collapse = plan.collapses.get(site.name)
    rows = site.axes if collapse is None else (collapse.cells.axis,)
    sizes = {name: plan.sites[name].size for name in latents}
    smooth = SMOOTH[site.distribution.family.name]
    found = predictor(rows, [part for name, part in arguments.items() if name in smooth], latents, sizes)
    if found is None or not _is_total(site, arguments, found):
        return None
    drawn = (values_read(*arguments.values()) & {latent.name for latent in plan.model.latents}) - found.sites
    if any(plan.sites[name].standardised for name in drawn & latents):
        return None  # they are read by their coordinates here, and drawn as values
    if drawn & {other.name for other in plan.continuous} and not covariance.independent:
        return None
    if any(plan.carried.get(name, frozenset()) & found.sites for name in drawn):
        return None
    nodes, correction = (NODES, None) if collapse is not None else _rule(site, arguments, found)
    nodes = NODES_IN_PARTS if nodes == NODES and plan.model.batches else nodes
    if drawn and nodes >= NODES_IN_PARTS and elements(rows) * nodes > MOST_BESIDE_DRAWS:
        return None
    known = moments(plan.model, found, covariance)
    return None if known is None else _at_nodes(site, collapse, arguments, found, known, nodes, correction)


def _is_total(site: Site, arguments: Mapping[str, Expr], found: Affine) -> bool:
    """Whether the density is smooth in the predictor and has parameters in their support whatever that is."""
    family = site.distribution.family
    for name, part in arguments.items():
        if values_read(part) & found.sites and not (
            name in SMOOTH[family.name] and _is_inside(part, family.parameter(name), found)
        ):
            return False
    return True


def _is_inside(part: Expr, parameter: Parameter, found: Affine) -> bool:
    domain = part.type.domain
    if parameter.support == "real" or log_linear(part, found):
        return True
    return domain in SUPPORTS and is_within(domain, parameter.support)


def _rule(site: Site, arguments: Mapping[str, Expr], found: Affine) -> tuple[int, Expr | None]:
    """How many nodes; and where one is enough, the rate that the log density is linear in."""
    family = site.distribution.family.name
    reading = [(name, part) for name, part in arguments.items() if values_read(part) & found.sites]
    if len(reading) != 1:
        return NODES, None
    ((name, part),) = reading
    if (family, name) in QUADRATIC and found.is_at(part):
        return 2, None
    rate = _call("exp", part) if name == "log_rate" else part
    return (1, rate) if family in RATES and log_linear(rate, found) else (NODES, None)


def _at_nodes(
    site: Site,
    collapse: Collapse | None,
    arguments: Mapping[str, Expr],
    found: Affine,
    known: Moments,
    nodes: int,
    rate: Expr | None,
) -> Predicted:
    """The site with its predictor at the nodes."""
    axis = Axis("node of the quadrature", nodes, order=-150_000)
    places, weights = np.polynomial.hermite_e.hermegauss(nodes)
    sd = _call("sqrt", _call("add", known.variance, construct.constant(TINY)))
    eta = known.mean
    if nodes > 1:
        eta = _call("add", eta, _call("multiply", sd, construct.named(construct.constant(places), 0, axis)))
    moved = {name: _put(part, found, eta) for name, part in arguments.items()}
    correction = None if rate is None else _beyond_mean(site, _put(rate, found, eta), known.variance)
    use = DistributionUse(site.distribution.family, moved, site.distribution.span)
    if isinstance(collapse, Counts):
        collapse = replace(collapse, single=replace(collapse.single, distribution=use))
    elif isinstance(collapse, NaturalSums):
        collapse = replace(collapse, arguments=moved)
    stands = replace(site, distribution=use)
    return Predicted(stands, found.sites, Weights(axis, weights / weights.sum()), correction, collapse)


def _put(part: Expr, found: Affine, eta: Expr) -> Expr:
    return rewritten(part, lambda node: eta if node in found.nodes else None)


def _beyond_mean(site: Site, rate: Expr, variance: Expr) -> Expr:
    """What the rate is on average above its value at the mean, with its sign in the log density."""
    more = _call("multiply", rate, _call("expm1", _call("multiply", construct.constant(0.5), variance)))
    if site.distribution.family.name == "poisson":
        return _call("negative", more)
    assert site.observed is not None
    return _call("negative", _call("multiply", more, site.observed))


def _call(name: str, *parts: Expr) -> Expr:
    return construct.call(name, list(parts))
