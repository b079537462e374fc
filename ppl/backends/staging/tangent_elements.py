"""Tangents of functions that work element by element: from the value, the arguments and their tangents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.build import Builder
from ppl.backends.staging.graph import Elementwise, Ref
from ppl.backends.staging.nodes import EXP, as_float, held, larger, nonzero
from ppl.backends.staging.pushed import Slope, is_flat

Tangent = Ref | None
Parts = Sequence[Tangent]
Rule = Callable[[Builder, Ref, Sequence[Ref], Parts], Tangent]


_SIGN, _EQUAL, _WHERE = Elementwise(np.sign), Elementwise(np.equal), Elementwise(np.where)


def by_slopes(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    """By the slopes that autograd knows."""
    function = value.node.operation.function
    if is_flat(function):
        return None
    terms = []
    for place, part in enumerate(parts):
        if part is not None:
            slope = builder.elementwise(Elementwise(Slope.of(function, place)), (value, *arguments))
            terms.append(builder.multiply(slope, part))
    return builder.linear(terms)


def _of_one(slope: Callable[[Builder, Ref, Ref], Ref]) -> Rule:
    """A function of one argument whose slope is made of the argument and the value."""

    def rule(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
        assert parts[0] is not None
        return builder.multiply(slope(builder, arguments[0], value), parts[0])

    return rule


def _over(divisor: Callable[[Builder, Ref, Ref], Ref]) -> Rule:
    """As `_of_one`, for slopes that are one over something."""

    def rule(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
        assert parts[0] is not None
        return builder.divide(parts[0], divisor(builder, arguments[0], value))

    return rule


def _multiplied(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    a, b = arguments
    first, second = parts
    if a.node is b.node:
        return builder.multiply(a, first).times(2.0) if first is not None else None
    terms = [] if first is None else [builder.multiply(first, b)]
    return builder.linear(terms if second is None else [*terms, builder.multiply(second, a)])


def _divided(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    first, second = parts
    terms = [] if first is None else [first]
    if second is not None:
        terms.append(builder.multiply(value, second).times(-1.0))
    return builder.divide(builder.linear(terms), arguments[1])


def _raised(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    """A power by a constant; by autograd's slopes otherwise."""
    base, exponent = arguments
    if parts[1] is not None or not builder.thin(exponent.node).is_constant:
        return by_slopes(builder, value, arguments, parts)
    assert parts[0] is not None
    lower = builder.linear((exponent, Ref(builder.one, -1.0)))
    slope = builder.multiply(exponent, builder.power(base, lower))
    return builder.multiply(slope, parts[0])


def _chosen(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    zero = Ref(builder.one, 0.0)
    a, b = (zero if part is None else part for part in parts[1:])
    return builder.elementwise(_WHERE, (arguments[0], a, b))


def _guarded(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    """That of a value whose zeros are replaced."""
    assert parts[0] is not None
    zero = Ref(builder.one, 0.0)
    test = builder.elementwise(_EQUAL, (arguments[0], zero), np.dtype(bool))
    return builder.elementwise(_WHERE, (test, zero, parts[0]))


def _larger_of(sign: float) -> Rule:
    """That of a maximum (1) or minimum (-1); halves of both where they are equal."""

    def rule(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
        first = builder.elementwise(Elementwise(larger), [one.times(sign) for one in arguments])
        shares = (first, _beside_one(builder, first, -1.0))
        return builder.linear(
            [builder.multiply(share, part) for share, part in zip(shares, parts, strict=True) if part is not None]
        )

    return rule


def _log_added(builder: Builder, value: Ref, arguments: Sequence[Ref], parts: Parts) -> Tangent:
    def share(one: Ref) -> Ref:
        return builder.elementwise(EXP, (builder.linear((one, value.times(-1.0))),))

    terms = zip(arguments, parts, strict=True)
    return builder.linear([builder.multiply(share(one), part) for one, part in terms if part is not None])


def _squared(builder: Builder, x: Ref) -> Ref:
    return builder.multiply(x, x)


def _beside_one(builder: Builder, x: Ref, factor: float = 1.0) -> Ref:
    """`1 + factor * x`."""
    return builder.linear((Ref(builder.one), x.times(factor)))


def _function(function: Callable[..., Any]) -> Callable[[Builder, Ref, Ref], Ref]:
    return lambda builder, x, value: builder.elementwise(Elementwise(function), (x,))


ELEMENTWISE: dict[Any, Rule] = {
    np.multiply: _multiplied,
    np.divide: _divided,
    np.power: _raised,
    np.where: _chosen,
    nonzero: _guarded,
    as_float: lambda builder, value, arguments, parts: parts[0],
    held: lambda builder, value, arguments, parts: None,
    np.maximum: _larger_of(1.0),
    np.minimum: _larger_of(-1.0),
    np.logaddexp: _log_added,
    np.exp: _of_one(lambda builder, x, value: value),
    np.expm1: _of_one(lambda builder, x, value: _beside_one(builder, value)),
    np.log: _over(lambda builder, x, value: builder.nonzero(x)),
    np.log1p: _over(lambda builder, x, value: builder.nonzero(_beside_one(builder, x))),
    np.sqrt: _over(lambda builder, x, value: value.times(2.0)),
    np.abs: _of_one(lambda builder, x, value: builder.elementwise(_SIGN, (x,))),
    np.sin: _of_one(_function(np.cos)),
    np.cos: _of_one(lambda builder, x, value: builder.elementwise(Elementwise(np.sin), (x,)).times(-1.0)),
    np.tanh: _of_one(lambda builder, x, value: _beside_one(builder, _squared(builder, value), -1.0)),
    np.sinh: _of_one(_function(np.cosh)),
    np.cosh: _of_one(_function(np.sinh)),
    np.arctan: _over(lambda builder, x, value: _beside_one(builder, _squared(builder, x))),
}
"""Those of which autograd's slopes would be computed apart from what the graph has already."""
