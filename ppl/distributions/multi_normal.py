"""The multivariate normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, scipy_stats
from ppl.functions.matrix import diagonal

COVARIANCE = ((2.0, 0.6, -0.3), (0.6, 1.5, 0.4), (-0.3, 0.4, 1.1))
FACTOR = ((1.4, 0.0, 0.0), (0.3, 0.9, 0.0), (-0.2, 0.5, 1.1))
LOC = (0.4, -1.0, 0.7)

SPREAD = (
    Parameter("cov", "positive_definite", "(n,n)"),
    Parameter("prec", "positive_definite", "(n,n)", instead_of="cov"),
    Parameter("chol", "cov_cholesky", "(n,n)", instead_of="cov"),
)


def multiply(xp: Any, matrix: Any, vector: Any) -> Any:
    """Matrix times vector, batch axes broadcast."""
    return xp.matmul(matrix, vector[..., None])[..., 0]


def log_diagonal_sum(xp: Any, factor: Any) -> Any:
    """Log determinant of a triangular matrix with positive diagonal."""
    return xp.sum(xp.log(diagonal(xp, factor)), axis=-1)


def half_log_determinant(xp: Any, cov: Any = None, prec: Any = None, chol: Any = None) -> Any:
    """Half the log determinant of the covariance, whichever way it was given."""
    if chol is not None:
        return log_diagonal_sum(xp, chol)
    if prec is not None:
        return -log_diagonal_sum(xp, xp.linalg.cholesky(prec))
    return log_diagonal_sum(xp, xp.linalg.cholesky(cov))


def squared_distance(xp: Any, deviation: Any, cov: Any = None, prec: Any = None, chol: Any = None) -> Any:
    """Mahalanobis distance squared. The factor is inverted once, not once for each vector it meets."""
    if prec is not None:
        return xp.sum(deviation * multiply(xp, prec, deviation), axis=-1)
    factor = xp.linalg.cholesky(cov) if chol is None else chol
    standard = multiply(xp, xp.linalg.inv(factor), deviation)
    return xp.sum(standard * standard, axis=-1)


def covariance_factor(xp: Any, cov: Any = None, prec: Any = None, chol: Any = None) -> Any:
    """A matrix `f` with `f @ transpose(f)` the covariance."""
    if chol is not None:
        return chol
    if prec is not None:
        return xp.swapaxes(xp.linalg.inv(xp.linalg.cholesky(prec)), -1, -2)
    return xp.linalg.cholesky(cov)


def _log_density(xp: Any, value: Any, loc: Any, **spread: Any) -> Any:
    distance = squared_distance(xp, value - loc, **spread)
    return -0.5 * distance - half_log_determinant(xp, **spread) - xp.shape(value)[-1] * HALF_LOG_TWO_PI


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, **spread: Any) -> Any:
    return _transform(np, rng.standard_normal((*shape, np.shape(loc)[-1])), loc, **spread)


def _entropy(xp: Any, loc: Any, **spread: Any) -> Any:
    size = xp.shape(loc)[-1]
    return size * (0.5 + HALF_LOG_TWO_PI) + half_log_determinant(xp, **spread) + 0.0 * xp.sum(loc, axis=-1)


def _reference(loc: Any, **spread: Any) -> Any:
    factor = np.asarray(covariance_factor(np, **spread))
    return scipy_stats().multivariate_normal(loc, factor @ factor.T)


def _natural(xp: Any, loc: Any, cov: Any = None, prec: Any = None, chol: Any = None) -> Any:
    if chol is not None:
        inverse = xp.linalg.inv(chol)
        precision = xp.matmul(xp.swapaxes(inverse, -1, -2), inverse)
    else:
        precision = xp.linalg.inv(cov) if prec is None else prec
    return multiply(xp, precision, loc), -0.5 * precision


def _parameters(xp: Any, linear: Any, square: Any) -> Any:
    cov = xp.linalg.inv(-2.0 * square)
    return {"loc": multiply(xp, cov, linear), "cov": cov}


def _square(value: Any) -> Any:
    """The outer product of a vector with itself."""
    return value[..., :, None] * value[..., None, :]


def _mean_statistics(xp: Any, linear: Any, square: Any) -> Any:
    normal = _parameters(xp, linear, square)
    return normal["loc"], normal["cov"] + _square(normal["loc"])


def _log_normaliser(xp: Any, linear: Any, square: Any) -> Any:
    mean = _parameters(xp, linear, square)["loc"]
    return 0.5 * xp.sum(linear * mean, axis=-1) + half_log_determinant(xp, prec=-2.0 * square)


_EXPONENTIAL = ExponentialFamily(
    ranks=(1, 2),
    natural=_natural,
    parameters=_parameters,
    statistics=lambda xp, value: (value, _square(value)),
    mean_statistics=_mean_statistics,
    log_normaliser=_log_normaliser,
    log_base=lambda xp, value: 0.0 * value[..., 0] - xp.shape(value)[-1] * HALF_LOG_TWO_PI,
)


def _transform(xp: Any, noise: Any, loc: Any, **spread: Any) -> Any:
    return loc + multiply(xp, covariance_factor(xp, **spread), noise)


_NOISE = NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform)


DISTRIBUTIONS.register(
    Distribution(
        name="multi_normal",
        doc="Multivariate normal with mean `loc` and covariance `cov`; or its inverse `prec`; or its Cholesky "
        "factor `chol`.",
        parameters=(
            Parameter("loc", "real", "(n)"),
            *SPREAD,
        ),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        noise=_NOISE,
        event="(n)",
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        examples=(
            {"loc": LOC, "cov": COVARIANCE},
            {"loc": LOC, "prec": COVARIANCE},
            {"loc": LOC, "chol": FACTOR},
        ),
        reference=_reference,
    )
)
