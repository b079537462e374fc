"""Ancestral draws: deterministic statements and draws of sites, those that depend on their own past step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ppl.axes import DRAW, Axis, Layout, union
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.loops import argument, steps_first
from ppl.compiler.programs.writer import Writer
from ppl.loops import DrawLoop, Read
from ppl.model import expressions as ex
from ppl.model.circles import circles
from ppl.model.expressions import Expr, values_read
from ppl.model.model import Deterministic, DistributionUse, Site, Statement
from ppl.model.recurrence import Unroller, written
from ppl.model.resolve import Resolved

Value = Resolved[Ref]


def draw(writer: Writer, statements: Sequence[Statement]) -> dict[str, Ref]:
    """Run deterministic statements and draw sites, in an order in which each follows what it reads; the outputs."""
    outputs: dict[str, Ref] = {}
    for group in _in_order(statements):
        looped = len(group) > 1 or group[0].name in values_read(*written(group[0]))
        if looped and any(isinstance(member, Site) for member in group):
            values = _drawn_in_steps(writer, group)
        else:
            values = {member.name: _single(writer, member) for member in group}
        for member in group:
            value = writer.values[member.name] = values[member.name]
            array, _ = writer.stretched(value, (DRAW, *member.axes))
            outputs[member.name] = writer.returned(array, member.axes, value.event_rank)
    return {statement.name: outputs[statement.name] for statement in statements}


def _in_order(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Groups of statements that depend on each other, each group after all that it reads, and else as they stand."""
    by_name = {statement.name: statement for statement in statements}
    reads = {name: values_read(*written(statement)) for name, statement in by_name.items()}
    group_of = {name: [name] for name in by_name}
    for group in circles(reads):
        group_of |= dict.fromkeys(group, group)
    done: set[str] = set()
    stack = list(reversed(by_name))
    while stack:
        group = group_of[stack[-1]]
        waiting = [r for name in group for r in by_name if r in reads[name] and r not in done and r not in group]
        if group[0] in done:
            stack.pop()
        elif waiting:
            stack += waiting
        else:
            done |= set(group)
            yield [by_name[name] for name in group]


def _single(writer: Writer, statement: Statement) -> Value:
    if isinstance(statement, Deterministic):
        return writer.deterministic(statement)
    assert isinstance(statement, Site)
    return _drawn(writer, statement)


def _drawn(writer: Writer, site: Site) -> Value:
    family = site.distribution.family
    want = union([site.axes, [DRAW]])
    named = {name: writer.resolver(part) for name, part in site.distribution.arguments.items()}
    parts = {name: writer.resolver.expand(item, Layout(want, item.event_rank)) for name, item in named.items()}
    recorder = writer.recorder
    function = recorder.function(f"draw_{family.name}", _plain(family.sample))
    shape = ", ".join(["draws", *(str(axis.size) for axis in want[1:])])
    arguments = ", ".join(["rng", f"({shape},)", *(f"{name}={{}}" for name in parts)])
    # the site's name makes the operation unique: two equal sites are two draws
    ref = recorder.record(f"{function}({arguments})  # {site.name}", tuple(parts.values()), static=False)
    recorder.hints[ref] = site.name
    return Resolved(ref, want, len(site.dims))


def _plain(sample: Callable[..., Any]) -> Callable[..., Any]:
    """A sampler without the name space that generated code passes first."""
    return lambda xp, rng, shape, **parameters: sample(rng, shape, **parameters)


# Step by step -----------------------------------------------------------------------------------------


def _drawn_in_steps(writer: Writer, group: Sequence[Statement]) -> dict[str, Value]:
    """Values of statements that depend on their own past, drawn one step after another."""
    unroller = Unroller.of(group, [part for member in group for part in written(member)])
    steps = [_one_step(unroller, member) for member in group]
    inputs = [steps_first(writer.recorder, writer.resolver(item), unroller.time) for item in unroller.inputs.values()]
    axes = [union([[DRAW], (axis for axis in member.axes if axis != unroller.time)]) for member in group]
    loop = DrawLoop(
        length=unroller.time.size,
        shapes=tuple(
            (*(None if axis == DRAW else axis.size for axis in own), *step.type.event)
            for own, step in zip(axes, unroller.current.values(), strict=True)
        ),
        discrete=tuple(isinstance(member, Site) and member.distribution.family.discrete for member in group),
        reads=tuple(Read(past.state, past.positions) for past in unroller.pasts),
        batches=tuple(len(axes[past.state]) for past in unroller.pasts),
        stepped=tuple(unroller.time in item.axes for item in inputs),
        one=_program(writer, unroller, steps, axes, inputs),
    )
    names = [member.name for member in group]
    recorder = writer.recorder
    function = recorder.function(f"draw_loop_{'_'.join(names)}", _running(loop))
    refs = [item.array for item in inputs]
    drawn = recorder.record(f"{function}(rng, draws, [{', '.join('{}' for _ in refs)}])", refs, static=False)
    found = {}
    for number, (name, own) in enumerate(zip(names, axes, strict=True)):
        ref = recorder.record(f"{{}}[{number}]", (drawn,), static=False)
        found[name] = writer.resolver.in_order(ref, (unroller.time, *own), len(loop.shapes[number]) - len(own))
    return found


def _running(loop: DrawLoop) -> Callable[..., Any]:
    return lambda xp, rng, draws, inputs: loop.run(xp, rng, draws, inputs)


def _one_step(unroller: Unroller, member: Statement) -> Statement:
    """The member at a single step, over the leaves of the unroller."""
    axes = tuple(axis for axis in member.axes if axis != unroller.time)
    if isinstance(member, Deterministic):
        (value,) = written(member)
        step = unroller.now(member.name, unroller.step(value))
        return replace(member, value=step, axes=axes)
    assert isinstance(member, Site)
    arguments = {name: unroller.step(part) for name, part in member.distribution.arguments.items()}
    drawn = ex.Value(_value_type(member), member.span, member.name)
    unroller.now(member.name, drawn)
    use = member.distribution
    return replace(member, distribution=DistributionUse(use.family, arguments, use.span), axes=axes)


def _value_type(site: Site) -> ex.Type:
    return ex.Type(union([site.axes]), site.dims, site.support.name, static=False)


def _program(
    writer: Writer,
    unroller: Unroller,
    steps: Sequence[Statement],
    axes: Sequence[tuple[Axis, ...]],
    inputs: Sequence[Value],
) -> ArrayProgram:
    """Draws of one step."""
    inner = Writer(writer.model)
    leaves: Mapping[ex.Value, Expr] = unroller.inputs
    for number, past in enumerate(unroller.pasts):
        own = union([axes[past.state], past.axes])
        inner.values[past.leaf.name] = argument(inner.recorder, f"past[{number}]", past.leaf, own)
    for number, (leaf, item) in enumerate(zip(leaves, inputs, strict=True)):
        kept = tuple(axis for axis in item.axes if axis != unroller.time)
        inner.values[leaf.name] = argument(inner.recorder, f"given[{number}]", leaf, kept)
    outputs: dict[str, Ref] = {}
    for step, own in zip(steps, axes, strict=True):
        value = inner.values[step.name] = _single(inner, step)
        outputs[step.name] = inner.resolver.expand(value, Layout(own, value.event_rank))
    names = ", ".join(step.name for step in steps)
    return inner.program(["rng", "draws", "past", "given"], f"one step of {names}", states=outputs)
