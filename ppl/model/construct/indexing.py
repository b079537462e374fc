"""`base[items]`: slices and plate indices become views, everything else a gather; ranges are checked against data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.model import expressions as ex
from ppl.model import messages
from ppl.model.construct.calls import any_outside, call, check_index, constant, index_values
from ppl.model.construct.naming import gather, named, over, slice_of
from ppl.model.expressions import Dim, Expr
from ppl.model.resolve import evaluate, mask
from ppl.source import Span


@dataclass(frozen=True)
class Cut:
    """A slice `start:stop` among the items of an index; None is the dimension's own end."""

    start: int | None
    stop: int | None


Item = Expr | Cut


def is_affine_index(item: Expr) -> tuple[Axis, int] | None:
    """`(axis, c)` where the item is the index of an axis plus a constant."""
    if isinstance(item, ex.AxisIndex):
        return item.axis, 0
    if isinstance(item, ex.Call) and item.function in ("add", "subtract"):
        left, right = item.arguments
        if isinstance(right, ex.AxisIndex) and item.function == "add":
            left, right = right, left
        if isinstance(left, ex.AxisIndex) and right.type.static and not right.type.axes and not right.type.dims:
            offset = evaluate(right).array
            if offset.dtype.kind in "iu":
                return left.axis, int(offset) if item.function == "add" else -int(offset)
    return None


def index(base: Expr, items: Sequence[Item], span: Span | None = None, guard: Expr | None = None) -> Expr:
    """`base[items]`. Where `guard` (a static condition) is false an index out of range is not an error."""
    if len(items) > len(base.type.dims):
        has = messages.plural(len(base.type.dims), "dimension")
        given = "1 index" if len(items) == 1 else f"{len(items)} indices"
        said = f"has {has}" if base.type.dims else "is a single number"
        raise ModelError.of("E307", span, f"{given}, but {messages.written(base)} {said}")
    current, pending = base, list[Expr | None]()
    for item in items:
        dim = len(pending)
        if isinstance(item, Cut):
            current = _cut(current, dim, item, span)
            pending.append(None)
            continue
        affine = is_affine_index(item)
        if (
            affine is not None
            and affine[0] not in current.type.axes
            and (guard is None or _in_range(current.type.dims[dim], *affine))
        ):
            current = _name_range(current, dim, *affine, item.span or span)
        else:
            pending.append(_checked_item(item, current.type.dims[dim], span, guard))
    found = current if all(item is None for item in pending) else gather(current, pending, span)
    return replace(found, span=span) if span is not None else found


def _cut(base: Expr, dim: int, cut: Cut, span: Span | None) -> Expr:
    size, origin = base.type.dims[dim].size, base.type.dims[dim].origin
    start = 0 if cut.start is None else cut.start - origin
    stop = size if cut.stop is None else cut.stop - origin
    if not 0 <= start <= stop <= size:
        raise ModelError.of(
            "E306", span, f"slice {start + origin}:{stop + origin} of a dimension of length {size}",
            "indices count from 0 and do not wrap around",
        )  # fmt: skip
    return base if (start, stop) == (0, size) and not origin else slice_of(base, dim, start, stop)


def _in_range(dim: Dim, axis: Axis, offset: int) -> bool:
    return dim.origin <= axis.start + offset and axis.stop + offset <= dim.origin + dim.size


def _name_range(base: Expr, dim: int, axis: Axis, offset: int, span: Span | None) -> Expr:
    """`base[…, i + offset, …]` for the index `i` of an axis."""
    known = base.type.dims[dim]
    if not _in_range(known, axis, offset):
        own = isinstance(base, ex.Lift) and axis in base.axes
        raise messages.lag_outside(axis, offset, known, span, own)
    start = axis.start + offset - known.origin
    stop = start + axis.size
    if (start, stop) != (0, known.size):
        base = slice_of(base, dim, start, stop)
    return named(base, dim, axis)


def _checked_item(item: Expr, dim: Dim, span: Span | None, guard: Expr | None) -> Expr:
    """The item counted from 0, in range; where a guard is false it need not have been."""
    span = item.span or span
    if dim.origin:
        item = call("subtract", [item, constant(dim.origin)], span)
    values = index_values(item, span)
    if guard is not None and values is not None and any_outside(values, dim):
        item = _guarded(item, dim, guard, span)
    check_index(item, dim, span)
    return item


def _guarded(item: Expr, dim: Dim, guard: Expr, span: Span | None) -> Expr:
    """0 in place of an index where `guard` is false, along as few axes as will do."""
    if not guard.type.dims and not set(guard.type.axes) <= set(item.type.axes):
        narrow = over(mask(guard, item.type.axes), item.type.axes)
        narrowed = call("where", [narrow, item, constant(0)], span)
        if not any_outside(evaluate(narrowed), dim):
            return narrowed
    return call("where", [guard, item, constant(0)], span)
