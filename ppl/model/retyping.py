"""The type of an expression, worked out anew from its children: what the verifier compares the stored one with.

Only leaves are trusted. Axes, lengths and staticness are worked out; labels and supports are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr, Type
from ppl.model.resolve import evaluate


def worked_out_type(node: Expr) -> Type:
    """Raises ModelError, ValueError or IndexError where the children do not fit together."""
    return _TYPES[type(node)](node)


def inner_nodes(node: Expr) -> Iterator[Expr]:
    """The nodes, leaves excepted, of the expressions that a recurrence or a differential equation runs.

    Raises ValueError where they read anything but the leaves that stand for something.
    """
    if isinstance(node, ex.Recurrence):
        roots, leaves = node.steps, (*(past.leaf for past in node.pasts), *node.given)
    elif isinstance(node, ex.Solution):
        roots, leaves = (node.slope,), (node.time, node.state, *node.given)
    else:
        return
    known = {leaf.name for leaf in leaves}
    for inner in ex.walk(*roots):
        if not isinstance(inner, ex.Value):
            yield inner
        elif inner.name not in known:
            raise ValueError(f"`{inner.name}` stands for nothing")


def _sized(sizes: tuple[int, ...]) -> tuple[ex.Dim, ...]:
    return tuple(ex.Dim(size) for size in sizes)


def _array_type(value: Any) -> Type:
    return Type((), _sized(np.shape(value)))


def _call_type(node: ex.Call) -> Type:
    return construct.call(node.function, node.arguments, node.span, **dict(node.static)).type


def _log_density_type(node: ex.LogDensity) -> Type:
    cores = [node.family.event_dimensions, *(node.family.parameter(key).core_dimensions for key in node.parameters)]
    for core, part in zip(cores, node.children, strict=True):
        if len(core) != len(part.type.dims):
            raise ValueError(f"an argument has {part.type}, its core is {core}")
    return Type(_axes(node), (), static=all(part.type.static for part in node.children))


def _slice_type(node: ex.SliceOf) -> Type:
    event = list(node.base.type.event)
    if not 0 <= node.start <= node.stop <= event[node.dim]:
        raise ValueError(f"{node.start}:{node.stop} of a dimension of length {event[node.dim]}")
    event[node.dim] = node.stop - node.start
    return Type(node.base.type.axes, _sized(tuple(event)), static=node.base.type.static)


def _gather_type(node: ex.Gather) -> Type:
    event = node.base.type.event
    given = [(item, size) for item, size in zip(node.items, event, strict=True) if item is not None]
    for item, size in given:
        if item.type.static and not np.all((evaluate(item).array >= 0) & (evaluate(item).array < size)):
            raise ValueError(f"an index beyond a dimension of length {size}")
    index = construct.unify([item.type for item, _ in given], node.span)
    whole = tuple(size for item, size in zip(node.items, event, strict=True) if item is None)
    static = all(child.type.static for child in node.children)
    return Type(_axes(node), (*index, *_sized(whole)), static=static)


def _named_type(node: ex.Named) -> Type:
    kind, event = node.base.type, list(node.base.type.event)
    if event.pop(node.dim) != node.axis.size or node.axis in kind.axes:
        raise ValueError(f"dimension {node.dim} of {kind} cannot be named {node.axis}")
    return Type((*kind.axes, node.axis), _sized(tuple(event)), static=kind.static)


def _lift_type(node: ex.Lift) -> Type:
    kind = node.base.type
    event = (*(axis.size for axis in node.axes), *kind.event)
    return Type(tuple(axis for axis in kind.axes if axis not in node.axes), _sized(event), static=kind.static)


def _axes(node: Expr) -> tuple[Axis, ...]:
    return union(child.type.axes for child in node.children)


def _recurrence_type(node: ex.Recurrence) -> Type:
    for written, step in zip(node.written, node.steps, strict=True):
        if step.type.event != written.type.event:
            raise ValueError(f"a step has {step.type}, its statement {written.type}")
    for past in node.pasts:
        shape = (node.time.size, *(axis.size for axis in past.axes))
        if past.positions.shape != shape or np.any((past.positions < 0) | (past.positions >= node.time.size)):
            raise ValueError(f"positions of {past.leaf.name} are not steps")
        if past.leaf.type.event != node.steps[past.state].type.event:
            raise ValueError(f"{past.leaf.name} has {past.leaf.type}, its state {node.steps[past.state].type}")
    for leaf, given in zip(node.given, node.inputs, strict=True):
        if leaf.type.event != given.type.event:
            raise ValueError(f"{leaf.name} has {leaf.type}, it stands for {given.type}")
    return Type(union([node.type.axes, [node.time]]), (), static=False)


def _state_type(node: ex.State) -> Type:
    axes = union([node.type.axes, node.written.type.axes, [node.base.time]])
    return Type(axes, node.written.type.dims, static=False)


def _solution_type(node: ex.Solution) -> Type:
    if not node.slope.type.event == node.state.type.event == node.initial.type.event:
        raise ValueError(f"the slope has {node.slope.type}, the initial value {node.initial.type}")
    for leaf, given in zip(node.given, node.inputs, strict=True):
        if leaf.type.event != given.type.event:
            raise ValueError(f"{leaf.name} has {leaf.type}, it stands for {given.type}")
    static = all(child.type.static for child in node.children)
    return Type(_axes(node), (ex.Dim(len(node.times)), *node.initial.type.dims), static=static)


_TYPES: dict[type[Expr], Callable[..., Type]] = {
    ex.Constant: lambda node: _array_type(node.value),
    ex.Data: lambda node: _array_type(node.value),
    ex.AxisIndex: lambda node: Type((node.axis,)),
    ex.BatchIndex: lambda node: Type((node.axis,), (), static=False),
    ex.Streamed: lambda node: Type((), _sized(node.column.shape), static=False),
    ex.BatchRows: lambda node: Type((node.axis,), _sized(node.column.shape[1:]), static=False),
    ex.Call: _call_type,
    ex.LogDensity: _log_density_type,
    ex.SliceOf: _slice_type,
    ex.Gather: _gather_type,
    ex.Named: _named_type,
    ex.Lift: _lift_type,
    ex.Recurrence: _recurrence_type,
    ex.State: _state_type,
    ex.Solution: _solution_type,
}
