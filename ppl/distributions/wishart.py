"""The Wishart and inverse Wishart distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, scipy_stats
from ppl.distributions.multi_normal import COVARIANCE, half_log_determinant


def _log_normaliser(xp: Any, df: Any, scale: Any) -> Any:
    """Log of the factor both kernels are divided by, less the power of the determinant of `scale`."""
    size = xp.shape(scale)[-1]
    gammas = sum(xp.special.gammaln(0.5 * (df - place)) for place in range(size))
    return 0.5 * size * df * math.log(2.0) + 0.25 * size * (size - 1) * LOG_PI + gammas


def _log_density(xp: Any, value: Any, df: Any, scale: Any) -> Any:
    size = xp.shape(scale)[-1]
    trace = xp.sum(xp.linalg.inv(scale) * value, axis=(-2, -1))
    determinants = (df - size - 1.0) * half_log_determinant(xp, value) - df * half_log_determinant(xp, scale)
    return determinants - 0.5 * trace - _log_normaliser(xp, df, scale)


def _inverse_log_density(xp: Any, value: Any, df: Any, scale: Any) -> Any:
    size = xp.shape(scale)[-1]
    trace = xp.sum(xp.linalg.inv(value) * scale, axis=(-2, -1))
    determinants = df * half_log_determinant(xp, scale) - (df + size + 1.0) * half_log_determinant(xp, value)
    return determinants - 0.5 * trace - _log_normaliser(xp, df, scale)


def _transposed(matrix: Any) -> Any:
    return np.swapaxes(matrix, -1, -2)


def _factor(rng: np.random.Generator, shape: tuple[int, ...], df: Any, scale: Any) -> Any:
    """A random `f` with `f @ transpose(f)` Wishart, by Bartlett's decomposition."""
    size = np.shape(scale)[-1]
    below = np.tril(rng.standard_normal((*shape, size, size)), -1)
    freedom = np.asarray(df)[..., None] - np.arange(size)
    lengths = np.sqrt(rng.chisquare(np.broadcast_to(freedom, (*shape, size))))
    return np.linalg.cholesky(scale) @ (below + lengths[..., None] * np.eye(size))


def _sample(rng: np.random.Generator, shape: tuple[int, ...], df: Any, scale: Any) -> Any:
    factor = _factor(rng, shape, df, scale)
    return factor @ _transposed(factor)


def _inverse_sample(rng: np.random.Generator, shape: tuple[int, ...], df: Any, scale: Any) -> Any:
    inverse = np.linalg.inv(_factor(rng, shape, df, np.linalg.inv(scale)))
    return _transposed(inverse) @ inverse


PARAMETERS = (Parameter("df", "positive"), Parameter("scale", "positive_definite", "(n,n)"))

DISTRIBUTIONS.register(
    Distribution(
        name="wishart",
        doc="Wishart with mean `df * scale`; `df` is above the number of rows less 1.",
        parameters=PARAMETERS,
        support=fixed_support("positive_definite"),
        log_density=_log_density,
        sample=_sample,
        event="(n,n)",
        reparameterised="implicit",
        examples=({"df": 5.5, "scale": COVARIANCE},),
        reference=lambda df, scale: scipy_stats().wishart(df, scale),
    )
)

DISTRIBUTIONS.register(
    Distribution(
        name="inverse_wishart",
        doc="Inverse of a Wishart, with mean `scale / (df - n - 1)`; `df` is above the number of rows n less 1.",
        parameters=PARAMETERS,
        support=fixed_support("positive_definite"),
        log_density=_inverse_log_density,
        sample=_inverse_sample,
        event="(n,n)",
        reparameterised="implicit",
        examples=({"df": 7.5, "scale": COVARIANCE},),
        reference=lambda df, scale: scipy_stats().invwishart(df, scale),
    )
)
