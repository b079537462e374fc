"""How much arithmetic expressions take: numbers touched for one draw, where many are computed at once."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ppl.functions import FUNCTIONS
from ppl.model import expressions as ex

PARAMETER_OPERATIONS = 5
"""Array operations in a log density for each parameter of its distribution."""
TRANSCENDENTAL, PRODUCT = 5.0, 0.1
"""A logarithm or the like, and a term of a matrix product, against a sum."""
SLOPES = 20
"""Evaluations of the right side of a differential equation for each time asked for."""
_CHEAP = frozenset({"add", "subtract", "multiply", "divide", "negative", "where", "sum", "mean"})


def work_of(expressions: Iterable[ex.Expr]) -> float:
    """What the nodes below take that are not known from data."""
    return sum(node_work(node) for node in ex.walk(*expressions) if not node.type.static)


def density_work(arguments: Iterable[ex.Expr], elements: int) -> float:
    """What the log density of a distribution takes at `elements` numbers, besides its arguments."""
    arguments = tuple(arguments)
    return PARAMETER_OPERATIONS * len(arguments) * elements + sum(map(_decomposition, arguments))


def node_work(node: ex.Expr) -> float:
    """Numbers touched: those of the largest array involved, and as many again for each row of a matrix function."""
    work = float(max(_size(part) for part in (node, *node.children)))
    if isinstance(node, ex.Recurrence):
        return sum(node_work(part) for part in ex.walk(*node.steps))
    if isinstance(node, ex.Solution):
        return SLOPES * len(node.times) * sum(node_work(part) for part in ex.walk(node.slope))
    if isinstance(node, ex.LogDensity):
        return work * PARAMETER_OPERATIONS * len(node.arguments)
    if not isinstance(node, ex.Call):
        return work
    function = FUNCTIONS[node.function]
    if function.signature == "(n),(n)->()":
        return work * PRODUCT
    if any(len(core) == 2 for core in function.core_inputs):
        return work * max(part.type.event[-1] for part in node.children if part.type.event)
    return work if node.function in _CHEAP else work * TRANSCENDENTAL


def _decomposition(argument: ex.Expr) -> float:
    """For a matrix among the arguments of a distribution."""
    if argument.type.static or len(argument.type.event) < 2:
        return 0.0
    return float(_size(argument) * argument.type.event[-1])


def _size(node: ex.Expr) -> int:
    return math.prod(axis.size for axis in node.type.axes) * math.prod(node.type.event)
