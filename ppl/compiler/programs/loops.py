"""Recurrences and differential equations as parts of a program: what is evaluated at each step, written twice.

One function takes a single step; the other does the same for all steps at once, along a leading axis of the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from ppl.axes import DRAW, Axis, Layout, union
from ppl.compiler.programs.arrays import ArrayProgram, Recorder, Ref, write_program
from ppl.loops import Loop, Read
from ppl.model import expressions as ex
from ppl.model.resolve import Resolved, Resolver
from ppl.ode import System

Value = Resolved[Ref]


class ProgramResolver(Resolver[Ref]):
    """The resolver of generated programs, which knows recurrences too."""

    language: Recorder
    visitors: ClassVar = dict(Resolver.visitors)

    def __init__(self, language: Recorder, values: dict[str, Value] | None = None) -> None:
        super().__init__(language, values)
        self.before: dict[str, Value] = {}

    def element_before(self, node: ex.Before) -> Value:
        return self.before[node.name]

    def recurrence(self, node: ex.Recurrence) -> Value:
        """The packed states, steps first: (steps, batch…, width)."""
        inputs = [_renamed(steps_first(self.language, self.done(item), node.time), node.time) for item in node.inputs]
        front = _in_front(node.time)
        plates = [axis for axis in node.type.axes if axis != node.time]
        every = union(item.axes for item in inputs)
        batch = tuple(axis for axis in every if axis != front and (axis.order < 0 or axis in plates))
        loop = Loop(
            length=node.time.size,
            batch=tuple(None if axis == DRAW else axis.size for axis in batch),
            events=tuple(step.type.event for step in node.steps),
            reads=tuple(Read(past.state, past.positions) for past in node.pasts),
            stepped=tuple(front in item.axes for item in inputs),
            draw_at=tuple(item.axes.index(DRAW) if DRAW in item.axes else None for item in inputs),
            one=_program(node, inputs, batch, front, all_steps=False),
            every=_program(node, inputs, batch, front, all_steps=True),
        )
        name = self.language.loop("_".join(("loop", *node.names)), loop)
        refs = [item.array for item in inputs]
        text = f"xp.scan({name}, ({', '.join('{}' for _ in refs)}{',' * (len(refs) == 1)}))"
        return Resolved(self.language.record(text, refs), (front, *batch), 1)

    def solution(self, node: ex.Solution) -> Value:
        """The states at all times: (batch…, times, event…)."""
        inputs = [self.done(item) for item in node.inputs]
        initial = self.done(node.initial)
        every = union(item.axes for item in (initial, *inputs))
        batch = tuple(axis for axis in every if axis.order < 0 or axis in node.type.axes)
        start = self.expand(initial, Layout(batch, initial.event_rank))
        system = System(
            start=node.start,
            times=node.times,
            rtol=node.rtol,
            atol=node.atol,
            batch=tuple(None if axis == DRAW else axis.size for axis in batch),
            event=node.state.type.event,
            draw_at=tuple(item.axes.index(DRAW) if DRAW in item.axes else None for item in (initial, *inputs)),
            one=_slope_program(node, inputs, batch, ()),
            every=_slope_program(node, inputs, batch, (_STEPS,)),
        )
        name = self.language.loop(f"ode_{node.name}", system)
        refs = [start, *(item.array for item in inputs)]
        text = f"xp.ode({name}, {{}}, ({', '.join('{}' for _ in inputs)}{',' * (len(inputs) == 1)}))"
        return Resolved(self.language.record(text, refs), batch, len(node.type.dims))

    def state(self, node: ex.State) -> Value:
        packed = self.done(node.base)
        _, *batch = packed.axes
        event = node.type.event
        start = sum(_numbers(step.type.event) for step in node.base.steps[: node.number])
        kept = [axis for axis in batch if axis.order < 0 or axis in node.type.axes]
        picked = [":", *(":" if axis in kept else "0" for axis in batch)]
        picked.append(f"{start}:{start + _numbers(event)}" if event else f"{start}")
        array = self.language.record(f"{{}}[{', '.join(picked)}]", (packed.array,))
        if len(event) > 1:
            sizes = (-1 if axis == DRAW else axis.size for axis in kept)
            array = self.language.reshape(array, (node.base.time.size, *sizes, *event))
        return self.in_order(array, (node.base.time, *kept), len(event))


ProgramResolver.visitors |= {
    ex.Recurrence: ProgramResolver.recurrence,
    ex.State: ProgramResolver.state,
    ex.Solution: ProgramResolver.solution,
    ex.Before: ProgramResolver.element_before,
}
_STEPS = Axis("steps", -1, order=DRAW.order - 1)
"""The axis of the steps of a solution, whose number is known only when it runs."""


def steps_first(recorder: Recorder, item: Value, time: Axis) -> Value:
    """The value with the axis of the steps, where it has it, in front of all others."""
    if time not in item.axes or item.axes[0] == time:
        return item
    place = item.axes.index(time)
    rest = [dimension for dimension in range(item.layout.rank) if dimension != place]
    axes = (time, *(axis for axis in item.axes if axis != time))
    return Resolved(recorder.transpose(item.array, (place, *rest)), axes, item.event_rank)


def _renamed(item: Value, time: Axis) -> Value:
    """The axis of the steps, which is the first, called by the name under which it comes first."""
    axes = tuple(_in_front(time) if axis == time else axis for axis in item.axes)
    return Resolved(item.array, axes, item.event_rank)


def _numbers(event: Sequence[int]) -> int:
    total = 1
    for size in event:
        total *= size
    return total


def _in_front(time: Axis) -> Axis:
    """The axis of the steps as the first of all."""
    return replace(time, order=DRAW.order - 1)


def _program(
    node: ex.Recurrence, inputs: Sequence[Value], batch: tuple[Axis, ...], front: Axis, all_steps: bool
) -> ArrayProgram:
    """The next states of one step, or of all of them with the steps in front."""
    lead = (front,) if all_steps else ()
    recorder = Recorder()
    resolver = ProgramResolver(recorder)
    for number, past in enumerate(node.pasts):
        axes = union([lead, batch, past.axes])
        resolver.values[past.leaf.name] = argument(recorder, f"past[{number}]", past.leaf, axes)
    for number, (leaf, item) in enumerate(zip(node.given, inputs, strict=True)):
        axes = tuple(axis for axis in item.axes if axis != front or all_steps)
        resolver.values[leaf.name] = argument(recorder, f"given[{number}]", leaf, axes)
    outputs: dict[str, Ref] = {}
    for name, step in zip(node.names, node.steps, strict=True):
        found = resolver(step)
        outputs[name] = resolver.expand(found, Layout(union([lead, batch]), len(step.type.dims)))
    steps = "all steps" if all_steps else "one step"
    return write_program(recorder, ["past", "given"], {"states": outputs}, f"{steps} of {', '.join(node.names)}")


def _slope_program(
    node: ex.Solution, inputs: Sequence[Value], batch: tuple[Axis, ...], lead: tuple[Axis, ...]
) -> ArrayProgram:
    """The slope at one time, or at many with the times in front."""
    recorder = Recorder()
    resolver = ProgramResolver(recorder)
    resolver.values[node.time.name] = Resolved(recorder.input("time"), lead, 0)
    resolver.values[node.state.name] = Resolved(recorder.input("state"), (*lead, *batch), len(node.state.type.dims))
    for number, (leaf, item) in enumerate(zip(node.given, inputs, strict=True)):
        resolver.values[leaf.name] = argument(recorder, f"given[{number}]", leaf, item.axes)
    found = resolver(node.slope)
    slope = resolver.expand(found, Layout((*lead, *batch), len(node.slope.type.dims)))
    outputs = {"slope": {"slope": slope}}
    return write_program(recorder, ["time", "state", "given"], outputs, f"the slope {node.name}")


def argument(recorder: Recorder, text: str, leaf: ex.Value, axes: tuple[Axis, ...]) -> Value:
    """What stands for a leaf of a step in its program."""
    ref = recorder.input(text)
    recorder.hints[ref] = leaf.name.replace(" ", "_")
    return Resolved(ref, axes, len(leaf.type.dims))
