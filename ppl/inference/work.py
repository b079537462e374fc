"""How much arithmetic one log density takes, told from the model alone.

A clock would do too, but how many draws are affordable must not depend on what else the machine is doing: equal
seeds give equal results.
"""

from __future__ import annotations

import math

from ppl.functions import FUNCTIONS
from ppl.model import expressions as ex
from ppl.model.model import Model

PARAMETER_OPERATIONS = 5
"""Array operations in a log density for each parameter of its distribution."""
TRANSCENDENTAL, PRODUCT = 5.0, 0.1
"""A logarithm or the like, and a term of a matrix product, against a sum."""
SECONDS = 2e-9
"""For one number of one array operation, on a machine of today, give or take a factor of three."""
SLOPES = 20
"""Evaluations of the right side of a differential equation for each time asked for."""
GRADIENT = 4.0
"""A gradient against the density itself."""
_CHEAP = frozenset({"add", "subtract", "multiply", "divide", "negative", "where", "sum", "mean"})


def density_seconds(model: Model) -> float:
    """Roughly how long the log density of one draw takes, where many are computed at once."""
    inputs = [expression for statement in model.statements for expression in statement.inputs]
    numbers = sum(_work(node) for node in ex.walk(*inputs) if not node.type.static)
    for site in model.sites:
        numbers += PARAMETER_OPERATIONS * len(site.distribution.arguments) * math.prod(site.shape)
        numbers += sum(_decomposition(argument) for argument in site.distribution.expressions)
    return SECONDS * (numbers + 10.0)


def _work(node: ex.Expr) -> float:
    """Numbers touched: those of the largest array involved, and as many again for each row of a matrix function."""
    work = float(max(_size(part) for part in (node, *node.children)))
    if isinstance(node, ex.Recurrence):
        return sum(_work(part) for part in ex.walk(*node.steps))
    if isinstance(node, ex.Solution):
        return SLOPES * len(node.times) * sum(_work(part) for part in ex.walk(node.slope))
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
