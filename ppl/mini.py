"""The whole idea on one page, slow and obvious: the oracle of the statistical tests.

A model is a generator function of its data. It yields a site, `latent(name, distribution)` or
`observed(value, distribution)`, and is sent back the value of each latent one:

    def model(y):
        mu = yield latent("mu", normal(0.0, 5.0))
        for value in y:
            yield observed(value, normal(mu, 1.0))

Sites are scalars. The values sent in may be whole arrays (Monte Carlo draws, a grid), then everything is
computed for each of their elements at once; a model must therefore not branch on a latent value, but use
`np.where`. Nothing here imports the rest of the package, nothing is clever, gradients are finite differences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

Array = Any
Values = Mapping[str, Array]
log_gamma = np.vectorize(math.lgamma, otypes=[float])


# 1. Distributions: a log density and where the values live --------------------------------------------------


@dataclass(frozen=True)
class Distribution:
    log_density: Callable[[Array], Array]
    support: str = "real"


def normal(loc: Array, scale: Array) -> Distribution:
    return Distribution(lambda x: -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * math.log(2 * math.pi))


def half_normal(scale: Array) -> Distribution:
    return Distribution(lambda x: math.log(2) + normal(0.0, scale).log_density(x), "positive")


def half_cauchy(scale: Array) -> Distribution:
    return Distribution(lambda x: math.log(2 / math.pi) - np.log(scale) - np.log1p((x / scale) ** 2), "positive")


def gamma(a: Array, rate: Array) -> Distribution:
    return Distribution(lambda x: a * np.log(rate) - log_gamma(a) + (a - 1) * np.log(x) - rate * x, "positive")


def beta(a: Array, b: Array) -> Distribution:
    log_norm = log_gamma(a) + log_gamma(b) - log_gamma(a + b)
    return Distribution(lambda x: (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - log_norm, "unit")


def poisson(rate: Array) -> Distribution:
    return Distribution(lambda k: k * np.log(rate) - rate - log_gamma(k + 1.0), "discrete")


def binomial(total: Array, probs: Array) -> Distribution:
    def log_density(k: Array) -> Array:
        inside = (k >= 0) & (k <= total)
        missed = np.where(inside, total - k, 0)
        choose = log_gamma(total + 1.0) - log_gamma(k + 1.0) - log_gamma(missed + 1.0)
        return np.where(inside, choose + k * np.log(probs) + missed * np.log1p(-probs), -np.inf)

    return Distribution(log_density, "discrete")


def categorical(probs: Array) -> Distribution:
    return Distribution(lambda k: np.log(probs)[np.asarray(k, dtype=int)], "discrete")


# 2. Models: run one, get its sites and its joint density -----------------------------------


@dataclass(frozen=True)
class Site:
    distribution: Distribution
    name: str = ""  # latent
    value: Array = None  # observed


def latent(name: str, distribution: Distribution) -> Site:
    return Site(distribution, name=name)


def observed(value: Array, distribution: Distribution) -> Site:
    return Site(distribution, value=value)


Model = Callable[[], Generator[Site, Array, Any]]


def run(model: Model, choose: Callable[[Site], Array]) -> list[tuple[Site, Array]]:
    """Every site with its value; `choose` gives the values of the latent ones."""
    visited, statements = [], model()
    try:
        site = next(statements)
        while True:
            value = choose(site) if site.name else site.value
            visited.append((site, value))
            site = statements.send(value)
    except StopIteration:
        return visited


def log_joint(model: Model, values: Values) -> Array:
    """log p(latents, data) at the latents' values, elementwise over their broadcast shape."""
    return sum(site.distribution.log_density(value) for site, value in run(model, lambda site: values[site.name]))


def latent_sites(model: Model) -> dict[str, Distribution]:
    """The latent sites in order, found by a run in which each has a value inside every support."""
    visited = run(model, lambda site: 1 if site.distribution.support == "discrete" else 0.5)
    return {site.name: site.distribution for site, _ in visited if site.name}


# 3. Supports: from the real line and back, with log |dx/du| ------------------------------------------------


def constrain(support: str, u: Array) -> tuple[Array, Array]:
    """The value `x` in the support and `log |dx/du|`."""
    if support == "real":
        return u, np.zeros_like(u)
    if support == "positive":
        return np.exp(u), u
    if support != "unit":
        raise ValueError(f"no bijection for a {support} support")
    x = 1 / (1 + np.exp(-u))
    return x, np.log(x) + np.log1p(-x)


# 4. The exact posterior of a tiny model: a sum over states times an integral on a grid ---------------------


@dataclass(frozen=True)
class Posterior:
    """Log evidence `log p(data)`, the points of every latent site and their joint probabilities."""

    log_evidence: float
    points: Mapping[str, Array]
    probability: Array

    def expect(self, quantity: Callable[[Values], Array]) -> float:
        return float(np.sum(self.probability * quantity(self.points)))

    def mean(self, name: str) -> float:
        return self.expect(lambda values: values[name])

    def sd(self, name: str) -> float:
        centre = self.mean(name)
        return math.sqrt(self.expect(lambda values: (values[name] - centre) ** 2))

    def marginal(self, name: str) -> Array:
        """Probabilities of the points of one site, in their order."""
        axis = list(self.points).index(name)
        return self.probability.sum(axis=tuple(i for i in range(self.probability.ndim) if i != axis))


def exact(model: Model, grids: Mapping[str, Array]) -> Posterior:
    """The posterior by enumeration and quadrature.

    `grids` gives for each latent site its states if it is discrete, else equally spaced points on the
    *unconstrained* scale: the trapezoid rule, exponentially accurate for smooth integrands that vanish at both ends.
    """
    sites = latent_sites(model)
    points, log_weight = {}, np.zeros(())
    for axis, (name, distribution) in enumerate(sites.items()):
        nodes = np.asarray(grids[name])
        shape = [-1 if i == axis else 1 for i in range(len(sites))]
        log_width = np.zeros(len(nodes))
        if distribution.support != "discrete":
            step = nodes[1] - nodes[0]
            nodes, log_slope = constrain(distribution.support, nodes)
            log_width = np.log(step) + log_slope
        points[name] = nodes.reshape(shape)
        log_weight = log_weight + log_width.reshape(shape)
    log_mass = log_joint(model, points) + log_weight
    top = log_mass.max()
    log_evidence = top + math.log(np.exp(log_mass - top).sum())
    return Posterior(log_evidence, points, np.exp(log_mass - log_evidence))


# 5. The guide: independent Gaussians on the unconstrained scale, a table of probabilities for discrete sites


@dataclass(frozen=True)
class Guide:
    """`states` lists the states of each discrete site, `sites` are those of `latent_sites`.

    Parameters lie in one flat vector: mean and log sd of each continuous site, the logits of each discrete one.
    A site's *raw* value is its number on the unconstrained scale, or the position of its state.
    """

    sites: Mapping[str, Distribution]
    states: Mapping[str, Array]

    def layout(self) -> dict[str, slice]:
        ends = np.cumsum([len(self.states[name]) if name in self.states else 2 for name in self.sites])
        return {name: slice(start, end) for name, start, end in zip(self.sites, [0, *ends[:-1]], ends, strict=True)}

    def noise(self, rng: np.random.Generator, draws: int) -> dict[str, Array]:
        """Standard normals for continuous sites, uniforms for discrete ones."""
        return {name: (rng.random if name in self.states else rng.normal)(size=draws) for name in self.sites}

    def raw(self, parameters: Array, noise: Values) -> dict[str, Array]:
        def one(name: str, part: Array) -> Array:
            if name in self.states:
                cumulative = np.exp(log_softmax(part))[:-1].cumsum()
                return np.searchsorted(cumulative, noise[name])
            return part[0] + np.exp(part[1]) * noise[name]

        return {name: one(name, parameters[part]) for name, part in self.layout().items()}

    def values(self, raw: Values) -> dict[str, Array]:
        discrete = {name: np.asarray(states)[raw[name]] for name, states in self.states.items()}
        continuous = {name: site for name, site in self.sites.items() if name not in self.states}
        return discrete | {name: constrain(site.support, raw[name])[0] for name, site in continuous.items()}

    def log_density(self, parameters: Array, raw: Values) -> Array:
        """log q(z) of the constrained values, elementwise."""
        total = 0.0
        for name, part in self.layout().items():
            if name in self.states:
                total = total + log_softmax(parameters[part])[raw[name]]
            else:
                loc, log_sd = parameters[part]
                log_slope = constrain(self.sites[name].support, raw[name])[1]
                total = total + normal(loc, np.exp(log_sd)).log_density(raw[name]) - log_slope
        return total


def log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max()
    return shifted - math.log(np.exp(shifted).sum())


# 6. The ELBO, E_q[log p(data, z) - log q(z)]: by draws, and exactly; its gradients; the best guide -------------


def log_ratio(model: Model, guide: Guide, parameters: Array, raw: Values) -> Array:
    return log_joint(model, guide.values(raw)) - guide.log_density(parameters, raw)


def elbo(model: Model, guide: Guide, parameters: Array, noise: Values) -> float:
    """The Monte Carlo estimate from the draws that `noise` gives."""
    return float(np.mean(log_ratio(model, guide, parameters, guide.raw(parameters, noise))))


def exact_elbo(model: Model, guide: Guide, parameters: Array, nodes: int = 20) -> float:
    """The ELBO by Gauss-Hermite quadrature over continuous sites and a sum over states of discrete ones."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    raw, probability = {}, np.ones(())
    for axis, (name, part) in enumerate(guide.layout().items()):
        shape = [-1 if i == axis else 1 for i in range(len(guide.sites))]
        if name in guide.states:
            raw[name] = np.arange(len(guide.states[name])).reshape(shape)
            probability = probability * np.exp(log_softmax(parameters[part])).reshape(shape)
        else:
            raw[name] = (parameters[part][0] + np.exp(parameters[part][1]) * points).reshape(shape)
            probability = probability * (weights / weights.sum()).reshape(shape)
    return float(np.sum(probability * log_ratio(model, guide, parameters, raw)))


def differences(function: Callable[[Array], Array], x: Array, step: float = 1e-5) -> Array:
    """Central differences of `function` in each element of `x`, stacked along the last axis."""
    shifts = step * np.eye(len(x))
    return np.stack([(function(x + shift) - function(x - shift)) / (2 * step) for shift in shifts], axis=-1)


def pathwise_gradient(model: Model, guide: Guide, parameters: Array, noise: Values) -> Array:
    """The gradient at fixed noise (reparameterisation); only for guides without discrete sites."""
    return differences(lambda p: elbo(model, guide, p, noise), parameters)


def score_gradient(model: Model, guide: Guide, parameters: Array, noise: Values) -> Array:
    """The score-function gradient, mean of (log p - log q) * grad log q(z) with the draws z held fixed."""
    raw = guide.raw(parameters, noise)
    weight = log_ratio(model, guide, parameters, raw)
    score = differences(lambda p: guide.log_density(p, raw), parameters)
    return np.mean(weight[:, None] * score, axis=0)


def fit(model: Model, guide: Guide, start: Array, nodes: int = 20) -> Array:
    """The parameters of the best guide: SciPy's L-BFGS on the exact ELBO, so no Monte Carlo error."""
    from scipy.optimize import minimize

    def loss(parameters: Array) -> float:
        return -exact_elbo(model, guide, parameters, nodes)

    start = np.asarray(start, dtype=float)
    bounds = list(zip(start - 10, start + 10, strict=True))  # keeps the line search from overflowing
    gradient = partial(differences, loss)
    return minimize(loss, start, jac=gradient, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-14}).x
