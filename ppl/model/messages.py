"""The words of the middle: how its messages name values, shapes and single elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.model import expressions as ex
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.resolve import Resolved
from ppl.source import Span

SHOWN = 40
"""The longest expression that a message repeats in full, in characters."""


def written(value: Expr) -> str:
    """A value as it stands in the source, or what is known of it where the source is long or unknown."""
    text = " ".join(value.span.text.split()) if value.span is not None else ""
    if not text:
        return f"a value of shape {value.type}"
    return text if len(text) <= SHOWN else f"{text[:SHOWN].rstrip()}…"


def extent(kind: Type) -> str:
    """`has length 3 (N)`, `has shape [3 (N), 2]` or `is a single number`."""
    if not kind.dims:
        return "is a single number"
    return f"has length {kind.dims[0]}" if len(kind.dims) == 1 else f"has shape {kind}"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def number(value: Any) -> str:
    return f"{np.asarray(value).item():.12g}"


def places(where: Sequence[int], axes: Sequence[Axis]) -> str:
    """`n = 1, j = 0`: the indices at which an element stands along its axes."""
    pairs = zip(axes, where, strict=False)
    return ", ".join(f"{axis.name} = {int(place) + axis.start}" for axis, place in pairs)


def first_false(mask: np.ndarray) -> tuple[int, ...]:
    """Where the first element stands that is not true."""
    return tuple(int(place) for place in np.unravel_index(int(np.argmin(mask)), mask.shape))


def bad_element(value: Expr, found: Resolved[Any], good: np.ndarray) -> str:
    """`it is -1`, `s[1] is -2`, `s[n] is -2 at n = 1`, `p is not at n = 3`: the first element that is not good."""
    where = first_false(good)
    rank = len(found.axes)
    if rank == found.array.ndim == 0:
        return f"it is {number(found.array)}"
    name, inside = written(value), ", ".join(map(str, where[rank:]))
    if inside:
        name = f"{name}[{inside}]" if name.isidentifier() else f"element [{inside}] of {name}"
    said = f"is {number(found.array[where])}" if good.ndim == found.array.ndim else "is not"
    at = places(where, found.axes)
    return f"{name} {said} at {at}" if at else f"{name} {said}"


def range_end(value: Expr, found: Resolved[Any], where: dict[Axis, int]) -> str:
    """The end of a support at one element: `n[4] = 10` where it is data, else the number."""
    inside = tuple(where[axis] for axis in found.axes)
    shown = number(found.array[inside])
    while isinstance(value, ex.Named | ex.Lift | ex.SliceOf):
        value = value.base
    if not isinstance(value, ex.Data):
        return shown
    at = ", ".join(str(where[axis] + axis.start) for axis in found.axes)
    return f"{value.name}[{at}] = {shown}" if at else f"{value.name} = {shown}"


def shapes_differ(one: tuple[Type, str], other: tuple[Type, str], span: Span | None) -> ModelError:
    """The shapes of two values differ; each is given with what it is called."""
    (left, left_name), (right, right_name) = one, other
    expected = "" if len(left.dims) == len(right.dims) else "arithmetic is elementwise on equal shapes or with scalars"
    return ModelError.of("E301", span, f"{left_name} {extent(left)}, {right_name} {extent(right)}", expected)


def labels_differ(one: tuple[Dim, str], other: tuple[Dim, str], span: Span | None) -> ModelError:
    """The lengths of two values agree, but not what they run over."""
    (left, left_name), (right, right_name) = one, other
    found = f"{left_name} runs over `{left.label}` and {right_name} over `{right.label}`"
    return ModelError.of(
        "E302", span, f"{found}, different dimensions though both have length {left.size} here",
        "index both by the same plate",
    )  # fmt: skip


def valid_range(dim: Dim) -> str:
    """`0..2 (N)`: the indices that a dimension has."""
    if not dim.size:
        return "a dimension without elements"
    label = f" ({dim.label})" if dim.label and dim.label != str(dim.size) else ""
    return f"{dim.origin}..{dim.origin + dim.size - 1}{label}"


def index_outside(item: Expr, found: Resolved[Any], dim: Dim, span: Span | None) -> ModelError:
    """An index out of range, with the first place where it is; indices in `found` count from 0."""
    valid = (found.array >= 0) & (found.array < dim.size)
    where = first_false(valid)
    at = places(where, found.axes)
    text = f"index {int(found.array[where]) + dim.origin}" + (f" at {at}" if at else "")
    code = "E506" if any(isinstance(node, ex.AxisIndex) for node in ex.walk(item)) else "E306"
    expected = "" if at else "indices count from 0 and do not wrap around"
    return ModelError.of(code, span, f"{text} is outside {valid_range(dim)}", expected)


def lag_outside(axis: Axis, offset: int, dim: Dim, span: Span | None, own: bool) -> ModelError:
    """`x[i + offset]` out of range for the index `i` of an axis, which `x` may run along by its `own` definition."""
    first = dim.origin - offset
    if axis.start < first:
        condition = f"{axis.name} == {axis.start}" if first == axis.start + 1 else f"{axis.name} < {first}"
        found = f"index {axis.start + offset} at {axis.name} = {axis.start}"
        start = "" if own else f"start `{axis.name}` at {first} or "
        return ModelError.of("E506", span, found, f"{start}guard with `if {condition}`")
    bad = dim.origin + dim.size - offset
    return ModelError.of("E506", span, f"index {bad + offset} at {axis.name} = {bad} is outside {valid_range(dim)}")
