"""The Wishart and inverse Wishart distributions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions import implicit
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, LOG_TWO, scipy_stats
from ppl.distributions.multi_normal import COVARIANCE, half_log_determinant
from ppl.functions.broadcasting import align_batches


def _log_normaliser(xp: Any, df: Any, scale: Any) -> Any:
    """Log of the factor both kernels are divided by, less the power of the determinant of `scale`."""
    size = xp.shape(scale)[-1]
    gammas = sum(xp.special.gammaln(0.5 * (df - place)) for place in range(size))
    return 0.5 * size * df * LOG_TWO + 0.25 * size * (size - 1) * LOG_PI + gammas


def _log_density(xp: Any, value: Any, df: Any, scale: Any) -> Any:
    size = xp.shape(scale)[-1]
    trace = xp.sum(xp.linalg.inv(scale) * value, axis=(-2, -1))
    determinants = (df - size - 1.0) * half_log_determinant(xp, value) - df * half_log_determinant(xp, scale)
    return determinants - 0.5 * trace - _log_normaliser(xp, df, scale)


def _inverse_log_density(xp: Any, value: Any, df: Any, scale: Any) -> Any:
    """Through the Cholesky factor of the value, which is NaN where that is singular; an inverse would raise there."""
    size = xp.shape(scale)[-1]
    factors = align_batches(xp, (xp.linalg.cholesky(value), xp.linalg.cholesky(scale)), (2, 2))
    trace = xp.sum(xp.solve_triangular(*factors, lower=True) ** 2, axis=(-2, -1))
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


def _log_mean_determinant(xp: Any, df: Any, size: int) -> Any:
    """Mean of the log determinant of a Wishart whose scale is the identity."""
    return sum(xp.special.digamma(0.5 * (df - place)) for place in range(size)) + size * LOG_TWO


def _statistics(xp: Any, value: Any) -> Any:
    return value, 2.0 * half_log_determinant(xp, value)


def _parameters(xp: Any, slope: Any, power: Any) -> Any:
    return {"df": 2.0 * power + xp.shape(slope)[-1] + 1.0, "scale": xp.linalg.inv(-2.0 * slope)}


def _mean_statistics(xp: Any, slope: Any, power: Any) -> Any:
    df, scale = _parameters(xp, slope, power).values()
    log_determinant = _log_mean_determinant(xp, df, xp.shape(slope)[-1]) + 2.0 * half_log_determinant(xp, scale)
    return df[..., None, None] * scale, log_determinant


def _family_normaliser(xp: Any, slope: Any, power: Any) -> Any:
    df, scale = _parameters(xp, slope, power).values()
    return _log_normaliser(xp, df, scale) + df * half_log_determinant(xp, scale)


_EXPONENTIAL = ExponentialFamily(
    ranks=(2, 0),
    natural=lambda xp, df, scale: (-0.5 * xp.linalg.inv(scale), 0.5 * (df - xp.shape(scale)[-1] - 1.0)),
    parameters=_parameters,
    statistics=_statistics,
    mean_statistics=_mean_statistics,
    log_normaliser=_family_normaliser,
    log_base=lambda xp, value: 0.0 * value[..., 0, 0],
)


def _entropy(xp: Any, df: Any, scale: Any) -> Any:
    size = xp.shape(scale)[-1]
    determinants = (size + 1.0) * half_log_determinant(xp, scale)
    determinants = determinants - 0.5 * (df - size - 1.0) * _log_mean_determinant(xp, df, size)
    return determinants + 0.5 * size * df + _log_normaliser(xp, df, scale)


DISTRIBUTIONS.register(
    Distribution(
        name="wishart",
        doc="Wishart with mean `df * scale`; `df` is above the number of rows less 1.",
        parameters=PARAMETERS,
        support=fixed_support("positive_definite"),
        log_density=_log_density,
        sample=_sample,
        implicit=implicit.wishart,
        entropy=_entropy,
        event="(n,n)",
        exponential=_EXPONENTIAL,
        examples=({"df": 5.5, "scale": COVARIANCE},),
        reference=lambda df, scale: scipy_stats().wishart(df, scale),
    )
)


def _inverse_parameters(xp: Any, slope: Any, power: Any) -> Any:
    return {"df": -2.0 * power - xp.shape(slope)[-1] - 1.0, "scale": -2.0 * slope}


def _inverse_mean_statistics(xp: Any, slope: Any, power: Any) -> Any:
    df, scale = _inverse_parameters(xp, slope, power).values()
    log_determinant = 2.0 * half_log_determinant(xp, scale) - _log_mean_determinant(xp, df, xp.shape(slope)[-1])
    return df[..., None, None] * xp.linalg.inv(scale), log_determinant


def _inverse_family_normaliser(xp: Any, slope: Any, power: Any) -> Any:
    df, scale = _inverse_parameters(xp, slope, power).values()
    return _log_normaliser(xp, df, scale) - df * half_log_determinant(xp, scale)


_INVERSE_EXPONENTIAL = ExponentialFamily(
    ranks=(2, 0),
    natural=lambda xp, df, scale: (-0.5 * scale, -0.5 * (df + xp.shape(scale)[-1] + 1.0)),
    parameters=_inverse_parameters,
    statistics=lambda xp, value: (xp.linalg.inv(value), 2.0 * half_log_determinant(xp, value)),
    mean_statistics=_inverse_mean_statistics,
    log_normaliser=_inverse_family_normaliser,
    log_base=lambda xp, value: 0.0 * value[..., 0, 0],
)


def _inverse_entropy(xp: Any, df: Any, scale: Any) -> Any:
    size = xp.shape(scale)[-1]
    determinants = (size + 1.0) * half_log_determinant(xp, scale)
    determinants = determinants - 0.5 * (df + size + 1.0) * _log_mean_determinant(xp, df, size)
    return determinants + 0.5 * size * df + _log_normaliser(xp, df, scale)


DISTRIBUTIONS.register(
    Distribution(
        name="inverse_wishart",
        doc="Inverse of a Wishart, with mean `scale / (df - n - 1)`; `df` is above the number of rows n less 1.",
        parameters=PARAMETERS,
        support=fixed_support("positive_definite"),
        log_density=_inverse_log_density,
        sample=_inverse_sample,
        implicit=implicit.inverse_wishart,
        entropy=_inverse_entropy,
        event="(n,n)",
        exponential=_INVERSE_EXPONENTIAL,
        examples=({"df": 7.5, "scale": COVARIANCE},),
        reference=lambda df, scale: scipy_stats().invwishart(df, scale),
    )
)
