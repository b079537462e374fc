"""What staged programs call beside NumPy's own functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl import linear


@dataclass(frozen=True, eq=False)
class Runs:
    """`ppl.linear.add_runs` for one index: called with the values, it gives their sums.

    `order` sorts the values along the flattened axis, None where they are sorted; a run of equal indices begins at each
    of `starts`, and its sum goes to the element in `targets`, None where these are all elements in turn.
    """

    axis: int
    size: int
    shape: tuple[int, ...]
    order: np.ndarray | None
    starts: np.ndarray
    targets: np.ndarray | None

    @classmethod
    def of(cls, index: np.ndarray, axis: int, shape: tuple[int, ...]) -> Runs:
        flat = linear.positions(index, shape[axis]).reshape(-1)
        order = np.argsort(flat, kind="stable")
        ordered = flat[order]
        begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if flat.size else order
        targets = ordered[begins]
        everything = np.array_equal(targets, np.arange(shape[axis]))
        in_turn = np.array_equal(order, np.arange(flat.size))
        return cls(axis, flat.size, shape, None if in_turn else order, begins, None if everything else targets)

    def along(self, count: int) -> Runs:
        """The same for values with a further first axis of that length."""
        return replace(self, axis=self.axis + 1, shape=(count, *self.shape))

    def __call__(self, values: Any) -> np.ndarray:
        axis, shape = self.axis, self.shape
        if not self.size:
            return np.zeros(shape)
        flat = np.reshape(values, (*shape[:axis], self.size, *shape[axis + 1 :]))
        if self.order is not None:
            flat = np.take(flat, self.order, axis=axis)
        sums = np.add.reduceat(flat, self.starts, axis=axis)
        if self.targets is None:
            return sums
        total = np.zeros(shape)
        total[(slice(None),) * axis + (self.targets,)] = sums
        return total


def gather(values: Any, index: Any, axis: int, out: Any = None) -> Any:
    """`numpy.take` at positions that are known to exist, which lets it write into `out` directly."""
    return np.take(values, index, axis=axis, out=out, mode="clip")


ALONE = 1 << 18
"""OpenBLAS leaves products of up to this many terms to the thread that asks."""


def product(a: Any, b: Any, out: Any = None) -> Any:
    """`a @ b` of matrices in pieces that BLAS does not hand to threads of its own, for callers that are threads."""
    rows, inner, columns = a.shape[0], a.shape[1], b.shape[1]
    if rows * inner * columns <= ALONE or max(rows, inner, columns) == 1:
        return np.matmul(a, b, out=out)
    if inner >= max(rows, columns):
        half = inner // 2
        return np.add(product(a[:, :half], b[:half]), product(a[:, half:], b[half:]), out=out)
    out = np.empty((rows, columns)) if out is None else out
    if columns >= rows:
        half = columns // 2
        product(a, b[:, :half], out[:, :half])
        product(a, b[:, half:], out[:, half:])
    else:
        half = rows // 2
        product(a[:half], b, out[:half])
        product(a[half:], b, out[half:])
    return out


def scatter(values: Any, index: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Zeros of a shape with the values added at an index."""
    total = np.zeros(shape)
    np.add.at(total, index, values)
    return total


def solve_wide(matrix: Any, right: Any, lower: bool) -> np.ndarray:
    """`ppl.linear.solve_triangular` for leading axes that broadcast."""
    lead = np.broadcast_shapes(matrix.shape[:-2], right.shape[:-2])
    full = [np.broadcast_to(one, (*lead, *one.shape[-2:])) for one in (matrix, right)]
    found: np.ndarray = linear.solve_triangular(full[0], full[1], lower)
    return found
