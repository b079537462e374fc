"""The stable text form of a model: one line a statement, the same whichever door it came through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ppl.model import expressions as ex
from ppl.model.model import Deterministic, Factor, Model, Param, Site, Statement

_INFIX = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "^", "remainder": "%", "floor_divide": "//",
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
    "logical_and": "and", "logical_or": "or",
}  # fmt: skip


def model_text(model: Model) -> str:
    """Plates, then every statement: `name {plates}: support ~ distribution(…)`."""
    lines = [f"plate {axis}" for axis in model.plates]
    lines += [statement_text(statement) for statement in model.statements]
    if model.predicted:
        lines.append("predict")
        lines += ["  " + statement_text(statement) for statement in model.predicted]
    return "\n".join(lines) + "\n"


def statement_text(statement: Statement) -> str:
    plates = " {" + ", ".join(axis.name for axis in statement.axes) + "}" if statement.axes else ""
    head = f"{statement.name}{plates}"
    if isinstance(statement, Site):
        use = statement.distribution
        arguments = ", ".join(f"{name} = {expression_text(value)}" for name, value in use.arguments.items())
        size = "".join(f"[{dim.size}]" for dim in statement.dims)
        observed = f" = {expression_text(statement.observed)}" if statement.observed is not None else ""
        return f"{head}: {statement.support.name}{size} ~ {use.name}({arguments}){observed}"
    if isinstance(statement, Param):
        size = "".join(f"[{dim.size}]" for dim in statement.dims)
        return f"param {head}: {statement.support.name}{size} = {statement.initial}"
    if isinstance(statement, Deterministic):
        return f"{head} = {expression_text(statement.value)}"
    if isinstance(statement, Factor):
        return f"factor {head} = {expression_text(statement.value)}"
    raise TypeError(statement)


def expression_text(node: ex.Expr) -> str:
    """An expression as a person would write it; axes that a value has are in braces."""
    return _TEXTS[type(node)](node)


def _call(node: ex.Call) -> str:
    parts = [expression_text(argument) for argument in node.arguments]
    if node.function in _INFIX:
        left, right = (f"({p})" if _is_infix(a) else p for p, a in zip(parts, node.arguments, strict=True))
        return f"{left} {_INFIX[node.function]} {right}"
    if node.function == "negative":
        return f"-{parts[0]}"
    static = [f"{name} = {value}" for name, value in node.static]
    return f"{node.function}({', '.join(parts + static)})"


def _log_density(node: ex.LogDensity) -> str:
    pairs = zip(node.parameters, node.arguments, strict=True)
    arguments = ", ".join(f"{name} = {expression_text(value)}" for name, value in pairs)
    return f"logpdf({node.family.name}({arguments}), {expression_text(node.value)})"


def _is_infix(node: ex.Expr) -> bool:
    return isinstance(node, ex.Call) and node.function in _INFIX


def _constant(node: ex.Constant) -> str:
    array = np.asarray(node.value)
    if array.size > 6:
        return f"array{list(array.shape)}"
    return f"{array.item():g}" if array.ndim == 0 else str(array.tolist())


def _gather(node: ex.Gather) -> str:
    items = ", ".join(":" if item is None else expression_text(item) for item in node.items)
    return f"{expression_text(node.base)}[{items}]"


def _named(node: ex.Named) -> str:
    return f"{expression_text(node.base)}[{':, ' * node.dim}{_index_text(node.axis)}]"


def _slice(node: ex.SliceOf) -> str:
    return f"{expression_text(node.base)}[{':, ' * node.dim}{node.start}:{node.stop}]"


def _lift(node: ex.Lift) -> str:
    if isinstance(node.base, ex.Value) and all(axis in node.base.type.axes for axis in node.axes):
        return node.base.name
    return f"[{expression_text(node.base)} for {', '.join(_index_text(axis) for axis in node.axes)}]"


def _value(node: ex.Value) -> str:
    axes = ", ".join(axis.name for axis in node.type.axes)
    return f"{node.name}[{axes}]" if axes else node.name


def _index_text(axis: Any) -> str:
    return str(axis.name)


def _state(node: ex.State) -> str:
    return expression_text(node.written)


def _solution(node: ex.Solution) -> str:
    return f"ode({node.name}, {expression_text(node.initial)}, {node.start:g}, array[{node.times.size}])"


_TEXTS: dict[type[ex.Expr], Callable[[Any], str]] = {
    ex.Constant: _constant,
    ex.Data: lambda node: node.name,
    ex.Value: _value,
    ex.BatchIndex: lambda node: node.name,
    ex.Streamed: lambda node: node.name,
    ex.BatchRows: lambda node: node.name,
    ex.AxisIndex: lambda node: _index_text(node.axis),
    ex.Call: _call,
    ex.LogDensity: _log_density,
    ex.SliceOf: _slice,
    ex.Gather: _gather,
    ex.Named: _named,
    ex.Lift: _lift,
    ex.State: _state,
    ex.Before: lambda node: f"{node.name}[before]",
    ex.Solution: _solution,
}
