"""The log density of a collapsed site as operations on its statistics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ppl.axes import DRAW, Axis, union
from ppl.compiler.collapse.statistics import statistics
from ppl.compiler.programs.arrays import Ref
from ppl.compiler.programs.writer import Writer
from ppl.model.collapse import Cells, Collapse, Column, Counts, LeastSquares, NaturalSums
from ppl.model.resolve import Resolved

Value = Resolved[Ref]


def collapsed_term(writer: Writer, found: Collapse) -> Value:
    """The log density of the site; where it has the axis of the cells, one for each of them."""
    return _TERMS[type(found)](writer, found)


def _counts(writer: Writer, found: Counts) -> Value:
    single = found.single
    assert single.observed is not None
    return times_counts(writer, found.cells, writer.density(single, writer.resolver(single.observed)))


def times_counts(writer: Writer, cells: Cells, term: Value) -> Value:
    """A term for each cell, as often as there are rows in it."""
    counts = Resolved(writer.recorder.constant(cells.counts), (cells.axis,), 0)
    first, second = writer.resolver.align([counts, term])
    return Resolved(writer.recorder.record("{} * {}", (first, second)), union([counts.axes, term.axes]), 0)


def _statistics(writer: Writer, found: Collapse, count: int) -> list[Ref]:
    """The arrays of the statistics, of which there are `count`."""
    name = writer.recorder.function(f"statistics_of_{found.site.name}", lambda xp, data: statistics(found, data))
    whole = writer.recorder.record(f"{name}(data)", static=True)
    return [writer.recorder.record(f"{{}}[{number}]", (whole,)) for number in range(count)]


# Exponential families ---------------------------------------------------------------------------------------


def _natural_sums(writer: Writer, found: NaturalSums) -> Value:
    form = found.site.distribution.family.exponential
    assert form is not None
    recorder, axis = writer.recorder, found.cells.axis
    items = {name: writer.resolver(part) for name, part in found.arguments.items()}
    *sums, log_base, weights = _statistics(writer, found, len(form.ranks) + 2)
    for number, (ref, rank) in enumerate(zip(sums, form.ranks, strict=True)):
        items[f"sum_{number}"] = Resolved(ref, (axis,), rank)
    items |= {"log_base": Resolved(log_base, (axis,), 0), "weights": Resolved(weights, (axis,), 0)}
    named = dict(zip(items, writer.resolver.align(list(items.values())), strict=True))
    density = _density_of_sums(found)
    ref = recorder.invoke(f"{found.site.distribution.name}_log_density_of_sums", density, [], named)
    return Resolved(ref, union(item.axes for item in items.values()), 0)


def _density_of_sums(found: NaturalSums) -> Callable[..., Any]:
    form = found.site.distribution.family.exponential
    assert form is not None
    names, fixed = tuple(found.arguments), form.fixed

    def implementation(xp: Any, log_base: Any, weights: Any, **named: Any) -> Any:
        natural = form.natural(xp, **{name: named[name] for name in names})
        total = log_base - weights * form.log_normaliser(xp, *natural, **{name: named[name] for name in fixed})
        for number, (parameter, rank) in enumerate(zip(natural, form.ranks, strict=True)):
            summed = named[f"sum_{number}"]
            # a sum of zero adds nothing, also where the parameter is infinite: no counts at a rate of 0
            product = xp.where(summed == 0.0, 0.0, parameter) * summed
            total = total + (xp.sum(product, axis=tuple(range(-rank, 0))) if rank else product)
        return total

    return implementation


# Least squares ----------------------------------------------------------------------------------------------


def _least_squares(writer: Writer, found: LeastSquares) -> Value:
    """`constant - rows log scale - (sum of squared residuals) / (2 scale^2)`, for each cell where scales differ."""
    recorder, cell = writer.recorder, found.cells.axis
    inside, between, left, constant, origin = _statistics(writer, found, 5)
    columns = _columns(writer, [*found.local, *found.shared], origin)
    p, q = found.local_width, found.shared_width
    squares = Resolved(left, (cell,) if found.scaled_by_cell else (), 0)
    if p:
        term = _squares(writer, inside, p, (cell,), columns)
        squares = _sum(writer, squares, term if found.scaled_by_cell else _over_cells(writer, term, cell))
    if q:
        squares = _sum(writer, squares, _squares(writer, between, q, (), columns[len(found.local) :]))
    if found.scale is None:
        density = recorder.record("{} - 0.5 * {}", (constant, squares.array))
        return Resolved(density, squares.axes, 0)
    counts, own = (found.cells.counts, (cell,)) if found.scaled_by_cell else (float(found.cells.rows), ())
    items = [squares, writer.resolver(found.scale), Resolved(recorder.constant(counts), own, 0)]
    density = recorder.invoke("log_density_of_squares", _density_of_squares, writer.resolver.align(items), {})
    term = Resolved(density, union(item.axes for item in items), 0)
    return _sum(writer, _over_cells(writer, term, cell) if own else term, Resolved(constant, (), 0))


def _density_of_squares(xp: Any, squares: Any, scale: Any, rows: Any) -> Any:
    return -0.5 * squares / (scale * scale) - rows * xp.log(scale)


def _sum(writer: Writer, left: Value, right: Value) -> Value:
    refs = writer.resolver.align([left, right])
    return Resolved(writer.recorder.record("{} + {}", refs), union([left.axes, right.axes]), left.event_rank)


def _over_cells(writer: Writer, term: Value, cell: Axis) -> Value:
    array = writer.recorder.sum(term.array, [term.axes.index(cell)])
    return Resolved(array, tuple(axis for axis in term.axes if axis != cell), 0)


def _columns(writer: Writer, columns: Sequence[Column], origin: Ref) -> list[tuple[int, Value]]:
    """The width of each column and the sum of its factors, from the origin: a scalar or an event of that length."""
    found, done = [], 0
    for column in columns:
        first, *others = map(writer.resolver, column.factors)
        for other in others:
            first = _sum(writer, first, other)
        place = f"{done}:{done + column.width}" if first.event_rank else f"{done}"
        refs = writer.resolver.align([first, Resolved(_part(writer, origin, place), (), first.event_rank)])
        found.append((column.width, replace(first, array=writer.recorder.record("{} - {}", refs))))
        done += column.width
    return found


def _part(writer: Writer, array: Ref, place: str) -> Ref:
    return writer.recorder.record(f"{{}}[{place}]", (array,))


def _squares(
    writer: Writer, triangle: Ref, rows: int, cell: tuple[Axis, ...], columns: Sequence[tuple[int, Value]]
) -> Value:
    """The sum of squares of a triangle times (the columns…, -1), for each cell that has one."""
    recorder, lead, done = writer.recorder, ":, " * len(cell), 0
    parts: list[Value] = []
    for width, column in columns:
        block = _part(writer, triangle, f"{lead}:, {done}:{done + width}")
        parts.append(_rows_times(writer, block, cell, (rows, width), column))
        done += width
    residual = Resolved(recorder.record("-{}", (_part(writer, triangle, f"{lead}:, {done}"),)), cell, 1)
    for part in parts:
        residual = _sum(writer, residual, part)
    ref = recorder.invoke("sum_of_squares", lambda xp, x: xp.sum(x * x, axis=-1), [residual.array], {})
    return Resolved(ref, residual.axes, 0)


def _rows_times(writer: Writer, block: Ref, cell: tuple[Axis, ...], shape: tuple[int, int], item: Value) -> Value:
    """A block of columns, (cell, *shape) or (*shape,), times what they multiply: its value in each row, an event."""
    recorder, resolver = writer.recorder, writer.resolver
    rows, width = shape
    axes = union([cell, item.axes])
    if not item.event_rank:
        column = Resolved(recorder.record("{}[..., 0]", (block,)), cell, 1)
        refs = resolver.align([column, Resolved(recorder.record("{}[..., None]", (item.array,)), item.axes, 1)])
        return Resolved(recorder.record("{} * {}", refs), axes, 1)
    if cell and cell[0] in item.axes:
        row = Resolved(recorder.record("{}[..., None, :]", (item.array,)), item.axes, 2)
        product = recorder.record("{} * {}", resolver.align([Resolved(block, cell, 2), row]))
        return Resolved(recorder.record("xp.sum({}, axis=-1)", (product,)), axes, 1)
    if not cell:
        return Resolved(recorder.record("{} @ {}.T", (item.array, block)), axes, 1)
    flat = recorder.reshape(block, (-1, width))
    product = recorder.record("{} @ {}.T", (item.array, flat))
    draws = tuple(-1 for axis in item.axes if axis == DRAW)
    return Resolved(recorder.reshape(product, (*draws, cell[0].size, rows)), axes, 1)


_TERMS: Mapping[type[Collapse], Callable[[Writer, Any], Value]] = {
    Counts: _counts,
    NaturalSums: _natural_sums,
    LeastSquares: _least_squares,
}
