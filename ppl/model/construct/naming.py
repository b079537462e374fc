"""Naming event dimensions by axes, and lifting axes back: where indexed and whole-array forms become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.functions import FUNCTIONS
from ppl.model import expressions as ex
from ppl.model.construct.calls import axis_index, call, constant, fresh_axis, roomy, unify_values
from ppl.model.expressions import Dim, Expr, Type
from ppl.source import Span


def slice_of(base: Expr, dim: int, start: int, stop: int) -> Expr:
    """`base[…, start:stop, …]` on one event dimension; the result counts from 0."""
    dims = list(base.type.dims)
    dims[dim] = Dim(stop - start)
    return ex.SliceOf(replace(base.type, dims=tuple(dims)), base.span, base, dim, start, stop)


def gather(base: Expr, items: list[Expr | None], span: Span | None) -> Expr:
    """`base[items]` for checked items that count from 0; None keeps a dimension whole."""
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
    return lift(gather(base, items[first:], span), axes)


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
        return gather(base.base, items, base.span)
    source = [d for d, item in enumerate(base.items) if item is None][dim - index_rank]
    return gather(named(base.base, source, axis), [*base.items[:source], *base.items[source + 1 :]], base.span)


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
    kind = roomy(replace(base.type, axes=rest, dims=dims + base.type.dims), base.span, [base])
    return ex.Lift(kind, base.span, base, axes)
