"""Constants, data, indices and calls of functions: shapes are checked and types inferred."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.constraints import SUPPORTS, is_within
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS, UNKNOWN, Function, for_ranks
from ppl.model import expressions as ex
from ppl.model import messages
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.resolve import Resolved, evaluate
from ppl.source import Span
from ppl.streams import Column

LARGEST = 2**28
"""Numbers in the largest array of a model: 2 GiB."""


_fresh_order = itertools.count(1_000)


def fresh_axis(name: str, size: int, start: int = 0) -> Axis:
    """An axis for the index of a comprehension or a matrix product; different from all others."""
    return Axis(name, size, start, order=next(_fresh_order))


def constant(value: Any, span: Span | None = None) -> ex.Constant:
    array = np.asarray(value)
    dims = tuple(Dim(size) for size in array.shape)
    return ex.Constant(Type((), dims, domain_of(array)), span, value if array.ndim == 0 else array)


def data(name: str, value: np.ndarray, span: Span | None = None, labels: Sequence[str | None] = ()) -> ex.Data:
    padded = [*labels, *[None] * (value.ndim - len(labels))]
    dims = tuple(Dim(size, label) for size, label in zip(value.shape, padded, strict=True))
    return ex.Data(Type((), dims, domain_of(value)), span, name, value)


def streamed(name: str, column: Column, span: Span | None = None, labels: Sequence[str | None] = ()) -> ex.Streamed:
    """Data that are read row by row. Their domain is told by one pass through them."""
    padded = [*labels, *[None] * (column.ndim - len(labels))]
    dims = tuple(Dim(size, label) for size, label in zip(column.shape, padded, strict=True))
    ends = np.array([column.facts.lowest, column.facts.highest]).astype(column.dtype)
    return ex.Streamed(Type((), dims, domain_of(ends), static=False), span, name, column)


def domain_of(array: np.ndarray) -> str:
    """The narrowest scalar support that surely holds all the numbers of an array."""
    if array.dtype.kind == "b":
        return "boolean"
    if array.size == 0 or not np.all(np.isfinite(array)):
        return UNKNOWN
    whole = array.dtype.kind in "iu"
    if np.all(array > 0):
        return "count" if whole else "positive"
    if np.all(array >= 0):
        return "count" if whole else "nonnegative"
    return "integer" if whole else UNKNOWN


def check_room(sizes: Sequence[int], span: Span | None) -> None:
    """Raise ModelError for the shape of an array that no machine at hand has room for."""
    count = math.prod(sizes)
    if count > LARGEST:
        shape = " x ".join(map(str, sizes))
        said = f"an array of {shape} numbers" if len(sizes) > 1 else f"an array of {count} numbers"
        raise ModelError.of("E319", span, said, f"the limit is {LARGEST}")


def roomy(kind: Type, span: Span | None, read: Sequence[Expr] = ()) -> Type:
    """A type of which arrays may be made, or need not be: `check_room` unless it `fits`."""
    sizes = [*(axis.size for axis in kind.axes), *kind.event]
    if not fits(sizes, read):
        check_room(sizes, span)
    return kind


def fits(sizes: Sequence[int], read: Sequence[Expr]) -> bool:
    """Whether an array of this shape may be made, or never is: what is `read` has rows that are not all in memory."""
    return math.prod(sizes) <= LARGEST or any(isinstance(node, ex.Streamed) for node in ex.walk(*read))


def axis_index(axis: Axis, span: Span | None = None) -> ex.AxisIndex:
    return ex.AxisIndex(roomy(Type((axis,), (), "integer"), span), span, axis)


def call(name: str, arguments: Sequence[Expr], span: Span | None = None, **static: Any) -> Expr:
    """A function of the registry, or its alternative for these ranks, applied to arguments of fitting shapes."""
    function = for_ranks(FUNCTIONS[name], [len(argument.type.dims) for argument in arguments])
    axes = union(argument.type.axes for argument in arguments)
    domain = function.domain(*(argument.type.domain for argument in arguments))
    fixed = all(argument.type.static for argument in arguments)
    dims = unify_values(arguments, span) if function.elementwise else _call_dims(function, arguments, static, span)
    _check_positions(function, arguments, static, span)
    kind = roomy(Type(axes, dims, domain, fixed), span, arguments)
    return ex.Call(kind, span, function.name, tuple(arguments), tuple(sorted(static.items())))


def _check_positions(
    function: Function, arguments: Sequence[Expr], static: Mapping[str, Any], span: Span | None
) -> None:
    """Elements that are places must be whole numbers, and in range where they are known."""
    for name in function.positions:
        item = arguments[function.parameters.index(name)]
        check_index(item, Dim(static[function.lengths[0]]), item.span or span)


def check_index(item: Expr, dim: Dim, span: Span | None) -> None:
    """An index must be whole and, where it is known from data, one of the places of the dimension."""
    values = index_values(item, span)
    if values is not None and any_outside(values, dim):
        raise messages.index_outside(item, values, dim, span)


def index_values(item: Expr, span: Span | None) -> Resolved[Any] | None:
    """The values of an index that is known from data, None of one that is not; E308 where it is not whole."""
    if item.type.static:
        values = evaluate(item)
        whole = values.array.dtype.kind in "iu"
    else:
        values, domain = None, item.type.domain
        whole = domain in SUPPORTS and is_within(domain, "integer")
    if not whole:
        raise ModelError.of("E308", span, f"an index must be a whole number, `{messages.written(item)}` is real")
    return values


def any_outside(values: Resolved[Any], dim: Dim) -> bool:
    """Whether an index is none of the places `0:dim.size`."""
    return bool(np.any((values.array < 0) | (values.array >= dim.size)))


def unify_values(values: Sequence[Expr], span: Span | None) -> tuple[Dim, ...]:
    """`unify` of the values' types, with the values named in its messages."""
    return unify([value.type for value in values], span, [messages.written(value) for value in values])


def unify(types: Sequence[Type], span: Span | None, names: Sequence[str] = ()) -> tuple[Dim, ...]:
    """The event dimensions that the arguments of an elementwise operation have in common; scalars fit all.

    `names` is what messages call the arguments.
    """
    names = names or [f"a value of shape {kind}" for kind in types]
    arrays = [(kind, name) for kind, name in zip(types, names, strict=True) if kind.dims]
    if not arrays:
        return ()
    first, dims = arrays[0], arrays[0][0].dims
    for other in arrays[1:]:
        if other[0].event != first[0].event:
            raise messages.shapes_differ(first, other, span)
        pairs = zip(dims, other[0].dims, strict=True)
        dims = tuple(_join((a, first[1]), (b, other[1]), span) for a, b in pairs)
    return dims


def _join(one: tuple[Dim, str], other: tuple[Dim, str], span: Span | None) -> Dim:
    (left, _), (right, _) = one, other
    if left.label and right.label and left.label != right.label:
        raise messages.labels_differ(one, other, span)
    return Dim(left.size, left.label or right.label, left.origin if left.origin == right.origin else 0)


def _call_dims(
    function: Function, arguments: Sequence[Expr], static: dict[str, Any], span: Span | None
) -> tuple[Dim, ...]:
    if function.variadic:
        return _joined_dims(function, arguments, span)
    if "..." in function.signature:
        axis = static.get("axis")
        dims = arguments[0].type.dims
        if axis is None:
            return ()
        if not -len(dims) <= axis < len(dims):
            has = messages.plural(len(dims), "dimension")
            raise ModelError.of("E307", span, f"{messages.written(arguments[0])} has {has}: there is no axis {axis}")
        return tuple(dim for position, dim in enumerate(dims) if position != axis % len(dims))
    sizes: dict[str, Dim] = {}
    for core, argument, name in zip(function.core_inputs, arguments, function.parameters, strict=True):
        match_core(core, argument.type, sizes, f"`{name}` of `{function.name}`", argument.span or span)
    lengths = {name: Dim(static[name]) for name in function.lengths}
    return tuple((lengths | sizes)[name] for name in function.core_output)


def _joined_dims(function: Function, arguments: Sequence[Expr], span: Span | None) -> tuple[Dim, ...]:
    """Stacking puts a new dimension in front; concatenating adds up the leading ones."""
    if function.name == "concatenate":
        rest = [argument.type.dims[1:] for argument in arguments]
        if any(not argument.type.dims for argument in arguments) or any(dims != rest[0] for dims in rest):
            raise ModelError.of("E301", span, "arrays to concatenate must agree in all but the first dimension")
        return (Dim(sum(argument.type.dims[0].size for argument in arguments)), *rest[0])
    first = arguments[0].type.event
    if any(argument.type.event != first for argument in arguments):
        other = next(argument for argument in arguments if argument.type.event != first)
        pair = [f"{messages.written(value)} {messages.extent(value.type)}" for value in (arguments[0], other)]
        raise ModelError.of("E301", span, f"the elements of a list have different shapes: {', '.join(pair)}")
    return (Dim(len(arguments)), *unify_values(arguments, span))


def match_core(core: tuple[str, ...], kind: Type, sizes: dict[str, Dim], what: str, span: Span | None) -> None:
    """Check an argument's event dimensions against named core dimensions, filling in `sizes`."""
    if len(kind.dims) != len(core):
        wanted = "a scalar" if not core else "a vector" if len(core) == 1 else "a matrix"
        raise ModelError.of("E301", span, f"{what} must be {wanted}, it {messages.extent(kind)}")
    for name, dim in zip(core, kind.dims, strict=True):
        known = sizes.setdefault(name, dim)
        if known.size != dim.size:
            raise ModelError.of("E301", span, f"{what} has length {dim}, where {known} is expected")
