"""Summing out enumerated sites on arrays: the steps of an elimination as operations.

The value of an enumerated site is the array of its states along the axis of its states. Every term that reads it
gets that axis by broadcasting; what is left is to add up terms and take log-sum-exp over the axis, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.compiler.collapse.writer import collapsed_term
from ppl.compiler.programs.arrays import Ref
from ppl.compiler.programs.writer import Writer
from ppl.functions import FUNCTIONS, Function
from ppl.functions.reductions import log_sum_exp
from ppl.model.chains import Chain, opened
from ppl.model.elimination import Elimination, Part, Reading, Step
from ppl.model.model import Factor, Site
from ppl.model.plan import Plan
from ppl.model.resolve import Resolved, evaluate

Value = Resolved[Ref]


@dataclass(frozen=True)
class Table:
    """One step done: `log_weights` over the states of `step.site` and of the others, and their sum over the former."""

    step: Step
    log_weights: Value
    result: Value


def opened_writer(plan: Plan) -> Writer:
    """A writer of the plan's model in which chains have their earlier elements along axes of their own."""
    chains = [chain for elimination in plan.eliminations for chain in elimination.chains]
    writer = Writer(opened(plan.model, chains))
    for chain in chains:
        site = plan.model.by_name[chain.site]
        assert isinstance(site, Site)
        writer.resolver.before[chain.site], _ = state_values(writer, site, chain.before)
    return writer


def log_terms(writer: Writer, plan: Plan, counted: bool = False) -> dict[str, Value]:
    """The elementwise log density of every site and factor, enumerated sites taking all of their states.

    Of a collapsed site it is one for each of its cells, or a single number; with `counted` one for each cell too of the
    members of eliminations whose rows are counted. `writer` is one of `opened_writer`.
    """
    over_cells = plan.over_cells if counted else {}
    states = {name: axis for elimination in plan.eliminations for name, axis in elimination.states.items()}
    terms: dict[str, Value] = {}
    for original in writer.model.statements:
        statement = over_cells.get(original.name, original)
        if isinstance(statement, Factor):
            terms[statement.name] = writer.resolver(statement.value)
        elif isinstance(statement, Site) and statement.name in states:
            value, inside = state_values(writer, statement, states[statement.name])
            writer.values[statement.name] = value
            terms[statement.name] = _where(writer, inside, writer.density(statement, value))
        else:
            value = writer.known(statement)
            if statement.name in plan.collapses:
                terms[statement.name] = collapsed_term(writer, plan.collapses[statement.name])
            elif isinstance(statement, Site):
                terms[statement.name] = writer.density(statement, value)
    return terms


def state_values(writer: Writer, site: Site, axis: Axis) -> tuple[Value, Value | None]:
    """The states of a site along their axis, and where elements differ in their number, which belong to each.

    Positions beyond an element's last state repeat that state; None where there are none.
    """
    resolver = writer.resolver
    positions = Resolved(writer.recorder.constant(np.arange(axis.size)), (axis,), 0)
    if site.support.name == "boolean":
        return positions, None
    lower, upper = (evaluate(bound) for bound in site.support.arguments)
    if not lower.axes and not upper.axes:
        return Resolved(writer.recorder.constant(np.arange(axis.size) + int(lower.array)), (axis,), 0), None
    first, last = (resolver(bound) for bound in site.support.arguments)
    states = resolver.apply(FUNCTIONS["add"], [first, positions], 0)
    inside = resolver.apply(FUNCTIONS["less_equal"], [states, last], 0)
    return resolver.apply(FUNCTIONS["minimum"], [states, last], 0), inside


def _where(writer: Writer, inside: Value | None, term: Value) -> Value:
    """The term, minus infinity for the states that an element does not have."""
    if inside is None:
        return term
    never = Resolved(writer.recorder.constant(float("-inf")), (), 0)
    return writer.resolver.apply(FUNCTIONS["where"], [inside, term, never], 0)


def eliminate(writer: Writer, elimination: Elimination, factors: Mapping[str, Value]) -> list[Table]:
    """Do the steps; the result of the last one is the log density of all members, over the elimination's plates."""
    known = dict(factors)
    tables = []
    for step in elimination.steps:
        parts = [_onto(writer, known[part.factor], part, step.plates) for part in step.parts]
        log_weights = parts[0]
        for part in parts[1:]:
            log_weights = writer.resolver.apply(FUNCTIONS["add"], [log_weights, part], 0)
        axis = elimination.states[step.site]
        if step.chain is None:
            known[step.result] = over_states(writer, _LOG_SUM_EXP, log_weights, axis, drop=True)
        else:
            ref, rest = chained(writer, log_weights, step.chain, axis)
            known[step.result] = Resolved(writer.recorder.record("xp.chain({})", (ref,)), rest, 0)
        writer.name(log_weights.array, f"{step.site}_weights")
        writer.name(known[step.result].array, f"sum_over_{step.site}")
        tables.append(Table(step, log_weights, known[step.result]))
    return tables


def chained(writer: Writer, log_weights: Value, chain: Chain, axis: Axis) -> tuple[Ref, tuple[Axis, ...]]:
    """Weights as `ppl.chains` takes them, (steps, batch…, states before, states), and the axes of the batch."""
    array, axes = writer.stretched(log_weights, (chain.time, chain.before, axis))
    rest = tuple(each for each in axes if each not in (chain.time, chain.before, axis))
    order = tuple(axes.index(each) for each in (chain.time, *rest, chain.before, axis))
    return writer.recorder.transpose(array, order), rest


def _onto(writer: Writer, factor: Value, part: Part, plates: tuple[Axis, ...]) -> Value:
    """A factor summed over its plates that a table does not have, its elements first sorted by where they look up."""
    lookup = part.lookup
    stay = set(plates) if lookup is None else (set(plates) - set(lookup.target)) | set(lookup.source)
    factor = _summed(writer, factor, tuple(axis for axis in part.plates if axis not in stay))
    if lookup is None:
        return factor
    factor = _sorted_by_lookup(writer, factor, lookup)
    moved = (*(axis for axis in part.plates if axis in stay and axis not in lookup.source), *lookup.target)
    return _summed(writer, factor, tuple(axis for axis in moved if axis not in plates))


def _summed(writer: Writer, factor: Value, axes: tuple[Axis, ...]) -> Value:
    """Summed over plates; those along which it does not vary count as often as they have elements."""
    copies = int(np.prod([axis.size for axis in axes if axis not in factor.axes], initial=1))
    positions = [position for position, axis in enumerate(factor.axes) if axis in axes]
    array = writer.recorder.scale(writer.recorder.sum(factor.array, positions), copies)
    return Resolved(array, tuple(axis for axis in factor.axes if axis not in axes), 0)


def _sorted_by_lookup(writer: Writer, factor: Value, lookup: Reading) -> Value:
    """The sum of the factor over the elements that look up the same element, for each element of `lookup.target`."""
    array, axes = writer.stretched(factor, lookup.source)
    rest = tuple(axis for axis in axes if axis not in lookup.source)
    order = [axes.index(axis) for axis in (*lookup.source, *rest)]
    if order != sorted(order):
        array = writer.recorder.transpose(array, tuple(order))
    count, groups = (int(np.prod([axis.size for axis in axes], initial=1)) for axes in (lookup.source, lookup.target))
    members = writer.recorder.constant(_members(lookup, count, groups))
    function = Function("sum_by_group", ("x", "members"), _sum_by_group, "", "")
    static = {"source_rank": len(lookup.source), "target": tuple(axis.size for axis in lookup.target)}
    summed = writer.recorder.apply(function, [array, members], static)
    return writer.resolver.in_order(summed, (*lookup.target, *rest), 0)


def _members(lookup: Reading, count: int, groups: int) -> np.ndarray:
    """For each group the flat positions of its members, filled up with `count`: (groups, largest group)."""
    assert lookup.positions is not None
    flat = lookup.positions.ravel()
    sizes = np.bincount(flat, minlength=groups)
    order = np.argsort(flat, kind="stable")
    rank = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    members = np.full((groups, max(int(sizes.max(initial=0)), 1)), count)
    members[flat[order], rank] = order
    return members


def _sum_by_group(xp: Any, x: Any, members: Any, source_rank: int, target: tuple[int, ...]) -> Any:
    """Sum over groups of the first `source_rank` dimensions of `x`, flattened; `members` as `_members` makes them."""
    rest = tuple(xp.shape(x))[source_rank:]
    rows = xp.reshape(x, (-1, *rest))
    padded = xp.concatenate([rows, np.zeros((1, *rest))], axis=0)
    return xp.reshape(xp.sum(padded[members], axis=1), (*target, *rest))


def over_states(writer: Writer, function: Function, item: Value, axis: Axis, drop: bool = False) -> Value:
    """A function along the axis of a site's states, which its result has (`drop`) not any more."""
    position = item.axes.index(axis)
    array = writer.recorder.apply(function, [item.array], {"axis": position})
    axes = tuple(other for other in item.axes if other != axis) if drop else item.axes
    return Resolved(array, axes, 0)


_LOG_SUM_EXP = Function("log_sum_exp_along", ("x",), lambda xp, x, axis: log_sum_exp(xp, x, (axis,)), "", "")


def read_elements(writer: Writer, item: Value, how: Reading) -> Value:
    """An array over a site's plates as its reader finds it."""
    if not how.target:
        return item
    array, axes = writer.stretched(item, how.target)
    rest = tuple(axis for axis in axes if axis not in how.target)
    order = tuple(axes.index(axis) for axis in (*rest, *how.target))
    recorder = writer.recorder
    array = recorder.transpose(array, order) if list(order) != sorted(order) else array
    sizes = [axis.size for axis in rest]
    flat = recorder.reshape(array, (*sizes, int(np.prod([axis.size for axis in how.target]))))
    taken = recorder.take(flat, (..., recorder.constant(how.positions)))
    return writer.resolver.in_order(taken, (*rest, *how.source), 0)
