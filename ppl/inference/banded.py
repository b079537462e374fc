"""Cholesky factors of banded matrices, many at once: loops over the columns, arrays over the batch.

A symmetric matrix (…, n, n) of bandwidth w is stored as (…, n, w + 1): entry [i, d] is the element (i, i - d), and
so is its lower factor.
"""

from __future__ import annotations

import numpy as np


def banded_cholesky(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower factor, and whether each matrix (…,) was positive definite; a pivot that is not is made so."""
    size, width = matrix.shape[-2], matrix.shape[-1] - 1
    factor = np.zeros_like(matrix)
    fine = np.isfinite(matrix).all(axis=(-1, -2))
    matrix = np.where(fine[..., None, None], matrix, np.arange(width + 1) == 0)
    for i in range(size):
        for d in range(min(i, width), -1, -1):
            j = i - d  # element (i, j): subtract what the columns before j have in both rows
            total = matrix[..., i, d]
            for k in range(max(0, i - width, j - width), j):
                total = total - factor[..., i, i - k] * factor[..., j, j - k]
            if d:
                factor[..., i, d] = total / factor[..., j, 0]
            else:
                fine &= total > 0
                factor[..., i, 0] = np.sqrt(np.maximum(np.abs(total), 1e-300))
    return factor, fine


def banded_lower_solve(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """L⁻¹ R for R (…, n, m)."""
    size, width = factor.shape[-2], factor.shape[-1] - 1
    out = np.empty(np.broadcast_shapes(right.shape, (*factor.shape[:-2], size, right.shape[-1])))
    for i in range(size):
        total = right[..., i, :]
        for d in range(1, min(i, width) + 1):
            total = total - factor[..., i, d, None] * out[..., i - d, :]
        out[..., i, :] = total / factor[..., i, 0, None]
    return out


def banded_upper_solve(factor: np.ndarray, right: np.ndarray) -> np.ndarray:
    """L'⁻¹ R for R (…, n, m)."""
    size, width = factor.shape[-2], factor.shape[-1] - 1
    out = np.empty(np.broadcast_shapes(right.shape, (*factor.shape[:-2], size, right.shape[-1])))
    for i in range(size - 1, -1, -1):
        total = right[..., i, :]
        for d in range(1, min(size - 1 - i, width) + 1):
            total = total - factor[..., i + d, d, None] * out[..., i + d, :]
        out[..., i, :] = total / factor[..., i, 0, None]
    return out
