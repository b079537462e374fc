"""The statistics of collapsed sites: one pass over the data, in blocks.

The same code reads arrays and rows that come from a file: only the order of the rows differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ppl.compiler.collapse.rows import RowReader, members_at, row_blocks
from ppl.model.collapse import Cells, Collapse, LeastSquares, NaturalSums
from ppl.model.expressions import Expr
from ppl.numeric import NUMPY

Statistics = tuple[np.ndarray, ...]
Report = Callable[[int], None]
"""Told after each block how many rows it had."""
BLOCK = 2**18
"""Numbers in one block of rows."""
FEWEST_ROWS = 1024
"""Rows of a block, however many columns there are."""
NEARLY_CANCEL = 1e-3
"""Singular values of columns of length 1 below this share of the largest."""
HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)

_LAST: WeakKeyDictionary[Cells, tuple[Mapping[str, Any], Statistics]] = WeakKeyDictionary()


def statistics(found: Collapse, data: Mapping[str, Any], report: Report = lambda rows: None) -> Statistics:
    """The statistics of a collapsed site, computed once for the same data: several programs ask for them."""
    known = _LAST.get(found.cells)
    if known is None or known[0] is not data:
        known = (data, _PASSES[type(found)](found, data, report))
        _LAST[found.cells] = known
    return known[1]


def has_pass(found: Collapse) -> bool:
    """Whether the statistics are more than the counts that its cells have."""
    return type(found) in _PASSES


# Sums -----------------------------------------------------------------------------------------------------


def _natural_sums(found: NaturalSums, data: Mapping[str, Any], report: Report) -> Statistics:
    """The sum of each sufficient statistic, (cells, *core) each, of log h and of the weights: (cells,) each."""
    form = found.site.distribution.family.exponential
    assert form is not None
    event = tuple(dim.size for dim in found.site.dims)
    reader, origin = RowReader(found.cells.plates, data), _origin(found, data)
    totals: list[np.ndarray] = []
    width = max(1, int(np.prod(event, initial=1)) ** max(form.ranks))
    for rows in row_blocks(found.cells.plates, max(1, BLOCK // width), found.cells.stream):
        extra = [part for part in (found.weights, found.log_base) if part is not None]
        values, *others = (array.astype(float) for array in reader([found.values, *found.fixed.values(), *extra], rows))
        named = {name: array[:, 0] for name, array in zip(found.fixed, others, strict=False)}
        read = iter(others[len(named) :])
        members = members_at(found.cells, rows, reader)
        weights = np.ones(len(rows)) if found.weights is None else next(read)[:, 0]
        base = 0.0 if found.log_base is None else next(read)[:, 0]
        if origin is not None:
            values = values - (origin if members is None else origin[members])
        shaped = values.reshape(len(rows), *event)
        parts = [*form.statistics(NUMPY, shaped, **named), base + form.log_base(NUMPY, shaped, **named), weights]
        sums = [_by_cell(np.asarray(part, float), members, found.cells.axis.size) for part in parts]
        totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
        report(len(rows))
    return tuple(totals)


def _origin(found: NaturalSums, data: Mapping[str, Any]) -> np.ndarray | None:
    """What the values are counted from: (cells, width)."""
    if found.origin is None:
        return None
    (origin,) = RowReader([found.cells.axis], data)([found.origin], np.arange(found.cells.axis.size))
    return origin


def _by_cell(array: np.ndarray, members: np.ndarray | None, count: int) -> np.ndarray:
    """Sums over the rows of each of `count` cells: (cells, *rest) of (rows, *rest)."""
    if members is None:
        return array.sum(axis=0, keepdims=True)
    flat = array.reshape(len(array), -1)
    sums = [np.bincount(members, weights=column, minlength=count) for column in flat.T]
    return np.stack(sums, axis=-1).reshape(count, *array.shape[1:])


# Least squares ---------------------------------------------------------------------------------------------


def _least_squares(found: LeastSquares, data: Mapping[str, Any], report: Report) -> Statistics:
    """Triangular factors: inside the cells (cells, p, p + q + 1), between them (q, q + 1); the sum of squares that is
    left ((cells,) where the scale is each cell's own, else ()); what is added to the log density, (); and an origin of
    the factors of the columns, (p + q,).

    A row of a triangle times (factors - origin…, -1) is a residual that the mean can make zero. The origin is the
    regression of the first block, cells aside: large values cancel before anything is squared or added up.
    """
    cells, p, q = found.cells, found.local_width, found.shared_width
    folding = _Folding(cells.axis.size if found.by_cell else 0, p, p + q + 1, found.scaled_by_cell)
    constant = -HALF_LOG_TWO_PI * cells.rows
    origin: np.ndarray | None = None
    for members, table, logs in _tables(found, data):
        origin = _solution(table) if origin is None else origin
        table[:, -1] -= table[:, :-1] @ origin
        constant += logs
        folding.add(members, table)
        report(len(table))
    inside, between, left = folding.finish()
    assert origin is not None
    return inside, between, left, np.asarray(constant), origin


def _solution(table: np.ndarray) -> np.ndarray:
    """A least-squares solution for the last column that is not large; 0 where there is none.

    Directions in which the columns nearly cancel are left out: there a solution would be far away.
    """
    columns, values = table[:, :-1], table[:, -1]
    if not np.isfinite(table).all():
        return np.zeros(columns.shape[1])
    norms = np.sqrt(np.sum(columns * columns, axis=0))
    norms[norms == 0.0] = 1.0
    return np.linalg.lstsq(columns / norms, values, rcond=NEARLY_CANCEL)[0] / norms


def _tables(found: LeastSquares, data: Mapping[str, Any]) -> Iterator[tuple[np.ndarray | None, np.ndarray, float]]:
    """Blocks of rows: their cells (None where there is one), their columns with the values last (all over the known
    part of the scale), and what they add to the log density. Arrays are read cell by cell, so that each block has few.
    """
    columns = [*found.local, *found.shared]
    reader = RowReader(found.cells.plates, data)
    wanted: list[Expr] = [found.values]
    wanted += [part for part in (found.offset, found.weight, found.log_base) if part is not None]
    wanted += [column.coefficient for column in columns if column.coefficient is not None]
    order = None if found.cells.members is None else np.argsort(found.cells.members, kind="stable")
    width = found.local_width + found.shared_width + 1
    for block in row_blocks(found.cells.plates, max(FEWEST_ROWS, BLOCK // width), found.cells.stream):
        rows = block if order is None else order[block]
        read = iter(reader(wanted, rows))
        values = next(read).astype(float)
        offset, weight, base = (
            None if part is None else next(read) for part in (found.offset, found.weight, found.log_base)
        )
        parts = [np.ones((len(rows), 1)) if c.coefficient is None else next(read) for c in columns]
        table = np.concatenate([*parts, values if offset is None else values - offset], axis=1)
        logs = 0.0 if base is None else float(base.sum())
        if weight is not None:
            table, logs = table / weight, logs - float(np.log(weight).sum())
        yield members_at(found.cells, rows, reader), table, logs


class _Folding:
    """QR of rows that come block by block: the first `local` columns are eliminated inside their cell.

    Each cell keeps the triangle of all its rows so far. What these leave goes into one more factor that all cells
    share, or stays where `apart` (there is then nothing but the values' column in it).
    """

    def __init__(self, cells: int, local: int, width: int, apart: bool) -> None:
        self._local, self._apart = local, apart
        self._by_cell = local > 0 or apart
        self._inside = np.zeros((cells, local, width))
        self._left = np.zeros(cells)
        self._between = np.zeros((0, width - local))

    def add(self, members: np.ndarray | None, table: np.ndarray) -> None:
        """A block of rows (n, width) with their cells (n,), in any order."""
        if not self._by_cell:
            self._fold(table)
            return
        members = np.zeros(len(table), np.int64) if members is None else members.astype(np.int64)
        if np.any(np.diff(members) < 0):
            order = np.argsort(members, kind="stable")
            members, table = members[order], table[order]
        for cells, factors in _triangles(members, table, self._inside):
            self._inside[cells] = factors[:, : self._local]
            rest = factors[:, self._local :, self._local :]
            if self._apart:
                self._left[cells] += rest[:, 0, 0] ** 2
            else:
                self._fold(rest.reshape(-1, rest.shape[-1]))

    def finish(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rest = self._between.shape[1]
        between = np.zeros((rest, rest))
        if len(self._between):
            factor = _triangle(self._between)
            between[: len(factor)] = factor
        left = self._left if self._apart else np.asarray(between[-1, -1] ** 2)
        return self._inside, between[:-1], left

    def _fold(self, rows: np.ndarray) -> None:
        self._between = _triangle(np.concatenate([self._between, rows]))


def _triangle(rows: np.ndarray) -> np.ndarray:
    """A triangle (at most width, width) with the same squares as the rows (n, width)."""
    return rows if len(rows) <= 1 else np.asarray(np.linalg.qr(rows, mode="r"))


def _triangles(members: np.ndarray, table: np.ndarray, inside: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Triangles (n, width, width) of the rows of each cell, sorted by cell, below what is `inside` it (cells, local,
    width) already; with the cells (n,), those of like size together.
    """
    cells, starts, sizes = np.unique(members, return_index=True, return_counts=True)
    width, local = table.shape[1], inside.shape[1]
    padded = np.concatenate([table, np.zeros((1, width))])
    room = np.maximum(2 ** np.ceil(np.log2(sizes)).astype(int), width - local)
    for length in np.unique(room):
        some = np.flatnonzero(room == length)
        places = starts[some, None] + np.arange(length)
        places = np.where(np.arange(length) < sizes[some, None], places, len(table))
        rows = np.concatenate([inside[cells[some]], padded[places]], axis=1)
        yield cells[some], np.asarray(np.linalg.qr(rows, mode="r"))


_PASSES: Mapping[type[Collapse], Callable[[Any, Mapping[str, Any], Report], Statistics]] = {
    NaturalSums: _natural_sums,
    LeastSquares: _least_squares,
}
