"""Guide factors: of sites outside the Gaussian block, each with a distribution of the catalogue of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.axes import union
from ppl.compiler.factors import FACTOR_FAMILIES, FactorFamily
from ppl.constraints import SUPPORTS
from ppl.distributions import Distribution
from ppl.distributions.base import Parameter
from ppl.errors import ModelError
from ppl.model.model import Batch, Site
from ppl.model.plan import Estimator, Plan
from ppl.model.resolve import NumpyLanguage, Resolved, Resolver, evaluate, mask
from ppl.numeric import NUMPY

Array = Any
MASKED = -1e30
"""The logit of a state that an element does not have."""


@dataclass(frozen=True)
class Rows:
    """A plate that is seen in parts: the place of its axis, the name of the positions drawn, and its full length."""

    plate: int
    name: str
    total: int


@dataclass(frozen=True)
class SiteFactor:
    """An independent distribution for every element of a site, with learned parameters.

    `shape` is that of one draw, the first `plates` axes plates. In a `coordinate` the draw is the site's unconstrained
    value. `lowest` is the first value of a discrete site, `allowed` (*shape, states) masks values beyond an element's
    own last one and `exists` (*shape) elements beyond ragged ends; None where there is nothing to mask. Of a plate that
    is seen in parts there are parameters for all `rows`. Where `encoded` the parameters are a network's outputs.
    """

    name: str
    family: FactorFamily
    estimator: Estimator
    shape: tuple[int, ...]
    plates: int
    coordinate: bool = False
    lowest: Any = field(default=0, compare=False, repr=False)
    allowed: np.ndarray | None = field(default=None, compare=False, repr=False)
    exists: np.ndarray | None = field(default=None, compare=False, repr=False)
    rows: Rows | None = None
    encoded: bool = False

    @property
    def distribution(self) -> Distribution:
        return self.family.distribution

    @property
    def learned(self) -> tuple[Parameter, ...]:
        return tuple(self.distribution.parameter(name) for name in self.family.learned)

    @property
    def elements(self) -> tuple[int, ...]:
        """The elements that have a distribution each."""
        return self.shape[: len(self.shape) - len(self.distribution.event_dimensions)]

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the learned parameters, unconstrained; none where they are computed."""
        return {} if self.encoded else self._shapes(self._all_rows(self.elements))

    def _shapes(self, elements: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        found = {}
        for parameter in self.learned:
            core = tuple(self._length(dimension) for dimension in parameter.core_dimensions)
            found[parameter.name] = SUPPORTS[parameter.support].unconstrained_shape(elements + core)
        return found

    def _all_rows(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.rows is None:
            return shape
        return (*shape[: self.rows.plate], self.rows.total, *shape[self.rows.plate + 1 :])

    def at_rows(self, xp: Any, free: Mapping[str, Array], batch: Mapping[str, np.ndarray]) -> Mapping[str, Array]:
        """Of parameters for all rows those of the rows that this step sees."""
        if self.rows is None:
            return free
        places = batch[self.rows.name]
        return {name: xp.take(array, places, axis=self.rows.plate) for name, array in free.items()}

    def decoded(self, xp: Any, outputs: Array) -> dict[str, Array]:
        """The unconstrained parameters in the outputs of a network, (*plates, outputs)."""
        found, start = {}, 0
        for name, shape in self._shapes(self.elements).items():
            size = math.prod(shape[self.plates :])
            found[name] = xp.reshape(outputs[..., start : start + size], shape)
            start += size
        return found

    def _length(self, dimension: str) -> int:
        if self.allowed is not None and dimension == "k":
            return int(self.allowed.shape[-1])
        return self.shape[len(self.elements) + self.distribution.event_dimensions.index(dimension)]

    def parameters(self, xp: Any, free: Mapping[str, Array]) -> dict[str, Array]:
        """The parameters of the distribution from unconstrained ones."""
        found = {}
        for parameter in self.learned:
            bijection = SUPPORTS[parameter.support].bijection
            assert bijection is not None
            found[parameter.name] = bijection.forward(xp, free[parameter.name])
        if self.allowed is not None:
            found["logits"] = xp.where(self.allowed, found["logits"], MASKED)
        return found

    def initial(self, prior: np.ndarray | None) -> dict[str, np.ndarray]:
        """Unconstrained starting parameters, from draws of the prior (draws, *shape) where there are.

        Where a step sees part of a plate, every row starts from the mean of the rows drawn.
        """
        if self.encoded:
            return {}
        found = self._started(prior)
        if self.rows is None:
            return found
        shapes, plate = self.parameter_shapes, self.rows.plate
        return {n: np.broadcast_to(a.mean(axis=plate, keepdims=True), shapes[n]) for n, a in found.items()}

    def _started(self, prior: np.ndarray | None) -> dict[str, np.ndarray]:
        if self.allowed is not None:
            assert prior is not None
            states = np.arange(self.allowed.shape[-1])
            counts = ((prior - self.lowest)[..., None] == states).mean(axis=0)
            return {"logits": np.log(counts + 0.5 / len(states))}
        if prior is None:
            return self.matched(np.zeros(self.shape), np.full(self.shape, 0.25))
        return self.matched(*_moments(prior))

    def matched(self, mean: np.ndarray, variance: np.ndarray) -> dict[str, np.ndarray]:
        """Unconstrained parameters by the method of moments, of draws of this mean and variance (*shape)."""
        start = self.family.start(mean, variance)
        found = {}
        for parameter in self.learned:
            bijection = SUPPORTS[parameter.support].bijection
            assert bijection is not None
            found[parameter.name] = np.asarray(bijection.inverse(NUMPY, np.asarray(start[parameter.name], float)))
        return found

    @property
    def free(self) -> bool:
        """Whether the noise does not depend on the parameters."""
        return self.estimator == "pathwise" and self.distribution.noise is not None

    def noise(self, rng: np.random.Generator, parameters: Mapping[str, np.ndarray], draws: int) -> np.ndarray:
        """What is random in draws (draws, *shape): noise where it has a form, the draws themselves elsewhere."""
        form = self.distribution.noise
        if self.free:
            assert form is not None
            return form.draw(rng, (draws, *self.shape))
        return self._blanked(self.lowest + self.distribution.sample(rng, (draws, *self.elements), **parameters))

    def _blanked(self, value: np.ndarray) -> np.ndarray:
        """Discrete values beyond ragged ends are the lowest."""
        return value if self.exists is None else np.where(self.exists, value, self.lowest)

    def value(self, xp: Any, parameters: Mapping[str, Array], noise: np.ndarray) -> Array:
        """The draws, with the dependence on the parameters that the estimator gives them."""
        if self.estimator == "score":
            return noise
        form, implicit = self.distribution.noise, self.distribution.implicit
        if form is not None:
            return form.transform(xp, noise, **parameters)
        assert implicit is not None
        return xp.implicit(implicit, noise, parameters)

    def log_density(self, xp: Any, parameters: Mapping[str, Array], value: Array) -> Array:
        """Log density of draws (draws, *shape) in each element of the plates: (draws, *plates)."""
        offset = value - self.lowest if self.distribution.discrete else value
        return self._over_plates(xp, self.distribution.log_density(xp, offset, **parameters), 1)

    def entropy(self, xp: Any, parameters: Mapping[str, Array]) -> Array | None:
        """In nats, over all elements; None where there is no closed form."""
        closed = self.distribution.entropy
        if closed is None:
            return None
        return self.total(xp, closed(xp, **parameters))

    def total(self, xp: Any, elements: Array) -> Array:
        """The sum of terms (*batch) of the elements that exist."""
        return xp.sum(self._over_plates(xp, elements, 0))

    def _over_plates(self, xp: Any, elements: Array, lead: int) -> Array:
        """Terms of every element of the batch summed over what is no plate; 0 where an element does not exist."""
        if self.exists is not None:
            elements = xp.where(self.exists, elements, 0.0)
        inner = tuple(range(lead + self.plates, lead + len(self.elements)))
        return xp.sum(elements, axis=inner) if inner else elements

    def __str__(self) -> str:
        count = int(np.prod(self.elements))
        where = ", in the unconstrained coordinate" if self.coordinate else ""
        return f"{self.name} ~ {self.family.name}{where}" + (f", {count} independent elements" if count > 1 else "")


def _moments(prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance between the tenths, which heavy tails do not carry off."""
    inner = np.clip(prior, *np.quantile(prior, [0.1, 0.9], axis=0))
    mean = inner.mean(axis=0)
    return mean, np.maximum(inner.var(axis=0), 1e-4 * (1e-4 + mean**2))


def site_factor(plan: Plan, site: Site) -> SiteFactor:
    """The factor that the plan gives a site. Raises ModelError for ragged plates that are seen in parts."""
    decided = plan.sites[site.name]
    family = FACTOR_FAMILIES[decided.factor]
    coordinate, shape = bool(decided.bijection), site.shape
    if coordinate:
        shape = SUPPORTS[site.support.name].unconstrained_shape(shape)
    exists = None
    if site.present is not None:
        if not site.present.type.static:
            found = f"`{site.name}` in a ragged plate around or inside one that is seen in random parts"
            raise ModelError.of("E801", site.span, found + " is not supported yet")
        there = mask(site.present, site.axes)
        exists = np.broadcast_to(there.reshape(*there.shape, *[1] * (len(shape) - there.ndim)), shape)
    lowest, allowed = (0, None) if site.support.name != "integer_interval" else _states(site)
    rows = next((Rows(site.axes.index(b.axis), b.name, b.total) for b in plan.model.batches if _in(b, site)), None)
    return SiteFactor(
        site.name, family, decided.estimator, shape, len(site.axes), coordinate, lowest, allowed, exists, rows,
        decided.amortised,
    )  # fmt: skip


def _in(batch: Batch, site: Site) -> bool:
    return batch.drawn and batch.axis in site.axes


def _states(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """First value of every element of a site on an integer interval, and which of the states it has."""
    counter = Resolved(np.zeros(tuple(axis.size for axis in site.axes)), site.axes, 0)
    parts = [*(evaluate(argument) for argument in site.support.arguments), counter]
    first, last, _ = Resolver(NumpyLanguage()).align(parts)
    have = union([site.axes])
    order = [have.index(axis) for axis in site.axes]
    full = tuple(axis.size for axis in have)
    lower, upper = (np.transpose(np.broadcast_to(end, full), order).astype(int) for end in (first, last))
    states = int((upper - lower).max()) + 1
    return lower, np.arange(states) <= (upper - lower)[..., None]
