"""Values and derivatives of a function of independent rows, worked through in blocks that fit into memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ppl.backends import Rows
from ppl.inference.singular import Arrays, where_possible


@dataclass(frozen=True)
class InBlocks:
    """At most `most` rows at a time; derivatives are by `width` coordinates. NaN at rows where a matrix is singular."""

    rows: Rows
    most: int
    width: int

    def values(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        return self._possible(lambda part: (self.rows.values(part),), rows, ())[0]

    def gradients(self, rows: np.ndarray) -> np.ndarray:
        """(draws, width)."""
        return self._possible(lambda part: (self.rows.gradients(part),), rows, (self.width,))[0]

    def values_and_gradients(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(draws,) and (draws, width)."""
        values, gradients = self._possible(self.rows.values_and_gradients, rows, (), (self.width,))
        return values, gradients

    def products(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
        """Exact products of each row's Hessian with vectors (directions, draws or 1, width), as many as vectors.

        None where a part of the function has no second derivatives.
        """
        most = min(len(vectors), self.most)
        size = min(power_of_two(self.most // most), power_of_two(2 * len(rows) - 1))
        columns = []
        with np.errstate(all="ignore"):
            for start in range(0, len(rows), size):
                own = vectors if vectors.shape[1] == 1 else vectors[:, start : start + size]
                found = self._products(rows[start : start + size], own, most, size)
                if found is None:
                    return None
                columns.append(found)
        return np.concatenate(columns, axis=1)

    def _possible(self, function: Callable[[np.ndarray], Arrays], rows: np.ndarray, *shapes: tuple[int, ...]) -> Arrays:
        with np.errstate(all="ignore"):
            parts = [
                where_possible(function, rows[start : start + self.most], *shapes)
                for start in range(0, len(rows), self.most)
            ]
        return tuple(np.concatenate(each) for each in zip(*parts, strict=True))

    def _products(self, rows: np.ndarray, vectors: np.ndarray, most: int, size: int) -> np.ndarray | None:
        """Of at most `size` rows, `most` vectors at a time. Both are filled up, so that few programs are made."""
        count, each = len(rows), vectors.shape[1]
        rows = np.concatenate([rows, np.repeat(rows[-1:], size - count, axis=0)])
        if each > 1:
            vectors = np.concatenate([vectors, np.zeros((len(vectors), size - count, self.width))], axis=1)
        directions = len(vectors)
        vectors = np.concatenate([vectors, np.zeros((-directions % most, *vectors.shape[1:]))])
        parts = []
        for start in range(0, len(vectors), most):
            try:
                found = self.rows.products(rows, vectors[start : start + most])
            except np.linalg.LinAlgError:
                found = np.full((most, size, self.width), np.nan)
            if found is None:
                return None
            parts.append(found[:, :count])
        return np.concatenate(parts)[:directions]


def power_of_two(most: int) -> int:
    """The largest that is not above `most`, at least 1."""
    return 1 << (max(1, most).bit_length() - 1)
