"""Rewriting expressions: the value of a statement replaced by another expression, plates narrowed to some elements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import Deterministic, DistributionUse, Factor, Site, Statement, SupportOf


def with_children(node: Expr, children: Sequence[Expr], **changes: Any) -> Expr:
    """The node with other children in place of its own, in their order."""
    if isinstance(node, ex.Call):
        return replace(node, arguments=tuple(children), **changes)
    if isinstance(node, ex.LogDensity):
        return replace(node, value=children[0], arguments=tuple(children[1:]), **changes)
    if isinstance(node, ex.Gather):
        rest = iter(children[1:])
        items = tuple(None if item is None else next(rest) for item in node.items)
        return replace(node, base=children[0], items=items, **changes)
    if isinstance(node, ex.SliceOf | ex.Named | ex.Lift):
        return replace(node, base=children[0], **changes)
    if isinstance(node, ex.State):
        assert isinstance(children[0], ex.Recurrence)
        return replace(node, base=children[0], **changes)
    if isinstance(node, ex.Recurrence):
        return replace(node, inputs=tuple(children), **changes)
    if isinstance(node, ex.Solution):
        return replace(node, initial=children[0], inputs=tuple(children[1:]), **changes)
    return node


def substituted(root: Expr, values: Mapping[str, Expr]) -> Expr:
    """`root` with the values of some statements replaced by expressions of the same type."""
    done: dict[int, Expr] = {}
    for node in ex.walk(root):
        if isinstance(node, ex.Value) and node.name in values:
            done[id(node)] = values[node.name]
            continue
        children = [done[id(child)] for child in node.children]
        same = all(new is old for new, old in zip(children, node.children, strict=True))
        if isinstance(node, ex.Recurrence):
            written = tuple(substituted(part, values) for part in node.written)
            done[id(node)] = with_children(node, children, written=written)
        else:
            done[id(node)] = node if same else with_children(node, children)
    return done[id(root)]


def rewritten(root: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """`root` with each node for which `change` has an answer replaced by it."""
    done: dict[int, Expr] = {}
    for node in ex.walk(root):
        changed = change(node)
        if changed is None:
            children = [done[id(child)] for child in node.children]
            same = all(new is old for new, old in zip(children, node.children, strict=True))
            changed = node if same else with_children(node, children)
        done[id(node)] = changed
    return done[id(root)]


def selected(node: Expr, places: Mapping[Axis, np.ndarray], axis: Axis) -> Expr:
    """The elements of `node` at `places` (positions along each of its axes that is named there), along `axis`."""
    places = {old: places[old] for old in node.type.axes if old in places}
    if not places:
        return node
    if isinstance(node, ex.State | ex.Solution):
        items = [_numbers(at + old.start, axis) for old, at in places.items()]
        return construct.index(construct.lift(node, tuple(places)), items, node.span)
    kept = [old for old in node.type.axes if old not in places]
    kind = replace(node.type, axes=union([kept, [axis]]))
    if isinstance(node, ex.AxisIndex):
        return _numbers(places[node.axis] + node.axis.start, axis)
    if isinstance(node, ex.Named) and node.axis in places:
        base = selected(node.base, {old: at for old, at in places.items() if old != node.axis}, axis)
        whole = [construct.Cut(None, None)] * node.dim
        item = _numbers(places[node.axis] + base.type.dims[node.dim].origin, axis)
        return construct.index(base, [*whole, item], node.span)
    if isinstance(node, ex.Value):
        items = [_numbers(at + old.start, axis) for old, at in places.items()]
        return construct.index(construct.lift(node, tuple(places)), items, node.span)
    return with_children(node, [selected(child, places, axis) for child in node.children], type=kind)


def _numbers(values: np.ndarray, axis: Axis) -> Expr:
    return construct.named(construct.constant(values), 0, axis)


# Statements -----------------------------------------------------------------------------------------


def with_values(statement: Statement, values: Mapping[str, Expr]) -> Statement:
    """The statement with the values of others replaced in all that it reads."""
    if not statement.reads & values.keys():
        return statement
    if isinstance(statement, Deterministic | Factor):
        return replace(statement, value=substituted(statement.value, values))
    assert isinstance(statement, Site)
    return with_expressions(statement, lambda part: substituted(part, values))


def with_every_expression(statement: Statement, change: Callable[[Expr], Expr]) -> Statement:
    """The statement with all that it reads changed."""
    if isinstance(statement, Deterministic | Factor):
        return replace(statement, value=change(statement.value))
    return with_expressions(statement, change) if isinstance(statement, Site) else statement


def with_expressions(site: Site, change: Any, **changes: Any) -> Site:
    """The site with every expression of its distribution, support and observed value changed."""
    use = site.distribution
    arguments = {name: change(part) for name, part in use.arguments.items()}
    return replace(
        site,
        distribution=DistributionUse(use.family, arguments, use.span),
        support=SupportOf(site.support.name, tuple(change(part) for part in site.support.arguments)),
        observed=None if site.observed is None else change(site.observed),
        **changes,
    )
