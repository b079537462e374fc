"""Staging: value and gradient recorded once as a flat program of NumPy calls, then replayed without autograd.

A run of autograd's value-and-gradient is itself traced, one level further out, by nodes that write every call
down. What does not depend on the arguments is folded by itself, since it is never recorded. Python control flow on
values would be frozen into the record, so the first replay is checked against an eager run and dropped where they
differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from autograd.core import SparseObject, VJPNode, VSpace, sparse_add, sparse_object_types, vspace
from autograd.numpy.numpy_vjps import untake
from autograd.tracer import Node, isbox, new_box, trace, trace_stack
from autograd.util import toposort

ValueAndGrad = Callable[..., tuple[Any, np.ndarray]]
Replay = ValueAndGrad
STAGE_AFTER = 3
"""Calls with arguments of the same shapes after which recording pays: it costs about two eager calls."""


@dataclass
class Tape:
    """The calls in order: function, arguments with `Slot`s for recorded values, keywords."""

    calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    inputs: int = 0

    def record(self, function: Callable[..., Any], arguments: tuple[Any, ...], keywords: dict[str, Any]) -> int:
        self.calls.append((function, arguments, keywords))
        return self.inputs + len(self.calls) - 1


@dataclass(frozen=True)
class Slot:
    """The value number `place`: an input, or the outcome of a call."""

    place: int


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
        self.place = self.tape.record(_FASTER.get(fun.fun, fun.fun), arguments, kwargs)

    def initialize_root(self, tape: Tape, place: int) -> None:
        self.tape, self.place = tape, place


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


def _sum(before: Any, part: Any) -> Any:
    if type(part) in sparse_object_types:
        part = sparse_add(vspace(part), None, part)
    return part if before is None else vspace(part).add(before, part)


def _untaken(values: Any, index: Any, space: VSpace) -> SparseObject:
    """The adjoint of indexing: plain slices are added to directly, not by way of `np.add.at`."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice | int | type(None) | type(Ellipsis)) for part in parts):
        return untake.fun(values, index, space)

    def add(total: np.ndarray) -> np.ndarray:
        total[index] += values
        return total

    return SparseObject(space, add)


def _added(space: VSpace, before: Any, after: Any) -> Any:
    return before + after


_FASTER: dict[Any, Callable[..., Any]] = {VSpace.add.fun: _added, untake.fun: _untaken}
"""What a replay calls instead of autograd's own."""


def staged_value_and_grad(function: Callable[..., Any]) -> ValueAndGrad:
    """`value_and_grad` of a function of arrays that is replayed once it has been called often with the same shapes."""
    eager = value_and_grad(function)
    stages: dict[tuple[Any, ...], _Stage] = {}

    def call(*arguments: np.ndarray) -> tuple[Any, np.ndarray]:
        signature = tuple((np.shape(argument), np.asarray(argument).dtype.char) for argument in arguments)
        stage = stages.get(signature)
        if stage is None:
            stage = stages[signature] = _Stage(eager)
        return stage(*arguments)

    return call


class _Stage:
    """One signature's way from eager calls over a recorded and a checked one to plain replay."""

    def __init__(self, eager: ValueAndGrad) -> None:
        self._eager = eager
        self._calls = 0
        self._replay: Replay | None = None
        self._checked = False

    def __call__(self, *arguments: np.ndarray) -> tuple[Any, np.ndarray]:
        if self._replay is not None and self._checked:
            return self._replay(*arguments)
        self._calls += 1
        if self._replay is not None:
            return self._compare(arguments)
        outcome = self._eager(*arguments)
        if self._calls == STAGE_AFTER:
            self._replay = record(self._eager, arguments)
        return outcome

    def _compare(self, arguments: tuple[np.ndarray, ...]) -> tuple[Any, np.ndarray]:
        """An eager run; the replay is kept only if it gives the same."""
        assert self._replay is not None
        value, gradient = self._eager(*arguments)
        again, slope = self._replay(*arguments)
        same = np.allclose(value, again, rtol=1e-9, atol=0, equal_nan=True)
        if same and np.allclose(gradient, slope, rtol=1e-7, atol=1e-9 * _size(gradient), equal_nan=True):
            self._checked = True
        else:
            self._replay = None
        return value, gradient


def _size(array: np.ndarray) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))


def record(function: ValueAndGrad, arguments: tuple[np.ndarray, ...]) -> Replay | None:
    """A function that replays `function` on arguments of the same shapes; None where it cannot be recorded."""
    tape = Tape(inputs=len(arguments))
    try:
        with trace_stack.new_trace() as level:
            boxes = [new_box(a, level, RecordingNode.new_root(tape, i)) for i, a in enumerate(arguments)]
            outcome: tuple[Any, Any] = function(*boxes)
    except (TypeError, ValueError, NotImplementedError):  # a primitive that takes plain arrays only
        return None
    outputs = [Slot(part._node.place) if isbox(part) else part for part in outcome]
    return _compiled(tape, outputs)


def _compiled(tape: Tape, outputs: list[Any]) -> Replay:
    """The tape as one straight-line Python function: dead calls dropped, equal ones shared, values freed after use."""
    slots = [output for output in outputs if isinstance(output, Slot)]
    lines, names, same, last = _listing(tape, slots)
    body = []
    for place, text in lines:
        body.append(f"    v{place} = {text}")
        done = [f"v{used}" for used, at in last.items() if at == place and used >= tape.inputs]
        if done:
            body.append(f"    del {', '.join(done)}")
    arguments = ", ".join(f"v{place}" for place in range(tape.inputs))
    returned = ", ".join(_name(output, names, same, []) for output in outputs)
    source = "\n".join([f"def replay({arguments}):", *body, f"    return {returned}"])
    exec(compile(source, "<staged>", "exec"), names)
    replay: Replay = names["replay"]
    return replay


def _listing(
    tape: Tape, outputs: list[Slot]
) -> tuple[list[tuple[int, str]], dict[str, Any], dict[int, int], dict[int, int]]:
    """Live calls as text by place, the constants they name, which calls are the same, and where each value is used
    last.
    """
    names: dict[str, Any] = {}
    same: dict[int, int] = {}
    known: dict[Any, int] = {}
    texts: dict[int, str] = {}
    reads: dict[int, list[int]] = {}
    for position, (function, arguments, keywords) in enumerate(tape.calls):
        place = tape.inputs + position
        read: list[int] = []
        parts = [_name(function, names, same, read)]
        parts += [_name(argument, names, same, read) for argument in arguments]
        parts += [f"{key}={_name(value, names, same, read)}" for key, value in keywords.items()]
        text = f"{parts[0]}({', '.join(parts[1:])})"
        if text in known:
            same[place] = known[text]
            continue
        known[text] = place
        texts[place], reads[place] = text, read
    live = {same.get(output.place, output.place) for output in outputs}
    kept: list[tuple[int, str]] = []
    last: dict[int, int] = {}
    for place in sorted(texts, reverse=True):
        if place in live:
            kept.append((place, texts[place]))
            for used in reads[place]:
                live.add(used)
                last.setdefault(used, place)
    for output in outputs:
        last.pop(same.get(output.place, output.place), None)
    return kept[::-1], names, same, last


def _name(value: Any, names: dict[str, Any], same: dict[int, int], read: list[int]) -> str:
    """How the program writes an argument: a value, a plain literal, or the name of a constant."""
    if isinstance(value, Slot):
        place = same.get(value.place, value.place)
        read.append(place)
        return f"v{place}"
    if isinstance(value, bool | int | str | type(None)) or (type(value) is float and np.isfinite(value)):
        return repr(value)
    if type(value) is tuple and all(isinstance(part, bool | int | type(None)) for part in value):
        return repr(value)
    name = f"c{id(value)}"
    names[name] = value
    return name
