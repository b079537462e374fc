"""Comprehensions, and reductions of lists whose range is ragged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ppl.axes import Axis
from ppl.language import syntax
from ppl.model import construct, ragged
from ppl.model.expressions import Expr

if TYPE_CHECKING:
    from ppl.language.meaning import Scope


def comprehension(scope: Scope, node: syntax.Comprehension) -> Expr:
    inner, axes = scope, list[Axis]()
    for binder in node.binders:
        start, size = inner.range(binder.range)
        axes.append(construct.fresh_axis(binder.name.name, size, start))
        inner = inner.with_index(binder, axes[-1])
    return _listed(node, inner.expression(node.body), axes)


def _listed(node: syntax.Comprehension, body: Expr, axes: Sequence[Axis]) -> Expr:
    lifted = construct.lift(body, axes)
    dims = tuple(replace(dim, origin=0) for dim in lifted.type.dims)
    return replace(lifted, type=replace(lifted.type, dims=dims), span=node.span)


REDUCED = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "min": np.inf, "max": -np.inf, "log_sum_exp": -np.inf}
"""Reductions that take a list whose length depends on outer indices, and what stands in for elements beyond its end."""


def reduced(scope: Scope, node: syntax.Call, elements: syntax.Comprehension) -> Expr | None:
    """A reduction of a list whose range is ragged: elements beyond the ends do not count. None for other lists."""
    inner, axes, present = scope, list[Axis](), None
    for binder in elements.binders:
        reach = inner.extent(binder.range)
        axes.append(construct.fresh_axis(binder.name.name, reach.size, reach.start))
        exists = reach.present(axes[-1])
        inner, present = inner.with_index(binder, axes[-1], exists), ragged.both(present, exists)
    if present is None:
        return None
    body, name = inner.expression(elements.body), node.function.name
    neutral = construct.constant(REDUCED[name])
    counted = construct.call("where", [present, ragged.filled(body, present), neutral], node.span)
    total = construct.call("sum" if name == "mean" else name, [_listed(elements, counted, axes)], node.span)
    if name != "mean":
        return total
    one = construct.call("where", [present, construct.constant(1.0), neutral])
    return construct.call("divide", [total, construct.call("sum", [construct.lift(one, axes)])], node.span)
