"""The multivariate normal whose covariance is diagonal but for a few factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, scipy_stats
from ppl.distributions.multi_normal import log_diagonal_sum, multiply

LOC = (0.4, -1.0, 0.7)
FACTOR = ((1.1, 0.3), (-0.4, 0.8), (0.6, 0.2))
DIAGONAL = (0.9, 1.4, 0.5)


def _capacitance(xp: Any, cov_factor: Any, cov_diag: Any) -> tuple[Any, Any]:
    """The factor divided by the diagonal, transposed, and the Cholesky factor of `1 + F' D^-1 F`."""
    divided = xp.swapaxes(cov_factor / cov_diag[..., None], -1, -2)
    return divided, xp.linalg.cholesky(np.eye(xp.shape(cov_factor)[-1]) + xp.matmul(divided, cov_factor))


def _half_log_determinant(xp: Any, cov_diag: Any, capacitance: Any) -> Any:
    return 0.5 * xp.sum(xp.log(cov_diag), axis=-1) + log_diagonal_sum(xp, capacitance)


def _log_density(xp: Any, value: Any, loc: Any, cov_factor: Any, cov_diag: Any) -> Any:
    """By Woodbury's identity: the cost is that of a matrix with one row for each factor."""
    divided, capacitance = _capacitance(xp, cov_factor, cov_diag)
    away = value - loc
    explained = multiply(xp, xp.linalg.inv(capacitance), multiply(xp, divided, away))
    distance = xp.sum(away * away / cov_diag, axis=-1) - xp.sum(explained * explained, axis=-1)
    size = xp.shape(value)[-1]
    return -0.5 * distance - _half_log_determinant(xp, cov_diag, capacitance) - size * HALF_LOG_TWO_PI


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, cov_factor: Any, cov_diag: Any) -> Any:
    size, rank = np.shape(cov_factor)[-2:]
    common = multiply(np, cov_factor, rng.standard_normal((*shape, rank)))
    return loc + common + np.sqrt(cov_diag) * rng.standard_normal((*shape, size))


def _covariance(xp: Any, cov_factor: Any, cov_diag: Any) -> Any:
    diagonal = cov_diag[..., None] * np.eye(xp.shape(cov_diag)[-1])
    return xp.matmul(cov_factor, xp.swapaxes(cov_factor, -1, -2)) + diagonal


def _transform(xp: Any, noise: Any, loc: Any, cov_factor: Any, cov_diag: Any) -> Any:
    return loc + multiply(xp, xp.linalg.cholesky(_covariance(xp, cov_factor, cov_diag)), noise)


def _entropy(xp: Any, loc: Any, cov_factor: Any, cov_diag: Any) -> Any:
    _, capacitance = _capacitance(xp, cov_factor, cov_diag)
    constant = xp.shape(loc)[-1] * (0.5 + HALF_LOG_TWO_PI)
    return constant + _half_log_determinant(xp, cov_diag, capacitance) + 0.0 * xp.sum(loc, axis=-1)


def _reference(loc: Any, cov_factor: Any, cov_diag: Any) -> Any:
    covariance = _covariance(np, np.asarray(cov_factor), np.asarray(cov_diag))
    return scipy_stats().multivariate_normal(loc, covariance)


DISTRIBUTIONS.register(
    Distribution(
        name="low_rank_multi_normal",
        doc="Multivariate normal with mean `loc` and covariance `cov_factor @ transpose(cov_factor) + diag(cov_diag)`.",
        parameters=(
            Parameter("loc", "real", "(n)"),
            Parameter("cov_factor", "real", "(n,r)"),
            Parameter("cov_diag", "positive", "(n)"),
        ),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(n)",
        noise=NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform),
        entropy=_entropy,
        examples=({"loc": LOC, "cov_factor": FACTOR, "cov_diag": DIAGONAL},),
        reference=_reference,
    )
)
