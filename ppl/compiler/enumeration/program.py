"""Programs for the enumerated sites given everything else: exact draws and marginals.

Both go back through the steps of an elimination: a site's table, given the sites that went after it, is its exact
conditional distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl import chains
from ppl.axes import DRAW, Axis, Layout, union
from ppl.compiler.enumeration.elimination import (
    Table,
    Value,
    chained,
    eliminate,
    log_terms,
    opened_writer,
    over_states,
    read_elements,
    state_values,
)
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.writer import Writer
from ppl.functions import FUNCTIONS, Function
from ppl.model.chains import Chain
from ppl.model.elimination import Elimination
from ppl.model.model import Site
from ppl.model.plan import Plan
from ppl.model.resolve import Resolved


def enumerated_program(plan: Plan) -> ArrayProgram:
    """`run(rng, draws, values, prepared) -> {site: whole numbers}`: joint posterior draws, (draw, plates…).

    One for each draw of all other latents, by backward sampling; exact given these.
    """
    writer = opened_writer(plan)
    outputs: dict[str, Ref] = {}
    factors = log_terms(writer, plan)
    for elimination in plan.eliminations:
        drawn: dict[str, Value] = {}
        for table in reversed(eliminate(writer, elimination, factors)):
            site = _site(plan, table.step.site)
            weights = table.log_weights
            for other, how in table.step.others.items():
                read = read_elements(writer, drawn[other], how)
                weights = _at_state(writer, weights, elimination.states[other], read)
            drawn[site.name] = _drawn(writer, site, weights, elimination.states[site.name], table.step.chain)
            states, _ = state_values(writer, site, elimination.states[site.name])
            value = _at_state(writer, states, elimination.states[site.name], drawn[site.name])
            outputs[site.name] = writer.returned(value.array, site.axes, 0)
    return writer.program(["rng", "draws", "values"], "draws of the enumerated sites given the others", drawn=outputs)


def marginals_program(plan: Plan) -> ArrayProgram:
    """`run(values, prepared) -> {site: probabilities}`: exact given all other latents, (draw, plates…, states)."""
    writer = opened_writer(plan)
    outputs: dict[str, Ref] = {}
    factors = log_terms(writer, plan)
    for elimination in plan.eliminations:
        beliefs: dict[str, Value] = {}
        for table in reversed(eliminate(writer, elimination, factors)):
            site = _site(plan, table.step.site)
            axis = elimination.states[site.name]
            beliefs[site.name] = belief = _belief(writer, elimination, table, beliefs)
            marginal = _only(writer, belief, {axis})
            array, axes = writer.stretched(marginal, (DRAW, *site.axes))
            order = [axes.index(each) for each in (DRAW, *site.axes, axis)]
            outputs[site.name] = writer.recorder.transpose(array, tuple(order))
    return writer.program(["values"], "marginals of the enumerated sites given the others", marginals=outputs)


def _site(plan: Plan, name: str) -> Site:
    site = plan.model.by_name[name]
    assert isinstance(site, Site)
    return site


def _belief(writer: Writer, elimination: Elimination, table: Table, beliefs: dict[str, Value]) -> Value:
    """The joint posterior of the sites in a table: conditional of the one that goes, times that of the others.

    The others stand together in the table of the first of them that goes.
    """
    axis = elimination.states[table.step.site]
    if table.step.chain is None:
        conditional = over_states(writer, _NORMALISED, table.log_weights, axis)
    else:
        conditional = _smoothed(writer, table.log_weights, table.step.chain, axis)
    if not table.step.others:
        return conditional
    first = next(step.site for step in elimination.steps if step.site in table.step.others)
    separator = _only(writer, beliefs[first], {elimination.states[name] for name in table.step.others})
    read = read_elements(writer, separator, table.step.others[first])
    return writer.resolver.apply(FUNCTIONS["multiply"], [conditional, read], 0)


def _smoothed(writer: Writer, log_weights: Value, chain: Chain, axis: Axis) -> Value:
    """The marginals of a chain given the other sites in its table."""
    ref, rest = chained(writer, log_weights, chain, axis)
    found = writer.recorder.apply(_MARGINALS, [ref], {})
    return writer.resolver.in_order(found, (chain.time, *rest, axis), 0)


def _only(writer: Writer, belief: Value, states: set[Axis]) -> Value:
    """A belief summed over all states but those along the axes given."""
    gone = [p for p, axis in enumerate(belief.axes) if axis.order < 0 and axis != DRAW and axis not in states]
    array = writer.recorder.sum(belief.array, gone)
    return Resolved(array, tuple(axis for p, axis in enumerate(belief.axes) if p not in gone), 0)


def _at_state(writer: Writer, item: Value, axis: Axis, states: Value) -> Value:
    """`item` at one position along `axis` for each element of `states`."""
    if axis not in item.axes:
        return item
    want = Layout(union([item.axes, states.axes]), 0)
    arrays = [writer.resolver.expand(each, want) for each in (item, states)]
    place = want.position(axis) - want.rank
    taken = writer.recorder.apply(_TAKEN, arrays, {"axis": place})
    return Resolved(taken, tuple(each for each in want.axes if each != axis), 0)


def _drawn(writer: Writer, site: Site, log_weights: Value, axis: Axis, chain: Chain | None) -> Value:
    """Positions along the axis of the site's states, drawn independently for each draw and element or chain."""
    if chain is not None:
        return _drawn_chain(writer, site, log_weights, axis, chain)
    want = union([(DRAW, axis, *site.axes)])
    weights = writer.resolver.expand(log_weights, Layout(want, 0))
    name = writer.recorder.function("draw_states", _draw_states)
    shape = ", ".join("draws" if each == DRAW else str(each.size) for each in want if each != axis)
    text = f"{name}(rng, ({shape},), {{}}, axis={want.index(axis)})  # {site.name}"
    ref = writer.recorder.record(text, (weights,), static=False)
    writer.recorder.hints[ref] = f"{site.name}_state"
    return Resolved(ref, tuple(each for each in want if each != axis), 0)


def _drawn_chain(writer: Writer, site: Site, log_weights: Value, axis: Axis, chain: Chain) -> Value:
    ref, rest = chained(writer, log_weights, chain, axis)
    batch = union([(DRAW, *(each for each in site.axes if each != chain.time))])
    aligned = writer.recorder.take(ref, (slice(None), *(slice(None) if each in rest else None for each in batch)))
    name = writer.recorder.function("draw_chain", _draw_chain)
    shape = ", ".join("draws" if each == DRAW else str(each.size) for each in batch)
    drawn = writer.recorder.record(f"{name}(rng, ({shape},), {{}})  # {site.name}", (aligned,), static=False)
    writer.recorder.hints[drawn] = f"{site.name}_state"
    return writer.resolver.in_order(drawn, (chain.time, *batch), 0)


def _draw_chain(xp: Any, rng: np.random.Generator, shape: tuple[int, ...], log_weights: Any) -> Any:
    """One path for each element of `shape`: (steps, *shape)."""
    steps, *_, before, states = log_weights.shape
    return chains.drawn(rng, np.broadcast_to(log_weights, (steps, *shape, before, states)))


def _normalised(xp: Any, log_weights: Any, axis: int) -> Any:
    """Probabilities along an axis; all zero where every weight is."""
    top = np.max(log_weights, axis=axis, keepdims=True)
    weights = np.exp(log_weights - np.where(np.isfinite(top), top, 0.0))
    total = np.sum(weights, axis=axis, keepdims=True)
    return weights / np.where(total == 0.0, 1.0, total)


def _taken(xp: Any, x: Any, positions: Any, axis: int) -> Any:
    """`x` at `positions`, which broadcast against it and have length 1 along `axis`; that dimension goes."""
    rank = max(np.ndim(x), np.ndim(positions))
    x, positions = (np.reshape(each, (1,) * (rank - np.ndim(each)) + np.shape(each)) for each in (x, positions))
    return np.squeeze(np.take_along_axis(x, positions, axis=axis), axis=axis)


def _draw_states(xp: Any, rng: np.random.Generator, shape: tuple[int, ...], log_weights: Any, axis: int) -> Any:
    """Positions along `axis` by inverting the running sum of the weights: (*shape)."""
    rank = len(shape) + 1
    log_weights = np.reshape(log_weights, (1,) * (rank - np.ndim(log_weights)) + np.shape(log_weights))
    edges = np.cumsum(_normalised(xp, log_weights, axis), axis=axis)
    uniform = np.expand_dims(rng.random(shape), axis)
    last = np.take(edges, [-1], axis=axis)
    return np.sum(np.take(edges, range(edges.shape[axis] - 1), axis=axis) <= uniform * last, axis=axis)


_MARGINALS = Function("chain_marginals", ("log_weights",), lambda xp, weights: chains.marginals(weights), "", "")
_NORMALISED = Function("normalised", ("log_weights",), _normalised, "", "")
_TAKEN = Function("taken_along", ("x", "positions"), _taken, "", "")
