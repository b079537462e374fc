"""Cholesky factors of random correlation matrices (Lewandowski, Kurowicka and Joe, 2009)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.implicit import beta_slopes
from ppl.functions.matrix import diagonal


def _shapes(size: int, concentration: Any) -> list[Any]:
    """Partial correlation of column j is `2 b - 1` with b from a symmetric beta of this shape, j = 0, …, size - 2."""
    return [concentration + 0.5 * (size - 2 - column) for column in range(size - 1)]


def _log_normaliser(xp: Any, size: int, concentration: Any) -> Any:
    return sum(
        (size - 1 - column) * ((2.0 * shape - 1.0) * math.log(2.0) + xp.special.betaln(shape, shape))
        for column, shape in enumerate(_shapes(size, concentration))
    )


def _log_density(xp: Any, value: Any, dimension: int, concentration: Any) -> Any:
    size = int(dimension)
    logs = xp.log(diagonal(xp, value))
    powers = np.arange(size - 1.0, -1.0, -1.0)
    fixed, moving = xp.sum(logs * powers, axis=-1), xp.sum(logs, axis=-1)
    return fixed + 2.0 * (concentration - 1.0) * moving - _log_normaliser(xp, size, concentration)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], dimension: int, concentration: Any) -> Any:
    size = int(dimension)
    partial = np.zeros((*shape, size, size))
    for column, beta in enumerate(_shapes(size, np.asarray(concentration)[..., None])):
        below = size - 1 - column
        partial[..., column + 1 :, column] = 2.0 * rng.beta(beta, beta, (*shape, below)) - 1.0
    left = np.sqrt(np.cumprod(1.0 - partial * partial, axis=-1))
    before = np.concatenate([np.ones((*shape, size, 1)), left[..., :-1]], axis=-1)
    return (partial + np.eye(size)) * before


def _implicit(value: Any, cotangent: Any, dimension: int, concentration: Any) -> dict[str, Any]:
    """Through the partial correlations, which the draw determines, each a beta draw at its quantile."""
    slope: Any = 0.0
    left = np.ones(np.shape(value)[:-1])
    for column, shape in enumerate(_shapes(int(dimension), np.asarray(concentration)[..., None])):
        below = slice(column + 1, None)
        remaining = left[..., below]
        partial = value[..., below, column] / remaining
        chance, other = 0.5 * (1.0 + partial), 0.5 * (1.0 - partial)
        growth = sum(beta_slopes(shape, shape, chance, other))
        own = 2.0 * chance * other * cotangent[..., below, column] * remaining
        rest = np.sum(cotangent[..., below, column + 1 :] * value[..., below, column + 1 :], axis=-1)
        slope = slope + np.sum(growth * (own - 0.5 * partial * rest), axis=-1)
        left[..., below] = remaining * 2.0 * np.sqrt(chance * other)
    return {"concentration": slope}


def _entropy(xp: Any, dimension: int, concentration: Any) -> Any:
    size = int(dimension)
    total, log_length = _log_normaliser(xp, size, concentration), 0.0
    for row, shape in enumerate(_shapes(size, concentration), start=1):
        log_length = log_length + math.log(2.0) + xp.special.digamma(shape) - xp.special.digamma(2.0 * shape)
        total = total - (size - 1.0 - row + 2.0 * (concentration - 1.0)) * log_length
    return total


DISTRIBUTIONS.register(
    Distribution(
        name="lkj_cholesky",
        doc="Cholesky factor of a correlation matrix with `dimension` rows whose density is its determinant to the "
        "power `concentration - 1`.",
        parameters=(Parameter("dimension", "count", length_of="n"), Parameter("concentration", "positive")),
        support=fixed_support("corr_cholesky"),
        log_density=_log_density,
        sample=_sample,
        implicit=_implicit,
        entropy=_entropy,
        event="(n,n)",
        examples=({"dimension": 3, "concentration": 1.8}, {"dimension": 2, "concentration": 1.0}),
    )
)
