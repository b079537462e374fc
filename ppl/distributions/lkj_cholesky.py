"""Cholesky factors of random correlation matrices (Lewandowski, Kurowicka and Joe, 2009)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.functions.matrix import diagonal


def _shapes(size: int, concentration: Any) -> list[Any]:
    """Partial correlation of column j is `2 b - 1` with b from a symmetric beta of this shape, j = 0, …, size - 2."""
    return [concentration + 0.5 * (size - 2 - column) for column in range(size - 1)]


def _log_density(xp: Any, value: Any, dimension: int, concentration: Any) -> Any:
    size = int(dimension)
    normaliser = sum(
        (size - 1 - column) * ((2.0 * shape - 1.0) * math.log(2.0) + xp.special.betaln(shape, shape))
        for column, shape in enumerate(_shapes(size, concentration))
    )
    logs = xp.log(diagonal(xp, value))
    powers = np.arange(size - 1.0, -1.0, -1.0)
    fixed, moving = xp.sum(logs * powers, axis=-1), xp.sum(logs, axis=-1)
    return fixed + 2.0 * (concentration - 1.0) * moving - normaliser


def _sample(rng: np.random.Generator, shape: tuple[int, ...], dimension: int, concentration: Any) -> Any:
    size = int(dimension)
    partial = np.zeros((*shape, size, size))
    for column, beta in enumerate(_shapes(size, np.asarray(concentration)[..., None])):
        below = size - 1 - column
        partial[..., column + 1 :, column] = 2.0 * rng.beta(beta, beta, (*shape, below)) - 1.0
    left = np.sqrt(np.cumprod(1.0 - partial * partial, axis=-1))
    before = np.concatenate([np.ones((*shape, size, 1)), left[..., :-1]], axis=-1)
    return (partial + np.eye(size)) * before


DISTRIBUTIONS.register(
    Distribution(
        name="lkj_cholesky",
        doc="Cholesky factor of a correlation matrix with `dimension` rows whose density is its determinant to the "
        "power `concentration - 1`.",
        parameters=(Parameter("dimension", "count", length_of="n"), Parameter("concentration", "positive")),
        support=fixed_support("corr_cholesky"),
        log_density=_log_density,
        sample=_sample,
        event="(n,n)",
        reparameterised="implicit",
        examples=({"dimension": 3, "concentration": 1.8}, {"dimension": 2, "concentration": 1.0}),
    )
)
