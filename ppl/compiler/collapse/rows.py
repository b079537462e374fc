"""The rows of a site: what tells them apart, which share a cell, and their data read block by block."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.collapse import Cells
from ppl.model.expressions import Expr
from ppl.model.kinds import KindsSoFar
from ppl.model.resolve import NumpyLanguage, Resolved, Resolver, evaluate
from ppl.model.rewrite import rewritten, selected

READ = 2**15
"""Numbers of one block of rows where they are told apart as they are read."""
MOST_KINDS, MOST_TOLD_BY = 2**16, 2**21
"""Kinds of rows that are told apart so, and numbers that tell them apart."""
SAMPLE = 2**14
"""Rows that are looked at before all of them are."""
_DENSE_CODES = 4
"""Whole numbers that range over up to this many times the number of rows are told apart without sorting."""


class RowReader:
    """Reads static expressions at some of the rows over `plates`.

    What does not vary over the rows is worked out once. `data` are the arrays, by default those that were bound; what
    is read row by row comes from where it lies.
    """

    def __init__(self, plates: Sequence[Axis], data: Mapping[str, Any] | None = None) -> None:
        self.plates = tuple(plates)
        self._language = _Bound(data)
        self._fixed = _Seeded(self._language)

    def __call__(self, expressions: Iterable[Expr], rows: np.ndarray) -> list[np.ndarray]:
        """The values at rows (n,), each (n, width) with what is not the row flattened."""
        places = dict(zip(self.plates, np.unravel_index(rows, [a.size for a in self.plates]), strict=True))
        axis = construct.fresh_axis("row", len(rows))
        read = _Reading()
        with np.errstate(all="ignore"):
            moved = [rewritten(self._moved(expression, places, axis), read) for expression in expressions]
            resolver = _Seeded(self._language, self._fixed)
            return [_row_first(resolver(expression), axis) for expression in moved]

    def _moved(self, expression: Expr, places: Mapping[Axis, np.ndarray], axis: Axis) -> Expr:
        for node in ex.walk(expression):
            if not set(node.type.axes) & places.keys() and not isinstance(node, ex.Streamed):
                self._fixed(node)
        return selected(expression, places, axis)


class _Reading:
    """Puts rows that are read in place of what looks them up; each column is read once, at the same rows."""

    def __init__(self) -> None:
        self._done: dict[str, tuple[ex.Expr, Expr]] = {}

    def __call__(self, node: Expr) -> Expr | None:
        if not isinstance(node, ex.Gather) or not isinstance(node.base, ex.Streamed):
            return None
        item, column = node.items[0], node.base.column
        assert item is not None
        if column.name not in self._done:
            found = evaluate(item)
            self._done[column.name] = (node, construct.over(column.at(np.asarray(found.array)), found.axes))
        return self._done[column.name][1]


def _row_first(found: Resolved[Any], axis: Axis) -> np.ndarray:
    """An array (rows, the rest flattened)."""
    array = np.asarray(found.array)
    if axis in found.axes:
        return np.moveaxis(array, found.axes.index(axis), 0).reshape(axis.size, -1)
    return np.broadcast_to(array.reshape(1, -1), (axis.size, array.size))


class _Bound(NumpyLanguage):
    """Reads data from a mapping."""

    def __init__(self, data: Mapping[str, Any] | None) -> None:
        self._data = data

    def data(self, name: str, value: np.ndarray) -> Any:
        return value if self._data is None else np.asarray(self._data[name])


class _Seeded(Resolver[Any]):
    """A resolver that knows what another has done."""

    def __init__(self, language: NumpyLanguage, known: _Seeded | None = None) -> None:
        super().__init__(language)
        if known is not None:
            self._done = dict(known._done)


def keys(node: Expr, plates: Collection[Axis]) -> Iterator[Expr]:
    """Static expressions that tell apart the elements of `node` along `plates`."""
    varying = [axis for axis in node.type.axes if axis in plates]
    if not varying:
        return
    if node.type.static:
        yield node
    elif isinstance(node, ex.Lift):
        yield from keys(node.base, [axis for axis in varying if axis not in node.axes])
    elif isinstance(node, ex.Named):
        if node.axis in plates:
            yield construct.axis_index(node.axis)
        yield from keys(node.base, [axis for axis in varying if axis != node.axis])
    elif isinstance(node, ex.Call | ex.Gather | ex.SliceOf | ex.LogDensity):
        for child in node.children:
            yield from keys(child, varying)
    else:
        yield from map(construct.axis_index, varying)


def row_blocks(plates: Sequence[Axis], size: int, stream: Axis | None = None) -> Iterator[np.ndarray]:
    """All the rows over `plates`, about `size` at a time: in order, or by consecutive elements of `stream`."""
    sizes = [axis.size for axis in plates]
    total = math.prod(sizes)
    if stream is None or stream == plates[0]:
        for start in range(0, total, size):
            yield np.arange(start, min(start + size, total))
        return
    step = max(1, size * stream.size // total)
    for start in range(0, stream.size, step):
        part = np.arange(start, min(start + step, stream.size))
        at = [part if axis == stream else np.arange(axis.size) for axis in plates]
        yield np.ravel_multi_index(np.ix_(*at), sizes).reshape(-1)


def stream_of(expressions: Iterable[Expr]) -> Axis | None:
    """The plate along which they read data row by row; None where all data are at hand."""
    for node in ex.walk(*expressions):
        if isinstance(node, ex.Named) and isinstance(node.base, ex.Streamed):
            return node.axis
    return None


def all_positive(expression: Expr, plates: Sequence[Axis]) -> bool:
    """Whether a static expression is positive at all rows."""
    stream = stream_of([expression])
    if stream is None:
        return bool(np.all(evaluate(expression).array > 0))
    reader = RowReader(plates)
    return all(np.all(reader([expression], rows)[0] > 0) for rows in row_blocks(plates, READ, stream))


def sorted_into_cells(
    name: str, plates: Sequence[Axis], told_by: Sequence[Expr], most: float, stream: Axis | None = None
) -> Cells | None:
    """Cells of rows at which the static expressions `told_by` agree; None where there are more than `most`.

    A sample of the rows tells of most hopeless cases. Where rows are read along the plate `stream`, they are gone
    through until there are too many kinds.
    """
    single = Cells(tuple(plates), construct.fresh_axis(f"{name}_cells", 1), stream=stream)
    if not told_by:
        return single
    rows = single.rows
    most = min(most, float(rows - 1))
    if stream is not None:
        return _told_apart(single, told_by, most)
    if rows > 4 * SAMPLE:
        sample = np.sort(np.random.default_rng(0).choice(rows, SAMPLE, replace=False))
        seen = int(_codes(RowReader(plates)(told_by, sample)).max()) + 1
        if min(_at_least(seen, SAMPLE), rows) > most:
            return None
    codes = _codes([_all_rows(each, plates) for each in told_by])
    count = int(codes.max()) + 1
    if count > most:
        return None
    axis = construct.fresh_axis(f"{name}_cells", count)
    return Cells(tuple(plates), axis, codes.astype(np.min_scalar_type(count)))


def _told_apart(single: Cells, told_by: Sequence[Expr], most: float) -> Cells | None:
    """`sorted_into_cells` in one pass through rows that are not all at hand."""
    found, reader = KindsSoFar(min(most, MOST_KINDS), MOST_TOLD_BY), RowReader(single.plates)
    width = sum(math.prod(each.type.event) for each in told_by)
    for rows in row_blocks(single.plates, max(1, READ // max(1, width)), single.stream):
        values = reader(told_by, rows)
        found.add(values, rows)
        if found.lost:
            return None
    axis = replace(single.axis, size=len(found))
    return replace(single, axis=axis, kinds=found.numbered(told_by, _codes(found.values)))


def members_at(cells: Cells, rows: np.ndarray, reader: RowReader) -> np.ndarray | None:
    """The cell of each of the rows (n,); None where there is but one."""
    if cells.kinds is not None:
        return cells.kinds.find(reader(cells.kinds.told_by, rows))
    return None if cells.members is None else cells.members[rows]


def _all_rows(expression: Expr, plates: Sequence[Axis]) -> np.ndarray:
    """The values at all rows, (rows, width); a view of the data where it can be."""
    found = evaluate(expression)
    array, inside = np.asarray(found.array), [axis for axis in plates if axis in found.axes]
    array = np.moveaxis(array, [found.axes.index(axis) for axis in inside], range(len(inside)))
    shape = array.shape[len(inside) :]
    width, sizes = math.prod(shape), [axis.size for axis in plates]
    array = array.reshape(*(axis.size if axis in inside else 1 for axis in plates), width)
    return np.broadcast_to(array, (*sizes, width)).reshape(math.prod(sizes), width)


def _at_least(seen: int, sample: int) -> float:
    """About how many kinds of rows there are at least, told from how many were seen in a sample.

    Of `kinds` equally frequent ones about `sample² / (2 kinds)` come twice.
    """
    return max(seen, 0.25 * sample**2 / (2.0 * (sample - seen + 1)))


def _codes(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers 0, 1, … that tell different rows of the columns (n, width) apart: (n,)."""
    codes, kinds = np.zeros(len(columns[0]), np.int64), 1
    for column in (part for array in columns for part in array.T):
        more, number = _column_codes(column)
        codes, kinds = codes * number + more, kinds * number
        if kinds > _DENSE_CODES * len(codes):
            codes, kinds = _column_codes(codes)
    return _column_codes(codes)[0]


def _column_codes(column: np.ndarray) -> tuple[np.ndarray, int]:
    """The numbers of the different values in increasing order, and how many there are."""
    if column.dtype.kind in "bui":
        column = column.astype(np.int64)
        low, high = int(column.min()), int(column.max())
        if high - low < _DENSE_CODES * len(column):
            there = np.zeros(high - low + 1, bool)
            there[column - low] = True
            return (np.cumsum(there) - 1)[column - low], int(there.sum())
    kinds, codes = np.unique(column, return_inverse=True)
    return codes.reshape(-1), len(kinds)


def first_places(cells: Cells) -> dict[Axis, np.ndarray]:
    """Where the first row of each cell stands along each plate."""
    first = np.zeros(1, np.int64)
    if cells.kinds is not None:
        first = cells.kinds.first
    elif cells.members is not None:
        first = np.zeros(cells.axis.size, np.int64)
        first[cells.members[::-1]] = np.arange(cells.rows)[::-1]  # the last one written stays
    return dict(zip(cells.plates, np.unravel_index(first, [axis.size for axis in cells.plates]), strict=True))


def at_cells(expression: Expr, cells: Cells, places: Mapping[Axis, np.ndarray]) -> Expr:
    """The expression at the first row of each cell; `places` are `first_places`."""
    there = rewritten(selected(expression, places, cells.axis), _Reading())
    return rewritten(there, lambda node: _read_in_order(node, cells.axis))


def _read_in_order(node: Expr, axis: Axis) -> Expr | None:
    """`a[axis]` in place of `a[0, 1, 2, … along axis]`: there is one cell for each element."""
    if not isinstance(node, ex.Gather) or len(node.items) != 1 or axis in node.base.type.axes:
        return None
    (item,) = node.items
    if item is None or not item.type.static or item.type.axes != (axis,) or item.type.dims:
        return None
    in_order = node.base.type.event == (axis.size,) and np.array_equal(evaluate(item).array, np.arange(axis.size))
    return construct.named(node.base, 0, axis) if in_order else None
