"""Random correlation matrices (Lewandowski, Kurowicka and Joe, 2009)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions import lkj_cholesky as _registered  # noqa: F401
from ppl.distributions.base import DISTRIBUTIONS, Distribution, fixed_support
from ppl.functions.matrix import diagonal

_FACTORS = DISTRIBUTIONS["lkj_cholesky"]


def _log_density(xp: Any, value: Any, dimension: int, concentration: Any) -> Any:
    """That of the Cholesky factor, less the log volume by which the factor's entries move those of the matrix."""
    factor = xp.linalg.cholesky(value)
    powers = np.arange(int(dimension) - 1.0, -1.0, -1.0)
    volume = xp.sum(xp.log(diagonal(xp, factor)) * powers, axis=-1)
    return _FACTORS.log_density(xp, factor, dimension=dimension, concentration=concentration) - volume


def _sample(rng: np.random.Generator, shape: tuple[int, ...], dimension: int, concentration: Any) -> Any:
    factor = _FACTORS.sample(rng, shape, dimension=dimension, concentration=concentration)
    return factor @ np.swapaxes(factor, -1, -2)


def _implicit(value: Any, cotangent: Any, dimension: int, concentration: Any) -> dict[str, Any]:
    """Through the Cholesky factor."""
    assert _FACTORS.implicit is not None
    factor = np.linalg.cholesky(value)
    moved = np.tril((cotangent + np.swapaxes(cotangent, -1, -2)) @ factor)
    return _FACTORS.implicit(factor, moved, dimension=dimension, concentration=concentration)


DISTRIBUTIONS.register(
    Distribution(
        name="lkj",
        doc="Correlation matrix with `dimension` rows whose density is its determinant to the power "
        "`concentration - 1`.",
        parameters=_FACTORS.parameters,
        support=fixed_support("corr_matrix"),
        log_density=_log_density,
        sample=_sample,
        event="(n,n)",
        implicit=_implicit,
        examples=_FACTORS.examples,
    )
)
