"""Expressions over data alone: the lengths, bounds and type arguments of declarations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.language import syntax

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "^": operator.pow,
}


class NotConstant(Exception):
    """An expression has no value here; `name` is the data name that has none, where that is why."""

    def __init__(self, message: str, name: str | None = None) -> None:
        super().__init__(message)
        self.name = name


def evaluate(expression: syntax.Expression, values: Mapping[str, Any]) -> Any:
    """The value of numbers, data names and arithmetic (elementwise on equal shapes or with a scalar)."""
    match expression:
        case syntax.Number(value=value):
            return np.asarray(value)
        case syntax.Name(name=name):
            if name not in values:
                raise NotConstant(f"`{name}` is not declared as data", name)
            return np.asarray(values[name])
        case syntax.Unary(operator="-", operand=operand):
            return -evaluate(operand, values)
        case syntax.Unary(operator="+", operand=operand):
            return evaluate(operand, values)
        case syntax.Binary(operator=symbol, left=left, right=right) if symbol in OPERATORS:
            return _apply(expression, OPERATORS[symbol], evaluate(left, values), evaluate(right, values))
    raise NotConstant(f"`{expression.span.text}` is not arithmetic on numbers and data")


def _apply(expression: syntax.Binary, function: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if left.ndim and right.ndim and left.shape != right.shape:
        raise NotConstant(f"`{expression.span.text}` joins shapes {left.shape} and {right.shape}")
    with np.errstate(all="ignore"):
        return np.asarray(function(left, right))
