"""`ppl.scan`: a quantity or a series of unknowns each of which follows from the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ppl.axes import union
from ppl.embedding.operand import as_operand
from ppl.embedding.primitives import deterministic, plate, sample
from ppl.embedding.spans import caller_span
from ppl.embedding.state import tracing
from ppl.embedding.symbol import Symbol
from ppl.errors import ModelError
from ppl.functions import UNKNOWN
from ppl.model import DistributionUse, construct
from ppl.model import expressions as ex
from ppl.model.combine import either
from ppl.model.expressions import Expr, Type
from ppl.model.uses import core_sizes, support_of_use
from ppl.source import Span


def scan(name: str, step: Callable[[Symbol, Symbol], Any], first: Any, length: int, index: str = "t") -> Symbol:
    """A series `name` of `length` values: `first`, then `step(t, before)` of the index and the value before.

    `first` and what `step` returns are both values (a recurrence that is computed) or both distributions of one
    family (a series of unknowns, each drawn given the one before). `index` names the plate over the steps, which
    ordinary `plate(index, length)` opens again; inside `step`, data may be read at `t` and at `t - 1`. Raises
    ModelError.
    """
    span = caller_span()
    state = tracing("scan", span)
    with plate(index, length) as t:
        axis = state.plates[-1]
        later = construct.call("greater", [t.expression, construct.constant(axis.start)], span)
        before = _value_before(state.scoped(name), _element(first), tuple(state.plates), t.expression, later, span)
        state.present.append(later)
        try:
            following = step(t, Symbol.of(before))
        finally:
            state.present.pop()
        if isinstance(first, DistributionUse) != isinstance(following, DistributionUse):
            raise ModelError.of(
                "E303", span, f"`{name}`: the first element and the step must both be values or both distributions"
            )
        if isinstance(first, DistributionUse):
            return sample(name, either(later, following, first, span))
        chosen = construct.call(
            "where", [later, as_operand(following, span).whole(), as_operand(first, span).whole()], span
        )
        return deterministic(name, Symbol.of(chosen))


def _element(first: Any) -> tuple[tuple[ex.Dim, ...], str]:
    """The dimensions of one element and the set it lies in, as far as the first tells."""
    if not isinstance(first, DistributionUse):
        return as_operand(first, None).whole().type.dims, UNKNOWN
    sizes = core_sizes(first)
    dims = tuple(replace(sizes[core], origin=0) for core in first.family.event_dimensions)
    support = support_of_use(first, {core: dim.size for core, dim in sizes.items()})
    return dims, support.name


def _value_before(
    name: str, element: tuple[tuple[ex.Dim, ...], str], plates: tuple[Any, ...], t: Expr, later: Expr, span: Span | None
) -> Expr:
    """The series itself, one step back, where there is one."""
    kind = Type(union([plates]), *element, static=False)
    whole = construct.lift(ex.Value(kind, span, name), plates)
    outer = [construct.axis_index(axis, span) for axis in plates[:-1]]
    back = construct.call("subtract", [t, construct.constant(1)], span)
    return construct.index(whole, [*outer, back], span, later)
