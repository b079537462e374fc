"""Recording: one run of autograd's value-and-gradient, written down call by call.

The run is itself traced, one level further out, by nodes that write every call down. What does not depend on the
arguments is never recorded, so it is a constant of the record. What Python sees of a recorded value would be frozen,
so the truth of one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.core import VJPNode, sparse_add, sparse_object_types, vspace
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.tracer import Node, isbox, new_box, trace, trace_stack
from autograd.util import toposort

ValueAndGrad = Callable[..., tuple[Any, np.ndarray]]
Arrays = Callable[..., tuple[Any, ...]]
"""A function of arrays that gives several."""


class NotRecordable(Exception):
    """A function cannot be recorded; the message says why."""


@dataclass(frozen=True)
class Slot:
    """The value number `place`: an input, or the outcome of a call."""

    place: int


@dataclass(frozen=True)
class Recorded:
    """One call: function, arguments with `Slot`s for recorded values, keywords, and what it gave.

    `shape` and `dtype` are None for outcomes that are no arrays.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    shape: tuple[int, ...] | None
    dtype: np.dtype[Any] | None


@dataclass
class Tape:
    """The calls of one run in order, the arrays it was given, and what it returned (a `Slot`, or a constant)."""

    inputs: tuple[np.ndarray, ...]
    calls: list[Recorded] = field(default_factory=list)
    outputs: tuple[Any, ...] = ()

    def record(self, call: Recorded) -> int:
        self.calls.append(call)
        return len(self.inputs) + len(self.calls) - 1


class RecordingNode(Node):
    """An autograd node that writes its call onto the tape of its parents."""

    __slots__ = ["place", "tape"]
    tape: Tape
    place: int

    def __init__(
        self,
        value: Any,
        fun: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        parent_argnums: tuple[int, ...],
        parents: tuple[RecordingNode, ...],
    ) -> None:
        self.tape = parents[0].tape
        slots = {position: Slot(parent.place) for position, parent in zip(parent_argnums, parents, strict=True)}
        arguments = tuple(slots.get(position, value) for position, value in enumerate(args))
        array = isinstance(value, np.ndarray | np.generic | float | int | bool)
        shape, dtype = (np.shape(value), np.asarray(value).dtype) if array else (None, None)
        self.place = self.tape.record(Recorded(fun.fun, arguments, kwargs, shape, dtype))

    def initialize_root(self, tape: Tape, place: int) -> None:
        self.tape, self.place = tape, place


def _truth(box: ArrayBox) -> bool:
    """As autograd's, but refused for a recorded value: the branch taken would be frozen into the record."""
    if isinstance(box._node, RecordingNode):
        raise NotRecordable("the truth of a recorded value was asked for, as `if` and `while` do")
    return bool(box._value)


ArrayBox.__bool__ = _truth
ArrayBox.register(np.bool_)
ArrayBox.register(np.int64)
ArrayBox.__and__ = ArrayBox.__rand__ = lambda one, other: anp.bitwise_and(one, other)
ArrayBox.__or__ = ArrayBox.__ror__ = lambda one, other: anp.bitwise_or(one, other)
ArrayBox.__invert__ = lambda box: anp.invert(box)
"""A reverse pass sees comparisons as plain arrays; a record has them as values like any other."""


def value_and_grad(function: Callable[..., Any]) -> ValueAndGrad:
    """Value and gradient with respect to the first argument.

    As autograd's, but gradients are never added up in place: a record must not hold arrays that change under it.
    """

    def call(first: Any, *others: Any) -> tuple[Any, Any]:
        value, end = trace(VJPNode.new_root(), lambda x: function(x, *others), first)
        space = vspace(first)
        if end is None:
            return value, space.zeros()
        gradients: dict[VJPNode, Any] = {end: vspace(value).ones()}
        gradient = space.zeros()
        for node in toposort(end):
            gradient = gradients.pop(node)
            for parent, part in zip(node.parents, node.vjp(gradient), strict=True):
                gradients[parent] = _sum(gradients.get(parent), part)
        return value, gradient

    return call


def values_and_slopes(function: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
    """The values (rows,) of a function of independent rows (rows, …), and the slopes of each in its row."""

    def call(rows: Any, *others: Any) -> tuple[Any, Any]:
        found: list[Any] = []

        def total(varied: Any) -> Any:
            found.append(function(varied, *others))
            return anp.sum(found[0])

        _, slopes = value_and_grad(total)(rows)
        values = found[0]
        return (values._value if isbox(values) and isinstance(values._node, VJPNode) else values), slopes

    return call


def _sum(before: Any, part: Any) -> Any:
    if type(part) in sparse_object_types:
        part = sparse_add(vspace(part), None, part)
    return part if before is None else vspace(part).add(before, part)


def record(function: Arrays, arguments: tuple[np.ndarray, ...]) -> Tape:
    """The tape of one run at these arguments, all of which are inputs, whatever their types.

    Raises NotRecordable.
    """
    tape = Tape(tuple(np.asarray(argument) for argument in arguments))
    top = trace_stack.top
    try:
        with trace_stack.new_trace() as level:
            boxes = [new_box(a, level, RecordingNode.new_root(tape, i)) for i, a in enumerate(tape.inputs)]
            outcome = function(*boxes)
    except (TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
        raise NotRecordable(str(error)) from error  # a function that takes plain arrays only
    finally:
        trace_stack.top = top  # autograd leaves it where it is when a function raises
    tape.outputs = tuple(Slot(part._node.place) if isbox(part) else part for part in outcome)
    return tape
