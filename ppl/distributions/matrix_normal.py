"""The matrix normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, scipy_stats
from ppl.distributions.multi_normal import COVARIANCE, FACTOR, log_diagonal_sum

LOC = ((0.4, -1.0, 0.7), (0.2, 1.5, -0.3))
ROW_COVARIANCE = ((1.3, 0.4), (0.4, 0.9))
ROW_FACTOR = ((1.2, 0.0), (-0.5, 0.8))


def _factors(
    xp: Any, row_cov: Any = None, row_chol: Any = None, col_cov: Any = None, col_chol: Any = None
) -> tuple[Any, Any]:
    """Cholesky factors of the covariances of rows and of columns."""
    row = xp.linalg.cholesky(row_cov) if row_chol is None else row_chol
    return row, xp.linalg.cholesky(col_cov) if col_chol is None else col_chol


def _log_volume(xp: Any, row: Any, column: Any) -> Any:
    """Minus the log density at the mean."""
    rows, columns = xp.shape(row)[-1], xp.shape(column)[-1]
    determinants = columns * log_diagonal_sum(xp, row) + rows * log_diagonal_sum(xp, column)
    return determinants + rows * columns * HALF_LOG_TWO_PI


def _log_density(xp: Any, value: Any, loc: Any, **spread: Any) -> Any:
    row, column = _factors(xp, **spread)
    across = xp.swapaxes(xp.linalg.inv(column), -1, -2)
    standard = xp.matmul(xp.matmul(xp.linalg.inv(row), value - loc), across)
    return -0.5 * xp.sum(standard * standard, axis=(-2, -1)) - _log_volume(xp, row, column)


def _transform(xp: Any, noise: Any, loc: Any, **spread: Any) -> Any:
    row, column = _factors(xp, **spread)
    return loc + xp.matmul(xp.matmul(row, noise), xp.swapaxes(column, -1, -2))


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, **spread: Any) -> Any:
    return _transform(np, rng.standard_normal((*shape, *np.shape(loc)[-2:])), loc, **spread)


def _entropy(xp: Any, loc: Any, **spread: Any) -> Any:
    row, column = _factors(xp, **spread)
    size = xp.shape(loc)[-2] * xp.shape(loc)[-1]
    return 0.5 * size + _log_volume(xp, row, column) + 0.0 * xp.sum(loc, axis=(-2, -1))


def _reference(loc: Any, **spread: Any) -> Any:
    row, column = (np.asarray(factor) for factor in _factors(np, **spread))
    return scipy_stats().matrix_normal(loc, row @ row.T, column @ column.T)


DISTRIBUTIONS.register(
    Distribution(
        name="matrix_normal",
        doc="Matrix normal with mean `loc`: columns have the covariance `row_cov` and rows `col_cov`, up to one common "
        "factor; or their Cholesky factors `row_chol` and `col_chol`.",
        parameters=(
            Parameter("loc", "real", "(m,n)"),
            Parameter("row_cov", "positive_definite", "(m,m)"),
            Parameter("col_cov", "positive_definite", "(n,n)"),
            Parameter("row_chol", "cov_cholesky", "(m,m)", instead_of="row_cov"),
            Parameter("col_chol", "cov_cholesky", "(n,n)", instead_of="col_cov"),
        ),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(m,n)",
        noise=NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform),
        entropy=_entropy,
        examples=(
            {"loc": LOC, "row_cov": ROW_COVARIANCE, "col_cov": COVARIANCE},
            {"loc": LOC, "row_chol": ROW_FACTOR, "col_chol": FACTOR},
        ),
        reference=_reference,
    )
)
