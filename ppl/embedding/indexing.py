"""NumPy's index expressions on operands: integers, slices, arrays, symbols, `...` and `None`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.embedding.operand import Operand, as_operand
from ppl.embedding.spans import located
from ppl.embedding.state import CURRENT
from ppl.errors import ModelError
from ppl.model import construct, ragged
from ppl.model.construct import Cut, Item
from ppl.model.expressions import Dim, Expr
from ppl.source import Span


def take(operand: Operand, key: Any, span: Span | None) -> Operand:
    """`operand[key]` as NumPy has it, but that indices in arrays do not wrap around. Raises ModelError."""
    written = key if isinstance(key, tuple) else (key,)
    keys = _expanded(written, operand.rank, span)
    if operand.inserted and _keeps_all(keys):
        return Operand(operand.expression, _inserted_again(operand, keys))
    value = operand.whole()
    dims = iter(value.type.dims)
    items = [_item(part, next(dims), span) for part in keys if part is not None]
    if any(_rank(item) for item in items):
        _check_adjacent(written, span)
    result = value if _keeps_all(keys) else _indexed(value, items, span)
    return Operand(result, _inserted(keys, items))


def _check_adjacent(keys: Sequence[Any], span: Span | None) -> None:
    """Where indices with arrays among them are apart, NumPy moves the result's dimensions; that is not done here."""
    places = [
        place
        for place, part in enumerate(keys)
        if part is not None and part is not Ellipsis and not isinstance(part, slice)
    ]
    if places[-1] - places[0] >= len(places):
        raise ModelError.of("E312", span, "an array of indices apart from another index", "index in two steps")


def _keeps_all(keys: Sequence[Any]) -> bool:
    return all(part is None or (isinstance(part, slice) and part == slice(None)) for part in keys)


def _expanded(keys: tuple[Any, ...], rank: int, span: Span | None) -> tuple[Any, ...]:
    """`...` written out as full slices."""
    places = [i for i, part in enumerate(keys) if part is Ellipsis]
    if len(places) > 1:
        raise ModelError.of("E312", span, "an index has one `...` at most")
    used = sum(1 for part in keys if part is not None and part is not Ellipsis)
    if used > rank:
        raise ModelError.of("E307", span, f"{used} indices for {rank} dimension{'s' * (rank != 1)}")
    fill = (slice(None),) * (rank - used)
    place = places[0] if places else len(keys)
    return (*keys[:place], *fill, *keys[place + 1 :])


def _item(part: Any, dim: Dim, span: Span | None) -> Item:
    if isinstance(part, slice):
        return _cut(part, dim, span)
    if isinstance(part, bool | np.bool_):
        raise ModelError.of("E312", span, "a truth value is not an index")
    if isinstance(part, int | np.integer):
        return construct.constant(_from_front(int(part), dim))
    if isinstance(part, list | np.ndarray) and np.asarray(part).dtype.kind == "b":
        return _mask(np.asarray(part), dim, span)
    item = as_operand(part, span).whole()
    if item.type.domain == "boolean" and not item.type.static:
        raise ModelError.of("E312", span, "a random truth value cannot select elements", fix="write: np.where(…)")
    return item


def _from_front(index: int, dim: Dim) -> int:
    return index + dim.origin + dim.size if index < 0 else index


def _cut(part: slice, dim: Dim, span: Span | None) -> Cut:
    if part.step not in (None, 1):
        raise ModelError.of("E312", span, f"a slice has step 1, not {part.step}", "np.flip reverses a vector")
    ends = (part.start, part.stop)
    if not all(end is None or isinstance(end, int | np.integer) for end in ends):
        raise ModelError.of("E312", span, "the ends of a slice must be whole numbers known from the data")
    start, stop = (None if end is None else _from_front(int(end), dim) for end in ends)
    return Cut(start, stop)


def _mask(mask: np.ndarray, dim: Dim, span: Span | None) -> Expr:
    if mask.shape != (dim.size,):
        raise ModelError.of("E312", span, f"a mask of shape {list(mask.shape)} for a dimension of length {dim}")
    return construct.constant(np.flatnonzero(mask) + dim.origin)


def _indexed(value: Expr, items: Sequence[Item], span: Span | None) -> Expr:
    state = CURRENT.get()
    guard, uneven = (None, {}) if state is None else (state.guard, state.builder.ragged)

    def build(expressions: Sequence[Expr]) -> Expr:
        rest = iter(expressions[1:])
        found = [item if isinstance(item, Cut) else next(rest) for item in items]
        ragged.check_index(expressions[0], found, uneven, guard, span)
        taken = construct.index(expressions[0], found, span, guard)
        return taken if guard is None else ragged.filled(taken, guard)

    operands = [value, *(item for item in items if isinstance(item, Expr))]
    result = located(build, operands, span)
    return result if result is value else replace(result, span=span)


def _rank(item: Item) -> int:
    return 0 if isinstance(item, Cut) else len(item.type.dims)


def _inserted(keys: Sequence[Any], items: Sequence[Item]) -> tuple[int, ...]:
    """Positions of the `None`s of a key among the dimensions of the result; all arrays make one group of them."""
    remaining = iter(items)
    position, gathered, inserted = 0, False, []
    for part in keys:
        item = None if part is None else next(remaining)
        if item is None:
            inserted.append(position)
        if item is None or isinstance(item, Cut):
            position += 1
        elif not gathered:
            position += _rank(item)
            gathered = _rank(item) > 0
    return tuple(inserted)


def _inserted_again(operand: Operand, keys: Sequence[Any]) -> tuple[int, ...]:
    """Positions of old and new inserted dimensions, all others being kept."""
    old, inserted = 0, []
    for position, part in enumerate(keys):
        if part is None or old in operand.inserted:
            inserted.append(position)
        old += part is not None
    return tuple(inserted)
