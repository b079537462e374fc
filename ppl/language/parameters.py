"""What `param name: type = start` declares: support, shape and start of a learned parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.errors import ModelError
from ppl.language import syntax
from ppl.language.meaning import Scope
from ppl.model import messages
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.model import SupportOf
from ppl.model.resolve import evaluate
from ppl.numeric import NUMPY


def label(dimension: syntax.Expression) -> str | None:
    """The name of an extent: its size as it is written, unless it is a mere number."""
    return None if isinstance(dimension, syntax.Number) else dimension.span.text


def declared(scope: Scope, kind: syntax.TypeExpression) -> tuple[SupportOf, tuple[Dim, ...]]:
    """The support and shape that a type declares: `real(lower=0)[N]`, `simplex(K)`, `ordered(K)[J]`, …"""
    name = kind.name.name
    lengths = list(kind.dimensions)
    if name == "real":
        support = bounded({bound.name: scope.expression(bound.value) for bound in kind.bounds})
    elif name in SUPPORTS and SUPPORTS[name].bijection is not None:
        support = SupportOf(name)
        lengths += kind.arguments[:1] * SUPPORTS[name].event_rank
    else:
        raise ModelError.of("E406", kind.span, "a learned parameter must be continuous")
    for argument in support.arguments:
        if not argument.type.static:
            raise ModelError.of(
                "E310",
                argument.span,
                f"a parameter's bound must be known from data, `{messages.written(argument)}` is not",
            )
    return support, tuple(Dim(scope.length(length), label(length)) for length in lengths)


def bounded(bounds: Mapping[str, Expr]) -> SupportOf:
    """The support of `real(lower=…, upper=…)`."""
    lower, upper = bounds.get("lower"), bounds.get("upper")
    if lower is not None and upper is not None:
        return SupportOf("interval", (lower, upper))
    if upper is not None:
        return SupportOf("less_than", (upper,))
    if lower is None:
        return SupportOf("real")
    zero = lower.type.static and np.all(evaluate(lower).array == 0)
    return SupportOf("positive") if zero else SupportOf("greater_than", (lower,))


def start(scope: Scope, statement: syntax.Param, support: SupportOf, dims: Sequence[Dim]) -> np.ndarray:
    """Where a parameter starts: the value written, or the middle of its support (what 0 maps to)."""
    record, shape = SUPPORTS[support.name], tuple(dim.size for dim in dims)
    ends = [evaluate(argument).array for argument in support.arguments]
    if statement.initial is None:
        assert record.bijection is not None
        free = np.zeros(record.unconstrained_shape(shape))
        return np.asarray(record.bijection.forward(NUMPY, free, *ends))
    value = scope.expression(statement.initial)
    name, span = statement.name.name, statement.initial.span
    if not value.type.static:
        raise ModelError.of(
            "E310", span, f"the start of `{name}` must be known from data, `{messages.written(value)}` is not"
        )
    if value.type.dims and value.type.event != shape:
        own = messages.extent(Type((), tuple(dims)))
        raise ModelError.of("E301", span, f"{name} {own}, {messages.written(value)} {messages.extent(value.type)}")
    array = evaluate(value).array.astype(float)
    if not np.all(record.contains(np.broadcast_to(array, shape), *ends)):
        raise ModelError.of("E305", span, f"the start of `{name}` must be {record.describe.format(*ends)}")
    return array
