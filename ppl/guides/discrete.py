"""Guide factors of discrete sites: independent elements, each with parameters of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.model.model import Site
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate


@dataclass(frozen=True)
class DiscreteFactor(ABC):
    """An independent discrete factor for every element of a site of shape `shape`. Parameters: (*shape, per
    element).
    """

    shape: tuple[int, ...]

    @property
    @abstractmethod
    def parameter_shape(self) -> tuple[int, ...]: ...

    @abstractmethod
    def initial(self, prior_draws: np.ndarray) -> np.ndarray:
        """Starting parameters from draws of the prior (draws, *shape)."""

    @abstractmethod
    def sample(self, rng: np.random.Generator, parameters: np.ndarray, draws: int) -> np.ndarray:
        """Whole numbers (draws, *shape)."""

    @abstractmethod
    def log_density(self, xp: Any, parameters: Any, value: np.ndarray) -> Any:
        """Elementwise: (draws, *shape)."""

    @abstractmethod
    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation, each of shape `shape`."""


@dataclass(frozen=True)
class BernoulliFactor(DiscreteFactor):
    """One logit an element."""

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        return self.shape

    def initial(self, prior_draws: np.ndarray) -> np.ndarray:
        probability = np.clip(prior_draws.mean(axis=0), 0.05, 0.95)
        return np.log(probability) - np.log1p(-probability)

    def sample(self, rng: np.random.Generator, parameters: np.ndarray, draws: int) -> np.ndarray:
        return (rng.logistic(size=(draws, *self.shape)) < parameters).astype(np.int64)

    def log_density(self, xp: Any, parameters: Any, value: np.ndarray) -> Any:
        return -xp.logaddexp(0.0, (1 - 2 * value) * parameters)

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean = 1.0 / (1.0 + np.exp(-parameters))
        return mean, np.sqrt(mean * (1.0 - mean))


@dataclass(frozen=True)
class CategoricalFactor(DiscreteFactor):
    """Logits over `lower, …, lower + states - 1`; `allowed` (*shape, states) masks values beyond an element's own
    end.
    """

    lower: np.ndarray
    allowed: np.ndarray

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        return tuple(self.allowed.shape)

    def initial(self, prior_draws: np.ndarray) -> np.ndarray:
        states = np.arange(self.allowed.shape[-1])
        counts = ((prior_draws - self.lower)[..., None] == states).mean(axis=0)
        return np.log(counts + 0.5 / len(states))

    def sample(self, rng: np.random.Generator, parameters: np.ndarray, draws: int) -> np.ndarray:
        gumbel = rng.gumbel(size=(draws, *self.allowed.shape))
        return self.lower + np.argmax(np.where(self.allowed, parameters + gumbel, -np.inf), axis=-1)

    def log_density(self, xp: Any, parameters: Any, value: np.ndarray) -> Any:
        masked = xp.where(self.allowed, parameters, -1e30)
        top = xp.stop_gradient(xp.max(masked, axis=-1, keepdims=True))
        log_total = xp.log(xp.sum(xp.exp(masked - top), axis=-1, keepdims=True)) + top
        chosen = (value - self.lower)[..., None] == np.arange(self.allowed.shape[-1])
        return xp.sum(np.where(chosen, 1.0, 0.0) * (masked - log_total), axis=-1)

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = np.where(self.allowed, np.exp(parameters - parameters.max(axis=-1, keepdims=True)), 0.0)
        weights /= weights.sum(axis=-1, keepdims=True)
        values = self.lower[..., None] + np.arange(self.allowed.shape[-1])
        mean = (weights * values).sum(axis=-1)
        return mean, np.sqrt((weights * (values - mean[..., None]) ** 2).sum(axis=-1))


@dataclass(frozen=True)
class PoissonFactor(DiscreteFactor):
    """One log rate an element."""

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        return self.shape

    def initial(self, prior_draws: np.ndarray) -> np.ndarray:
        return np.log(prior_draws.mean(axis=0) + 0.1)

    def sample(self, rng: np.random.Generator, parameters: np.ndarray, draws: int) -> np.ndarray:
        return rng.poisson(np.exp(parameters), (draws, *self.shape))

    def log_density(self, xp: Any, parameters: Any, value: np.ndarray) -> Any:
        from scipy.special import gammaln

        return value * parameters - xp.exp(parameters) - gammaln(value + 1.0)

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rate = np.exp(parameters)
        return rate, np.sqrt(rate)


def discrete_factor(site: Site, block: str) -> DiscreteFactor:
    """The factor of kind `block` for a site."""
    if block == "bernoulli":
        return BernoulliFactor(site.shape)
    if block == "poisson":
        return PoissonFactor(site.shape)
    lower, upper = _bounds(site)
    states = int((upper - lower).max()) + 1
    return CategoricalFactor(site.shape, lower, np.arange(states) <= (upper - lower)[..., None])


def _bounds(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """First and last value of every element of a site on an integer interval."""
    parts = [evaluate(argument) for argument in site.support.arguments]
    counter = [evaluate_axes(site)]
    lower, upper, _ = Resolver(NumpyLanguage()).align([*parts, *counter])
    return np.broadcast_to(lower, site.shape).astype(int), np.broadcast_to(upper, site.shape).astype(int)


def evaluate_axes(site: Site) -> Any:
    """A zero over all the plates of a site, to align its bounds with."""
    from ppl.model.resolve import Resolved

    return Resolved(np.zeros(tuple(axis.size for axis in site.axes)), site.axes, 0)
