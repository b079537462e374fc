"""What is made of the others: matrix products, lists and log densities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ppl.axes import Axis, union
from ppl.distributions import Distribution
from ppl.errors import ModelError
from ppl.functions import UNKNOWN
from ppl.model import expressions as ex
from ppl.model import messages
from ppl.model.construct.calls import call, constant, fresh_axis, unify
from ppl.model.construct.naming import lift, named
from ppl.model.expressions import Expr, Type
from ppl.source import Span


def matmul(left: Expr, right: Expr, span: Span | None = None) -> Expr:
    """The matrix product of vectors and matrices, as `dot` over named rows and columns."""
    ranks = len(left.type.dims), len(right.type.dims)
    if not all(1 <= rank <= 2 for rank in ranks):
        odd = left if not 1 <= ranks[0] <= 2 else right
        said = f"{messages.written(odd)} {messages.extent(odd.type)}"
        raise ModelError.of("E301", span, f"`@` takes vectors and matrices, {said}")
    inner, other = left.type.dims[-1], right.type.dims[0]
    if inner.size != other.size:
        raise ModelError.of(
            "E301", span, f"{messages.written(left)} has length {inner}, {messages.written(right)} has length {other}"
        )
    axes: list[Axis] = []
    labels: list[str | None] = []
    if ranks[0] == 2:
        axes.append(fresh_axis("row", left.type.dims[0].size))
        labels.append(left.type.dims[0].label)
        left = named(left, 0, axes[-1])
    if ranks[1] == 2:
        axes.append(fresh_axis("column", right.type.dims[1].size))
        labels.append(right.type.dims[1].label)
        right = named(right, 1, axes[-1])
    return lift(call("dot", [left, right], span), axes, labels)


def stack(elements: Sequence[Expr], span: Span | None = None) -> Expr:
    """`[a, b, …]`: a new leading dimension. Numbers alone become one constant array."""
    if elements and all(isinstance(element, ex.Constant) for element in elements):
        values = [element.value for element in elements if isinstance(element, ex.Constant)]
        if len({np.shape(value) for value in values}) == 1:
            return constant(np.array(values), span)
    return call("stack", elements, span)


def log_density(family: Distribution, value: Expr, arguments: Mapping[str, Expr], span: Span | None = None) -> Expr:
    """The log density of a distribution at a value; both may be whole arrays of equal shape."""
    parts = [(value, len(family.event_dimensions))]
    parts += [(part, len(family.parameter(key).core_dimensions)) for key, part in arguments.items()]
    heads = [Type((), part.type.dims[: len(part.type.dims) - core]) for part, core in parts]
    batch = unify(heads, span, [messages.written(part) for part, _ in parts])
    axes = [fresh_axis("element", dim.size, dim.origin) for dim in batch]
    named_parts = [_named_head(part, core, axes) for part, core in parts]
    kind = Type(union(p.type.axes for p in named_parts), (), UNKNOWN, all(p.type.static for p in named_parts))
    node = ex.LogDensity(kind, span, family, named_parts[0], tuple(arguments), tuple(named_parts[1:]))
    return lift(node, axes, [dim.label for dim in batch])


def _named_head(value: Expr, core: int, axes: Sequence[Axis]) -> Expr:
    """Leading dimensions of `value` named by `axes`; a value without them is left alone."""
    if len(value.type.dims) > core:
        for axis in axes:
            value = named(value, 0, axis)
    return value
