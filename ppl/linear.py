"""Operations on plain arrays that NumPy lacks or that have no derivative of their own; leading axes are batches."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
_SMALL = 40
"""Triangular systems up to this size are solved as full ones, all at once: one loop in C beats many calls of LAPACK."""


def triangle(matrix: Array, lower: bool) -> Array:
    """The lower or upper triangle, its diagonal included, and zeros elsewhere."""
    return np.tril(matrix) if lower else np.triu(matrix)


def solve_triangular(matrix: Array, right: Array, lower: bool) -> Array:
    """`x` with `matrix @ x = right`: (…, n, n) and (…, n, k) of one batch shape. The other triangle is not read.

    Where the diagonal has a zero the answer is NaN.
    """
    singular = ~np.all(np.diagonal(matrix, axis1=-2, axis2=-1), axis=-1)
    if singular.any():
        matrix = np.where(singular[..., None, None], np.nan, matrix)
    if matrix.shape[-1] <= _SMALL:
        return np.linalg.solve(triangle(matrix, lower), right)
    from scipy.linalg import solve_triangular as solve_one

    size, columns = right.shape[-2:]
    pairs = zip(matrix.reshape(-1, size, size), right.reshape(-1, size, columns), strict=True)
    solved = [solve_one(one, other, lower=lower, check_finite=False) for one, other in pairs]
    return np.stack(solved).reshape(right.shape) if solved else np.empty(right.shape)


def cholesky(matrix: Array) -> Array:
    """Lower Cholesky factors of symmetric matrices (…, n, n), NaN for those that are not positive definite.

    A density there is no number, which a search steps back from; an exception would end it.
    """
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        size = matrix.shape[-1]
        return np.stack([_factor(one) for one in matrix.reshape(-1, size, size)]).reshape(matrix.shape)


def _factor(matrix: Array) -> Array:
    try:
        return np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)


def eigenvalues(matrix: Array) -> Array:
    """Eigenvalues of symmetric matrices in increasing order; the lower triangle is read."""
    return np.linalg.eigvalsh(matrix)


def add_runs(values: Array, index: Array, axis: int, shape: tuple[int, ...]) -> Array:
    """Element j along `axis` is the sum of the values whose index is j; `shape` is the result's.

    The axes of `index` stand in `values` at `axis`. Sorted runs are added up, which is many times faster than
    `np.add.at`. Negative indices count from the end, as in `np.take`; IndexError for those beyond either end.
    """
    index = positions(index, shape[axis])
    flat = np.reshape(values, (*shape[:axis], index.size, *shape[axis + 1 :]))
    order = np.argsort(index, axis=None, kind="stable")
    ordered = index.reshape(-1)[order]
    total = np.zeros(shape)
    if index.size:
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        sums = np.add.reduceat(np.take(flat, order, axis=axis), starts, axis=axis)
        total[(slice(None),) * axis + (ordered[starts],)] = sums
    return total


def positions(index: Array, size: int) -> Array:
    """Indices from the front, of an axis of that size. Raises IndexError where one is beyond either end."""
    index = np.asarray(index)
    found = np.where(index < 0, index + size, index)
    if index.size and not (found.min() >= 0 and found.max() < size):
        raise IndexError(f"an index from {index.min()} to {index.max()} is out of bounds for an axis of size {size}")
    return found


def summed_to(array: Array, shape: tuple[int, ...]) -> Array:
    """Summed over what was broadcast from `shape`."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    stretched = tuple(place for place, size in enumerate(shape) if size == 1 and array.shape[place] != 1)
    return array.sum(axis=stretched, keepdims=True) if stretched else array
