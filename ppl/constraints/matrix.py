"""Supports of matrices: covariance and correlation matrices and their Cholesky factors.

The unconstrained value is a vector of the free entries of the lower triangle, row by row.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ppl.constraints.base import SUPPORTS, Bijection, Support
from ppl.constraints.stable import log_cosh

TOLERANCE = 1e-6


def _below(event: tuple[int, ...]) -> tuple[int, ...]:
    return (event[0] * (event[0] - 1) // 2,)


def _below_and_diagonal(event: tuple[int, ...]) -> tuple[int, ...]:
    return (event[0] * (event[0] + 1) // 2,)


def _strict_size(entries: int) -> int:
    """K of a K×K matrix with `entries` below the diagonal."""
    return (1 + math.isqrt(1 + 8 * entries)) // 2


@cache
def _positions(size: int, diagonal: int) -> np.ndarray:
    """Where each matrix entry stands in the vector of free ones; entries that are not free point behind its end."""
    rows, columns = np.tril_indices(size, diagonal)
    positions = np.full((size, size), len(rows))
    positions[rows, columns] = np.arange(len(rows))
    return positions


def _fill(xp: Any, u: Any, size: int, diagonal: int) -> Any:
    """The matrix with `u` in its lower triangle up to `diagonal` and zeros elsewhere."""
    zero = xp.zeros((*u.shape[:-1], 1))
    return xp.concatenate([u, zero], axis=-1)[..., _positions(size, diagonal)]


def _lower(x: Any, diagonal: int) -> Any:
    """The free entries of the lower triangle of `x` as a vector."""
    rows, columns = np.tril_indices(x.shape[-1], diagonal)
    return x[..., rows, columns]


def _transpose(xp: Any, x: Any) -> Any:
    return xp.swapaxes(x, -1, -2)


# Cholesky factor of a covariance: positive diagonal through exp.


def _cov_cholesky(xp: Any, u: Any) -> Any:
    size = _strict_size(u.shape[-1]) - 1
    filled = _fill(xp, u, size, 0)
    eye = np.eye(size)
    return filled * (1.0 - eye) + xp.exp(filled * eye) * eye


def _cov_cholesky_inverse(xp: Any, x: Any) -> Any:
    eye = np.eye(x.shape[-1])
    return _lower(x * (1.0 - eye) + xp.log(x * eye + (1.0 - eye)), 0)


def _log_diagonal(u: Any) -> Any:
    """Entries of `u` that are logs of diagonal elements."""
    size = _strict_size(u.shape[-1]) - 1
    return u[..., np.cumsum(np.arange(1, size + 1)) - 1]


def _is_lower(x: Any) -> Any:
    return np.all(np.isfinite(x) & (np.triu(x, 1) == 0), axis=(-2, -1))


def _positive_diagonal(x: Any) -> Any:
    return np.all(np.diagonal(x, axis1=-2, axis2=-1) > 0, axis=-1)


SUPPORTS.register(
    Support(
        "cov_cholesky",
        contains=lambda x: _is_lower(x) & _positive_diagonal(x),
        describe="lower triangular with a positive diagonal",
        event_rank=2,
        within=("real",),
        bijection=Bijection(
            forward=_cov_cholesky,
            inverse=_cov_cholesky_inverse,
            log_det=lambda xp, u: xp.sum(_log_diagonal(u), axis=-1),
            formula="x = lower triangle of u, its diagonal through exp",
            unconstrained=_below_and_diagonal,
        ),
        example=((), (3, 3)),
    )
)


# Covariance matrices through their Cholesky factors.


def _positive_definite(xp: Any, u: Any) -> Any:
    factor = _cov_cholesky(xp, u)
    return xp.matmul(factor, _transpose(xp, factor))


def _positive_definite_log_det(xp: Any, u: Any) -> Any:
    diagonal = _log_diagonal(u)
    size = diagonal.shape[-1]
    return size * math.log(2.0) + xp.sum(diagonal * np.arange(size + 1, 1, -1), axis=-1)


def _is_positive_definite(x: Any) -> Any:
    x = np.asarray(x, dtype=float)
    finite = np.all(np.isfinite(x), axis=(-2, -1))
    safe = np.where(finite[..., None, None], x, np.eye(x.shape[-1]))
    scale = np.max(np.abs(safe), axis=(-2, -1))
    symmetric = np.max(np.abs(safe - np.swapaxes(safe, -1, -2)), axis=(-2, -1)) <= TOLERANCE * scale
    return finite & symmetric & (np.linalg.eigvalsh(safe)[..., 0] > 0)


SUPPORTS.register(
    Support(
        "positive_definite",
        contains=_is_positive_definite,
        describe="symmetric and positive definite",
        event_rank=2,
        within=("real",),
        bijection=Bijection(
            forward=_positive_definite,
            inverse=lambda xp, x: _cov_cholesky_inverse(xp, xp.linalg.cholesky(x)),
            log_det=_positive_definite_log_det,
            formula="x = L L', L the lower triangle of u, its diagonal through exp",
            unconstrained=_below_and_diagonal,
        ),
        example=((), (3, 3)),
    )
)


# Cholesky factor of a correlation: canonical partial correlations tanh(u), rows of length 1
# (Lewandowski, Kurowicka and Joe, 2009).


def _partial_logs(xp: Any, u: Any) -> tuple[Any, Any]:
    """Log of `1 - tanh(u)^2` as a matrix, and log of the length each row has left at each column."""
    logs = _fill(xp, -2.0 * log_cosh(xp, u), _strict_size(u.shape[-1]), -1)
    half = 0.5 * logs
    return logs, xp.cumsum(half, axis=-1) - half


def _corr_cholesky(xp: Any, u: Any) -> Any:
    size = _strict_size(u.shape[-1])
    partial = _fill(xp, xp.tanh(u), size, -1)
    _, left = _partial_logs(xp, u)
    return (partial + np.eye(size)) * xp.exp(left)


def _corr_cholesky_inverse(xp: Any, x: Any) -> Any:
    """`sinh(u)` is an entry over the length of what stands right of it in its row."""
    squares = xp.cumsum((x * x)[..., ::-1], axis=-1)[..., ::-1]
    beyond = xp.concatenate([squares[..., 1:], 0.0 * squares[..., :1]], axis=-1)
    return xp.arcsinh(_lower(x, -1) / xp.sqrt(_lower(beyond, -1)))


def _corr_cholesky_log_det(xp: Any, u: Any) -> Any:
    logs, left = _partial_logs(xp, u)
    below = np.tril(np.ones(logs.shape[-2:]), -1)
    return xp.sum(logs + left * below, axis=(-2, -1))


def _unit_rows(x: Any) -> Any:
    return np.all(np.abs(np.sum(np.square(x), axis=-1) - 1) <= TOLERANCE, axis=-1)


SUPPORTS.register(
    Support(
        "corr_cholesky",
        contains=lambda x: _is_lower(x) & _positive_diagonal(x) & _unit_rows(x),
        describe="lower triangular with a positive diagonal and rows of length 1",
        event_rank=2,
        within=("cov_cholesky",),
        bijection=Bijection(
            forward=_corr_cholesky,
            inverse=_corr_cholesky_inverse,
            log_det=_corr_cholesky_log_det,
            formula="rows of length 1 with partial correlations tanh(u)",
            unconstrained=_below,
        ),
        example=((), (3, 3)),
    )
)


# Correlation matrices through their Cholesky factors.


def _corr_matrix(xp: Any, u: Any) -> Any:
    factor = _corr_cholesky(xp, u)
    return xp.matmul(factor, _transpose(xp, factor))


def _corr_matrix_log_det(xp: Any, u: Any) -> Any:
    """A row of the factor moves the row's correlations by the diagonal elements above it."""
    logs, left = _partial_logs(xp, u)
    size = logs.shape[-1]
    below = np.tril(np.ones((size, size)), -1)
    later = np.diag(np.arange(size - 1.0, -1.0, -1.0))
    return xp.sum(logs + left * (below + later), axis=(-2, -1))


def _unit_diagonal(x: Any) -> Any:
    return np.all(np.abs(np.diagonal(x, axis1=-2, axis2=-1) - 1) <= TOLERANCE, axis=-1)


SUPPORTS.register(
    Support(
        "corr_matrix",
        contains=lambda x: _is_positive_definite(x) & _unit_diagonal(x),
        describe="symmetric and positive definite with ones on the diagonal",
        event_rank=2,
        within=("positive_definite",),
        bijection=Bijection(
            forward=_corr_matrix,
            inverse=lambda xp, x: _corr_cholesky_inverse(xp, xp.linalg.cholesky(x)),
            log_det=_corr_matrix_log_det,
            formula="x = L L', L with rows of length 1 and partial correlations tanh(u)",
            unconstrained=_below,
        ),
        example=((), (3, 3)),
    )
)
