"""The multivariate normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
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


def covariance_factor(cov: Any = None, prec: Any = None, chol: Any = None) -> Any:
    """A matrix `f` with `f @ transpose(f)` the covariance (NumPy)."""
    if chol is not None:
        return np.asarray(chol)
    if prec is not None:
        return np.swapaxes(np.linalg.inv(np.linalg.cholesky(prec)), -1, -2)
    return np.linalg.cholesky(cov)


def _log_density(xp: Any, value: Any, loc: Any, **spread: Any) -> Any:
    distance = squared_distance(xp, value - loc, **spread)
    return -0.5 * distance - half_log_determinant(xp, **spread) - xp.shape(value)[-1] * HALF_LOG_TWO_PI


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, **spread: Any) -> Any:
    factor = covariance_factor(**spread)
    return loc + multiply(np, factor, rng.standard_normal((*shape, factor.shape[-1])))


def _entropy(xp: Any, loc: Any, **spread: Any) -> Any:
    size = xp.shape(loc)[-1]
    return size * (0.5 + HALF_LOG_TWO_PI) + half_log_determinant(xp, **spread) + 0.0 * xp.sum(loc, axis=-1)


def _reference(loc: Any, **spread: Any) -> Any:
    factor = covariance_factor(**spread)
    return scipy_stats().multivariate_normal(loc, factor @ factor.T)


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
        event="(n)",
        reparameterised="pathwise",
        entropy=_entropy,
        examples=(
            {"loc": LOC, "cov": COVARIANCE},
            {"loc": LOC, "prec": COVARIANCE},
            {"loc": LOC, "chol": FACTOR},
        ),
        reference=_reference,
    )
)
