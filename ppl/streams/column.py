"""Columns: arrays whose rows are read when they are needed and never all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn, Protocol

import numpy as np

from ppl.errors import DataError

BLOCK_BYTES = 1 << 18
"""Of the rows that are read in one piece from where any row can be found."""
CLOSE = 2
"""Rows wanted lie close together where they are one of so many."""


class Source(Protocol):
    """Where rows come from. `edges` (pieces + 1,) are the rows at which pieces that are read as one begin and end."""

    description: str
    rows: int
    edges: np.ndarray

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of one row of a column."""

    def dtype(self, name: str) -> np.dtype[Any]: ...

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        """The rows `start:stop`: (stop - start, *shape)."""


@dataclass(frozen=True)
class Facts:
    """What one pass through a column finds: its range, and the first rows with a number that is not whole, or none."""

    lowest: float
    highest: float
    fraction: int | None
    missing: int | None
    infinite: int | None

    @property
    def whole(self) -> bool:
        """Whether all numbers are."""
        return self.fraction is None


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a source: (rows, *event), called `name` and kept there as `key`.

    `whole` has it read as integers, from which `base` is taken. It has a shape, a length and a range (`facts`), and
    gives rows by `read`. It is no array: where one is made of it, DataError is raised.
    """

    source: Source
    name: str
    key: str
    whole: bool = False
    base: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.source.rows, *self.source.shape(self.key))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the rows as they are read: float64 or int64."""
        return np.dtype(np.int64 if self.whole else np.float64)

    def __len__(self) -> int:
        return self.source.rows

    def __array__(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise DataError.of(
            "E522", None, f"`{self.name}` of {self.source.description} is read row by row, here all of it is needed",
            "load it as an array, or read it with the index of its plate",
        )  # fmt: skip

    def read(self, start: int, stop: int) -> np.ndarray:
        """The rows `start:stop`."""
        rows = np.asarray(self.source.read(self.key, start, stop)).astype(self.dtype, copy=False)
        return rows - self.base if self.base else rows

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The rows at these positions (n,), in any order: at once where they lie close together, else by pieces."""
        if not len(positions):
            return np.empty((0, *self.shape[1:]), self.dtype)
        first, stop = int(positions.min()), int(positions.max()) + 1
        if stop - first <= CLOSE * len(positions):
            rows = self.read(first, stop)
            return rows if len(rows) == len(positions) and np.all(np.diff(positions) == 1) else rows[positions - first]
        edges = self.source.edges
        found = np.empty((len(positions), *self.shape[1:]), self.dtype)
        pieces = np.searchsorted(edges, positions, side="right") - 1
        for piece in np.unique(pieces):
            mine = pieces == piece
            start = int(edges[piece])
            found[mine] = self.read(start, int(edges[piece + 1]))[positions[mine] - start]
        return found

    def load(self) -> np.ndarray:
        """All the rows, in the type that they are stored in."""
        return np.asarray(self.source.read(self.key, 0, len(self)))

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """All rows in order, piece by piece: the first row's place, and the rows."""
        for start, stop in zip(self.source.edges[:-1], self.source.edges[1:], strict=True):
            yield int(start), self.read(int(start), int(stop))

    @cached_property
    def facts(self) -> Facts:
        """Of all the rows; found by one pass through them."""
        found = Facts(np.inf, -np.inf, None, None, None)
        for start, rows in self.blocks():
            found = _joined(found, rows.reshape(len(rows), -1), start)
        return found

    def called(self, name: str) -> Column:
        """The column under another name."""
        return self._changed(self.facts, name=name)

    def counted(self, base: int) -> Column:
        """Whole numbers counted from `base` on."""
        facts = replace(self.facts, lowest=self.facts.lowest - base, highest=self.facts.highest - base)
        return self._changed(facts, whole=True, base=base)

    def _changed(self, facts: Facts, **changes: Any) -> Column:
        """With facts that need no other pass."""
        changed = replace(self, **changes)
        changed.__dict__["facts"] = facts
        return changed


def _joined(found: Facts, rows: np.ndarray, start: int) -> Facts:
    missing, infinite = np.isnan(rows).any(axis=1), np.isinf(rows).any(axis=1)
    finite = rows[~(missing | infinite)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (np.inf, -np.inf)
    fractions = np.zeros(len(rows), bool)
    if found.whole:
        fractions = np.asarray(np.any(np.isfinite(rows) & (rows != np.floor(rows)), axis=1))
    return Facts(
        min(found.lowest, low), max(found.highest, high), _first(found.fraction, fractions, start),
        _first(found.missing, missing, start), _first(found.infinite, infinite, start),
    )  # fmt: skip


def _first(known: int | None, marked: np.ndarray, start: int) -> int | None:
    return known if known is not None or not marked.any() else start + int(np.argmax(marked))


def even_edges(rows: int, row_bytes: int) -> np.ndarray:
    """The edges of pieces of about `BLOCK_BYTES`."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    return np.append(np.arange(0, rows, step), rows)


def coarsest(columns: Sequence[Column]) -> np.ndarray:
    """The edges of the source with the fewest pieces: what cannot be read in small ones sets the order of all."""
    return min((column.source.edges for column in columns), key=len)
