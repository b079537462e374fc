"""Which distributions of the catalogue serve as guide factors, and of which sites.

A site outside the Gaussian block has a factor of its own: for every element an independent distribution with learned
parameters. `start` gives them from draws of the prior by the method of moments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.distributions import DISTRIBUTIONS, Distribution

Moments = Callable[[np.ndarray, np.ndarray], Mapping[str, Any]]


@dataclass(frozen=True)
class FactorFamily:
    """A distribution as a guide factor: `learned` names its parameters, `start(mean, variance)` gives constrained ones.

    Mean and variance have the shape of the site. `supports` are those of the sites that it can be a factor of.
    """

    name: str
    supports: tuple[str, ...]
    learned: tuple[str, ...]
    start: Moments

    @property
    def distribution(self) -> Distribution:
        return DISTRIBUTIONS[self.name]


def _logits(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    probability = np.clip(mean, 0.05, 0.95)
    return {"logits": np.log(probability) - np.log1p(-probability)}


def _location(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    return {"loc": mean, "scale": np.sqrt(variance)}


def _gamma(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    return {"concentration": mean**2 / variance, "rate": mean / variance}


def _inverse_gamma(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    concentration = 2.0 + mean**2 / variance
    return {"concentration": concentration, "scale": mean * (concentration - 1.0)}


def _lognormal(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    square = np.log1p(variance / mean**2)
    return {"loc": np.log(mean) - 0.5 * square, "scale": np.sqrt(square)}


def _beta(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    mean = np.clip(mean, 1e-3, 1.0 - 1e-3)
    total = np.maximum(mean * (1.0 - mean) / variance - 1.0, 0.1)
    return {"concentration1": mean * total, "concentration0": (1.0 - mean) * total}


def _dirichlet(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    mean = np.maximum(mean, 1e-4)
    spread = np.sum(mean * (1.0 - mean), axis=-1, keepdims=True) / np.sum(variance, axis=-1, keepdims=True)
    return {"concentration": mean * np.maximum(spread - 1.0, 0.1)}


def _von_mises(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    return {"loc": np.clip(mean, -3.0, 3.0), "concentration": np.maximum(1.0 / variance, 0.5)}


def _student_t(mean: np.ndarray, variance: np.ndarray) -> dict[str, Any]:
    return {"df": np.full(np.shape(mean), 10.0), **_location(mean, variance)}


_FAMILIES = (
    FactorFamily("bernoulli", ("boolean",), ("logits",), _logits),
    FactorFamily("categorical", ("integer_interval",), ("logits",), lambda mean, variance: {}),
    FactorFamily("poisson", ("count",), ("log_rate",), lambda mean, variance: {"log_rate": np.log(mean + 0.1)}),
    FactorFamily(
        "geometric", ("count",), ("probs",), lambda mean, variance: {"probs": np.clip(1.0 / (1.0 + mean), 0.02, 0.9)}
    ),
    FactorFamily("normal", ("real",), ("loc", "scale"), _location),
    FactorFamily("student_t", ("real",), ("df", "loc", "scale"), _student_t),
    FactorFamily("laplace", ("real",), ("loc", "scale"), _location),
    FactorFamily("logistic", ("real",), ("loc", "scale"), _location),
    FactorFamily("gumbel", ("real",), ("loc", "scale"), _location),
    FactorFamily("gamma", ("positive", "nonnegative"), ("concentration", "rate"), _gamma),
    FactorFamily("inverse_gamma", ("positive",), ("concentration", "scale"), _inverse_gamma),
    FactorFamily("lognormal", ("positive",), ("loc", "scale"), _lognormal),
    FactorFamily("beta", ("unit_interval",), ("concentration1", "concentration0"), _beta),
    FactorFamily("dirichlet", ("simplex",), ("concentration",), _dirichlet),
    FactorFamily("von_mises", ("interval",), ("loc", "concentration"), _von_mises),
)
_ENCODED = FactorFamily("multi_normal", (), ("loc", "chol"), lambda mean, variance: {})
FACTOR_FAMILIES: dict[str, FactorFamily] = {family.name: family for family in (*_FAMILIES, _ENCODED)}
DISCRETE = {"boolean": "bernoulli", "integer_interval": "categorical", "count": "poisson"}
"""The family of the guide factor of a discrete site that is not told another, by its support."""
COORDINATE = "normal"
"""The family of a factor in the unconstrained coordinate, which every continuous site has."""


HEADS = {
    "gaussian": COORDINATE, "full_gaussian": "multi_normal", "categorical": "categorical", "bernoulli": "bernoulli"
}  # fmt: skip
"""The family whose parameters an encoder gives, by its head."""


def is_circle(arguments: tuple[Any, ...]) -> bool:
    """Whether the ends of an interval are those of a von Mises angle."""
    ends = [getattr(argument, "value", argument) for argument in arguments]
    return ends == [-math.pi, math.pi]
