"""Programs of the expected log joint density, as functions of mean statistics and of points of the other factors.

A block of sites that is integrated by points has a named axis of its own; the block at hand has the axis of the draws.
Discrete sites take all of their states, as in an elimination.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ppl.axes import DRAW, Axis
from ppl.compiler.conjugacy.expectation import LOG_DET, statistic_name
from ppl.compiler.conjugacy.sites import Conjugacy
from ppl.compiler.enumeration.elimination import eliminate, opened_writer, state_values
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.writer import Writer
from ppl.functions import FUNCTIONS
from ppl.model.model import Factor, Site, Statement
from ppl.model.resolve import Resolved

Value = Resolved[Ref]


@dataclass(frozen=True)
class Points:
    """Blocks of sites that are integrated by points: `active` has the draws, the others axes of `sizes` points each."""

    blocks: tuple[tuple[str, ...], ...]
    active: int
    sizes: tuple[int, ...]

    def axis(self, block: int) -> Axis:
        if block == self.active:
            return DRAW
        return Axis(f"points of {', '.join(self.blocks[block])}", self.sizes[block], order=-200_000 + block)

    @property
    def others(self) -> tuple[Axis, ...]:
        return tuple(self.axis(block) for block in range(len(self.blocks)) if block != self.active)


def tables_program(conjugacy: Conjugacy, points: Points) -> tuple[ArrayProgram, dict[str, tuple[Axis, ...]]]:
    """`run(values, points, statistics, prepared) -> {member: expected log density}` for what eliminations join.

    Means over all points, with an axis for the states of each site that is summed out; and the axes of the tables.
    """
    writer = opened_writer(conjugacy.plan)
    terms = _terms(writer, conjugacy, points)
    outputs: dict[str, Ref] = {}
    axes: dict[str, tuple[Axis, ...]] = {}
    for name in terms:
        if name in conjugacy.members:
            term = _mean(writer, terms[name], (DRAW, *points.others))
            outputs[name], axes[name] = term.array, term.axes
    program = writer.program(["values", "points", "statistics"], "expected log densities", tables=outputs)
    return program, axes


def sums_program(conjugacy: Conjugacy, axes: Mapping[str, tuple[Axis, ...]]) -> ArrayProgram:
    """`run(tables, prepared) -> {elimination: log of the sum over the states}`, as often as its plates count."""
    writer = opened_writer(conjugacy.plan)
    tables = {name: Resolved(writer.recorder.input(f"tables[{name!r}]"), axes[name], 0) for name in axes}
    outputs = {}
    for elimination in conjugacy.plan.eliminations:
        total = eliminate(writer, elimination, tables)[-1].result
        ref = writer.recorder.sum(total.array, range(len(total.axes)))
        copies = math.prod(axis.size for axis in elimination.plates if axis not in total.axes)
        outputs[elimination.name] = writer.recorder.scale(ref, copies * conjugacy.plan.scale(elimination.plates))
    return writer.program(["tables"], "log sums over the states", sums=outputs)


def rows_program(conjugacy: Conjugacy, points: Points, axes: Mapping[str, tuple[Axis, ...]]) -> ArrayProgram:
    """`run(values, points, statistics, weights, prepared) -> {"rows": …, "tables": …}`, the expected log joint density.

    Of each draw of the active block, (draw,) or (1,), a mean over the points of the others. What eliminations join
    counts in "tables", with the given weights of the states; the rest in "rows".
    """
    writer = opened_writer(conjugacy.plan)
    terms = _terms(writer, conjugacy, points)
    found: dict[str, list[Ref]] = {"rows": [], "tables": []}
    for name, term in terms.items():
        statement = conjugacy.model.by_name[name]
        axes_of, group = statement.axes, "rows"
        if name in axes:
            weights = Resolved(writer.recorder.input(f"weights[{name!r}]"), axes[name], 0)
            term = writer.resolver.apply(FUNCTIONS["multiply"], [weights, _finite(writer, term)], 0)
            axes_of, group = axes[name], "tables"
        else:
            ref = writer.recorder.scale(term.array, conjugacy.plan.scale(statement.axes))
            term = Resolved(ref, term.axes, 0)
        copies = math.prod(axis.size for axis in points.others if axis in term.axes)
        total = writer.reduced(term, axes_of, ())
        found[group].append(writer.recorder.scale(total, 1.0 / copies))
    outputs = {group: _added(writer, refs) for group, refs in found.items()}
    arguments = ["values", "points", "statistics", "weights"]
    return writer.program(arguments, "expected log joint density", sums=outputs)


def _added(writer: Writer, refs: Sequence[Ref]) -> Ref:
    total = writer.recorder.constant(0.0)
    for number, ref in enumerate(refs):
        total = ref if number == 0 else writer.recorder.record("{} + {}", (total, ref))
    return total


def _finite(writer: Writer, term: Value) -> Value:
    """A term whose states that cannot be, of weight 0, count nothing."""
    zero = Resolved(writer.recorder.constant(0.0), (), 0)
    lowest = Resolved(writer.recorder.constant(-1e300), (), 0)
    possible = writer.resolver.apply(FUNCTIONS["greater"], [term, lowest], 0)
    return writer.resolver.apply(FUNCTIONS["where"], [possible, term, zero], 0)


def _mean(writer: Writer, term: Value, axes: Sequence[Axis]) -> Value:
    """The mean over those of the axes that a term has."""
    positions = [place for place, axis in enumerate(term.axes) if axis in axes]
    if not positions:
        return term
    where = positions[0] if len(positions) == 1 else tuple(positions)
    ref = writer.recorder.record(f"xp.mean({{}}, axis={where})", (term.array,))
    return Resolved(ref, tuple(axis for axis in term.axes if axis not in axes), 0)


def _terms(writer: Writer, conjugacy: Conjugacy, points: Points) -> dict[str, Value]:
    """The expected log density of every site and factor, elementwise."""
    _give(writer, conjugacy, points)
    states = {name: axis for elimination in conjugacy.plan.eliminations for name, axis in elimination.states.items()}
    terms: dict[str, Value] = {}
    for statement in conjugacy.model.statements:
        if isinstance(statement, Factor):
            terms[statement.name] = _term(writer, conjugacy, statement, None)
        elif isinstance(statement, Site) and statement.name in states:
            value, inside = state_values(writer, statement, states[statement.name])
            writer.values[statement.name] = value
            term = _term(writer, conjugacy, statement, value)
            terms[statement.name] = term if inside is None else _where(writer, inside, term)
        elif isinstance(statement, Site):
            soft = statement.name in conjugacy.natural
            known = None if soft else writer.values[statement.name]
            terms[statement.name] = _term(writer, conjugacy, statement, known)
    return terms


def _term(writer: Writer, conjugacy: Conjugacy, statement: Statement, value: Value | None) -> Value:
    expected = conjugacy.expected[statement.name]
    if expected is None:
        assert isinstance(statement, Site)
        assert value is not None
        return writer.density(statement, value)
    term = writer.resolver(expected)
    if isinstance(statement, Site) and value is not None:
        return writer.masked(statement, value, term)
    return writer.present(statement, term)


def _where(writer: Writer, inside: Value, term: Value) -> Value:
    never = Resolved(writer.recorder.constant(float("-inf")), (), 0)
    return writer.resolver.apply(FUNCTIONS["where"], [inside, term, never], 0)


def _give(writer: Writer, conjugacy: Conjugacy, points: Points) -> None:
    """Make known what is handed in: mean statistics, and the values of sites at the points of their block."""
    for name, family in conjugacy.natural.items():
        site = conjugacy.model.by_name[name]
        assert isinstance(site, Site)
        for place, kind in enumerate(family.kinds):
            ref = writer.recorder.input(f"statistics[{name!r}][{place}]")
            rank = len(site.dims) - 2 if kind == LOG_DET else len(site.dims)
            writer.values[statistic_name(name, kind)] = writer.resolver.in_order(ref, site.axes, rank)
    for number, block in enumerate(points.blocks):
        for name in block:
            site = conjugacy.model.by_name[name]
            assert isinstance(site, Site)
            source = "values" if number == points.active else "points"
            ref = writer.recorder.input(f"{source}[{name!r}]")
            axes = (points.axis(number), *site.axes)
            writer.values[name] = writer.resolver.in_order(ref, axes, len(site.dims))
