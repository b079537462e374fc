"""Building expressions: every constructor checks shapes, infers the type and simplifies on the way.

Both doors build with these, so a whole-array statement and its indexed form end as the same expression:
`named` pushes an index through elementwise calls down to the arrays that are read.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.constraints import SUPPORTS, is_within
from ppl.distributions import Distribution
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS, UNKNOWN, Function, for_ranks
from ppl.model import expressions as ex
from ppl.model import messages
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.resolve import evaluate, mask
from ppl.source import Span

LARGEST = 2**28
"""Numbers in the largest array of a model: 2 GiB."""

_fresh_order = itertools.count(1_000)


def fresh_axis(name: str, size: int, start: int = 0) -> Axis:
    """An axis for the index of a comprehension or a matrix product; different from all others."""
    return Axis(name, size, start, order=next(_fresh_order))


@dataclass(frozen=True)
class Cut:
    """A slice `start:stop` among the items of an index; None is the dimension's own end."""

    start: int | None
    stop: int | None


Item = Expr | Cut


def constant(value: Any, span: Span | None = None) -> ex.Constant:
    array = np.asarray(value)
    dims = tuple(Dim(size) for size in array.shape)
    return ex.Constant(Type((), dims, domain_of(array)), span, value if array.ndim == 0 else array)


def data(name: str, value: np.ndarray, span: Span | None = None, labels: Sequence[str | None] = ()) -> ex.Data:
    padded = [*labels, *[None] * (value.ndim - len(labels))]
    dims = tuple(Dim(size, label) for size, label in zip(value.shape, padded, strict=True))
    return ex.Data(Type((), dims, domain_of(value)), span, name, value)


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


def roomy(kind: Type, span: Span | None) -> Type:
    """A type of which arrays may be made: `check_room`."""
    check_room([axis.size for axis in kind.axes] + list(kind.event), span)
    return kind


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
    kind = roomy(Type(axes, dims, domain, fixed), span)
    return ex.Call(kind, span, function.name, tuple(arguments), tuple(sorted(static.items())))


def _check_positions(
    function: Function, arguments: Sequence[Expr], static: Mapping[str, Any], span: Span | None
) -> None:
    """Elements that are places must be whole numbers, and in range where they are known."""
    for name in function.positions:
        item = arguments[function.parameters.index(name)]
        _checked_item(item, Dim(static[function.lengths[0]]), span, None)


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
    found = current if all(item is None for item in pending) else _gather(current, pending, span)
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


def slice_of(base: Expr, dim: int, start: int, stop: int) -> Expr:
    dims = list(base.type.dims)
    dims[dim] = Dim(stop - start)
    return ex.SliceOf(replace(base.type, dims=tuple(dims)), base.span, base, dim, start, stop)


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
    span = item.span or span
    if dim.origin:
        item = call("subtract", [item, constant(dim.origin)], span)
    if not item.type.static:
        domain = item.type.domain
        if domain not in SUPPORTS or not is_within(domain, "integer"):
            raise _not_whole(item, span)
        return item
    values = evaluate(item)
    if values.array.dtype.kind not in "iu":
        raise _not_whole(item, span)
    if guard is not None and _any_outside(values.array, dim):
        item = _guarded(item, dim, guard, span)
        values = evaluate(item)
    if _any_outside(values.array, dim):
        raise messages.index_outside(item, values, dim, span)
    return item


def _guarded(item: Expr, dim: Dim, guard: Expr, span: Span | None) -> Expr:
    """0 in place of an index where `guard` is false, along as few axes as will do."""
    if not guard.type.dims and not set(guard.type.axes) <= set(item.type.axes):
        narrow = over(mask(guard, item.type.axes), item.type.axes)
        narrowed = call("where", [narrow, item, constant(0)], span)
        if not _any_outside(evaluate(narrowed).array, dim):
            return narrowed
    return call("where", [guard, item, constant(0)], span)


def _any_outside(values: np.ndarray, dim: Dim) -> bool:
    return bool(np.any((values < 0) | (values >= dim.size)))


def _not_whole(item: Expr, span: Span | None) -> ModelError:
    return ModelError.of("E308", span, f"an index must be a whole number, `{messages.written(item)}` is real")


def _gather(base: Expr, items: list[Expr | None], span: Span | None) -> Expr:
    given = [item for item in items if item is not None]
    items = [*items, *[None] * (len(base.type.dims) - len(items))]
    index_dims = unify_values(given, span)
    first = next(d for d, item in enumerate(items) if item is not None)
    if index_dims and first > 0:
        return _gather_behind(base, items, first, span)
    whole = tuple(dim for dim, item in zip(base.type.dims, items, strict=True) if item is None)
    axes = union([base.type.axes, *(item.type.axes for item in given)])
    static = base.type.static and all(item.type.static for item in given)
    return ex.Gather(Type(axes, index_dims + whole, base.type.domain, static), span, base, tuple(items))


def _gather_behind(base: Expr, items: list[Expr | None], first: int, span: Span | None) -> Expr:
    """`base[:, idx]`: the whole dimensions in front are named for a moment and lifted back."""
    axes = tuple(fresh_axis("row", dim.size) for dim in base.type.dims[:first])
    for axis in axes:
        base = named(base, 0, axis)
    return lift(_gather(base, items[first:], span), axes)


def named(base: Expr, dim: int, axis: Axis) -> Expr:
    """Event dimension `dim`, of the axis's size, read element by element along `axis`."""
    push = _NAME_RULES.get(type(base))
    found = push(base, dim, axis) if push is not None else None
    if found is not None:
        return found
    dims = base.type.dims[:dim] + base.type.dims[dim + 1 :]
    return ex.Named(replace(base.type, axes=union([base.type.axes, [axis]]), dims=dims), base.span, base, dim, axis)


def _name_call(base: Any, dim: int, axis: Axis) -> Expr | None:
    if not FUNCTIONS[base.function].elementwise or axis in base.type.axes:
        return None
    arguments = [named(a, dim, axis) if a.type.dims else a for a in base.arguments]
    return call(base.function, arguments, base.span, **dict(base.static))


def _name_lift(base: Any, dim: int, axis: Axis) -> Expr | None:
    if dim >= len(base.axes):
        inner = named(base.base, dim - len(base.axes), axis) if axis not in base.axes else None
        return None if inner is None else lift(inner, base.axes)
    old = base.axes[dim]
    if old != axis and (axis in base.base.type.axes or axis in base.axes):
        return None
    inner = base.base if old == axis else rename(base.base, old, axis)
    return lift(inner, base.axes[:dim] + base.axes[dim + 1 :])


def _name_gather(base: Any, dim: int, axis: Axis) -> Expr | None:
    if axis in base.type.axes:
        return None
    index_rank = max(len(item.type.dims) for item in base.items if item is not None)
    if dim < index_rank:
        items = [named(i, dim, axis) if i is not None and i.type.dims else i for i in base.items]
        return _gather(base.base, items, base.span)
    source = [d for d, item in enumerate(base.items) if item is None][dim - index_rank]
    return _gather(named(base.base, source, axis), [*base.items[:source], *base.items[source + 1 :]], base.span)


_NAME_RULES = {ex.Call: _name_call, ex.Lift: _name_lift, ex.Gather: _name_gather}


def over(array: np.ndarray, axes: Sequence[Axis]) -> Expr:
    """An array as a value with these axes."""
    value: Expr = constant(array)
    for axis in axes:
        value = named(value, 0, axis)
    return value


def rename(node: Expr, old: Axis, new: Axis) -> Expr:
    """`node` with axis `old` called `new`; both have the same length."""
    if old not in node.type.axes:
        return node
    kind = replace(node.type, axes=union([[new if axis == old else axis for axis in node.type.axes]]))
    if isinstance(node, ex.AxisIndex):
        shift = old.start - new.start
        fresh = axis_index(new, node.span)
        return call("add", [fresh, constant(shift)], node.span) if shift else fresh
    if isinstance(node, ex.Named) and node.axis == old:
        return named(node.base, node.dim, new)
    if isinstance(node, ex.Call):
        return replace(node, type=kind, arguments=tuple(rename(a, old, new) for a in node.arguments))
    if isinstance(node, ex.LogDensity):
        arguments = tuple(rename(a, old, new) for a in node.arguments)
        return replace(node, type=kind, value=rename(node.value, old, new), arguments=arguments)
    if isinstance(node, ex.Gather):
        items = tuple(None if item is None else rename(item, old, new) for item in node.items)
        return replace(node, type=kind, base=rename(node.base, old, new), items=items)
    if isinstance(node, ex.SliceOf | ex.Named | ex.Lift):
        return replace(node, type=kind, base=rename(node.base, old, new))
    return _plain_named(lift(node, (old,)), new)


def _plain_named(base: Expr, axis: Axis) -> Expr:
    kind = replace(base.type, axes=union([base.type.axes, [axis]]), dims=base.type.dims[1:])
    return ex.Named(kind, base.span, base, 0, axis)


def lift(base: Expr, axes: Sequence[Axis], labels: Sequence[str | None] | None = None) -> Expr:
    """Named axes as leading event dimensions, labelled by their extents unless said otherwise."""
    axes = tuple(axes)
    if not axes:
        return base
    labels = labels if labels is not None else [axis.extent for axis in axes]
    dims = tuple(Dim(axis.size, label, axis.start) for axis, label in zip(axes, labels, strict=True))
    rest = tuple(axis for axis in base.type.axes if axis not in axes)
    if isinstance(base, ex.Named) and base.dim == 0 and axes == (base.axis,) and axes[0] not in base.base.type.axes:
        return base.base
    kind = roomy(replace(base.type, axes=rest, dims=dims + base.type.dims), base.span)
    return ex.Lift(kind, base.span, base, axes)


def matmul(left: Expr, right: Expr, span: Span | None = None) -> Expr:
    """The matrix product of vectors and matrices, as `dot` over named rows and columns."""
    ranks = len(left.type.dims), len(right.type.dims)
    if not all(1 <= rank <= 2 for rank in ranks):
        odd = left if not 1 <= ranks[0] <= 2 else right
        said = f"{messages.written(odd)} {messages.extent(odd.type)}"
        raise ModelError.of("E301", span, f"`@` takes vectors and matrices, {said}")
    inner, other = left.type.dims[-1], right.type.dims[0]
    if inner.size != other.size:
        raise ModelError.of(
            "E301", span, f"{messages.written(left)} has length {inner}, {messages.written(right)} has length {other}"
        )
    axes: list[Axis] = []
    labels: list[str | None] = []
    if ranks[0] == 2:
        axes.append(fresh_axis("row", left.type.dims[0].size))
        labels.append(left.type.dims[0].label)
        left = named(left, 0, axes[-1])
    if ranks[1] == 2:
        axes.append(fresh_axis("column", right.type.dims[1].size))
        labels.append(right.type.dims[1].label)
        right = named(right, 1, axes[-1])
    return lift(call("dot", [left, right], span), axes, labels)


def conditional(condition: Expr, then: Expr, otherwise: Expr, span: Span | None = None) -> Expr:
    """`then if condition else otherwise`; a static condition that never varies picks its branch."""
    if condition.type.static:
        values = evaluate(condition).array
        if np.all(values):
            return then
        if not np.any(values):
            return otherwise
    return call("where", [condition, then, otherwise], span)


def stack(elements: Sequence[Expr], span: Span | None = None) -> Expr:
    """`[a, b, …]`: a new leading dimension. Numbers alone become one constant array."""
    if elements and all(isinstance(element, ex.Constant) for element in elements):
        values = [element.value for element in elements if isinstance(element, ex.Constant)]
        if len({np.shape(value) for value in values}) == 1:
            return constant(np.array(values), span)
    return call("stack", elements, span)


def log_density(family: Distribution, value: Expr, arguments: Mapping[str, Expr], span: Span | None = None) -> Expr:
    """The log density of a distribution at a value; both may be whole arrays of equal shape."""
    parts = [(value, len(family.event_dimensions))]
    parts += [(part, len(family.parameter(key).core_dimensions)) for key, part in arguments.items()]
    heads = [Type((), part.type.dims[: len(part.type.dims) - core]) for part, core in parts]
    batch = unify(heads, span, [messages.written(part) for part, _ in parts])
    axes = [fresh_axis("element", dim.size, dim.origin) for dim in batch]
    named_parts = [_named_head(part, core, axes) for part, core in parts]
    kind = Type(union(p.type.axes for p in named_parts), (), UNKNOWN, all(p.type.static for p in named_parts))
    node = ex.LogDensity(kind, span, family, named_parts[0], tuple(arguments), tuple(named_parts[1:]))
    return lift(node, axes, [dim.label for dim in batch])


def _named_head(value: Expr, core: int, axes: Sequence[Axis]) -> Expr:
    """Leading dimensions of `value` named by `axes`; a value without them is left alone."""
    if len(value.type.dims) > core:
        for axis in axes:
            value = named(value, 0, axis)
    return value
