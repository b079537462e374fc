"""Rules of `Expectation` by function: of means, powers, logs, logs of the complement, inverses and log determinants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import Deterministic
from ppl.model.resolve import evaluate

if TYPE_CHECKING:
    from ppl.compiler.conjugacy.expectation import Expectation

Rule = Callable[["Expectation", Any], Expr]


def number(node: Expr) -> float | None:
    """The value of a single known number, None for all else."""
    if not node.type.static or node.type.axes or node.type.dims:
        return None
    return float(np.asarray(evaluate(node).array))


def _linear(q: Expectation, node: Any) -> Expr:
    arguments = [q.mean(argument) for argument in node.arguments]
    return construct.call(node.function, arguments, node.span, **dict(node.static))


def _bilinear(q: Expectation, node: Any) -> Expr:
    q.independent(node)
    return _linear(q, node)


def _quotient(q: Expectation, node: Any) -> Expr:
    q.independent(node)
    above, below = node.arguments
    return construct.call("multiply", [q.mean(above), q.power(below, -1.0)])


def _as_power(q: Expectation, node: Any) -> Expr:
    return q.power(node, 1.0) if node.function not in POWERS else POWERS[node.function](q, node, 1.0)


MEANS: dict[str, Rule] = {
    **dict.fromkeys(("add", "subtract", "negative", "sum", "mean", "transpose", "diag", "diagonal", "trace"), _linear),
    **dict.fromkeys(("multiply", "dot", "matmul"), _bilinear),
    "divide": _quotient,
    **dict.fromkeys(("sqrt", "square", "reciprocal", "power", "exp"), _as_power),
    "log": lambda q, node: q.log(node.arguments[0]),
    "log1p": lambda q, node: q.complement(construct.call("negative", [node.arguments[0]])),
    "log_determinant": lambda q, node: q.log_det(node.arguments[0]),
    "inverse": lambda q, node: q.inverse(node.arguments[0]),
}


def _power_of_product(q: Expectation, node: Any, exponent: float) -> Expr:
    q.independent(node)
    return construct.call("multiply", [q.power(argument, exponent) for argument in node.arguments])


def _power_of_quotient(q: Expectation, node: Any, exponent: float) -> Expr:
    q.independent(node)
    above, below = node.arguments
    return construct.call("multiply", [q.power(above, exponent), q.power(below, -exponent)])


def _power_of_power(q: Expectation, node: Any, exponent: float) -> Expr:
    inner = number(node.arguments[1])
    if inner is None:
        raise q.refused(node, "in a power whose exponent is not one known number")
    return q.power(node.arguments[0], inner * exponent)


def _power_of_exp(q: Expectation, node: Any, exponent: float) -> Expr:
    """`exp(a + c log z)` is a power of z."""
    (inside,) = node.arguments
    if not q.reads(inside):
        return construct.call("power", [node, construct.constant(exponent)])
    if isinstance(inside, ex.Value) and isinstance(parent := q.model.by_name[inside.name], Deterministic):
        inside = parent.value
    rule = _EXPONENTS.get(inside.function) if isinstance(inside, ex.Call) else None
    if rule is None:
        raise q.refused(node, "inside `exp`")
    return rule(q, inside, exponent)


def _exp(q: Expectation, inside: Expr, exponent: float) -> Expr:
    return q.power(construct.call("exp", [inside]), exponent)


def _exp_of_sum(q: Expectation, inside: Any, exponent: float) -> Expr:
    q.independent(inside)
    sign = -1.0 if inside.function == "subtract" else 1.0
    left, right = inside.arguments
    return construct.call("multiply", [_exp(q, left, exponent), _exp(q, right, sign * exponent)])


def _exp_of_multiple(q: Expectation, inside: Any, exponent: float) -> Expr:
    left, right = inside.arguments
    for known, other in ((right, left), (left, right)) if inside.function == "multiply" else ((right, left),):
        factor = number(known)
        if factor is not None:
            return _exp(q, other, exponent * factor if inside.function == "multiply" else exponent / factor)
    raise q.refused(inside, "inside `exp`")


_EXPONENTS: dict[str, Callable[[Expectation, Any, float], Expr]] = {
    "log": lambda q, inside, exponent: q.power(inside.arguments[0], exponent),
    "add": _exp_of_sum,
    "subtract": _exp_of_sum,
    "negative": lambda q, inside, exponent: _exp(q, inside.arguments[0], -exponent),
    "multiply": _exp_of_multiple,
    "divide": _exp_of_multiple,
}

POWERS: dict[str, Callable[[Expectation, Any, float], Expr]] = {
    "multiply": _power_of_product,
    "divide": _power_of_quotient,
    "power": _power_of_power,
    "sqrt": lambda q, node, exponent: q.power(node.arguments[0], 0.5 * exponent),
    "square": lambda q, node, exponent: q.power(node.arguments[0], 2.0 * exponent),
    "reciprocal": lambda q, node, exponent: q.power(node.arguments[0], -exponent),
    "exp": _power_of_exp,
}


def _log_of_product(q: Expectation, node: Any) -> Expr:
    sign = "add" if node.function == "multiply" else "subtract"
    return construct.call(sign, [q.log(argument) for argument in node.arguments])


def _log_of_power(q: Expectation, node: Any) -> Expr:
    exponent = node.arguments[1]
    if q.reads(exponent):
        raise q.refused(exponent, "in an exponent")
    return construct.call("multiply", [exponent, q.log(node.arguments[0])])


def _multiple_of_log(factor: float) -> Rule:
    return lambda q, node: construct.call("multiply", [construct.constant(factor), q.log(node.arguments[0])])


def _log_of_difference(q: Expectation, node: Any) -> Expr:
    """`log(1 - z)`."""
    left, right = node.arguments
    if number(left) != 1.0:
        raise q.refused(node, "inside the log of a difference")
    return q.complement(right)


LOGS: dict[str, Rule] = {
    "multiply": _log_of_product,
    "divide": _log_of_product,
    "power": _log_of_power,
    "sqrt": _multiple_of_log(0.5),
    "square": _multiple_of_log(2.0),
    "reciprocal": _multiple_of_log(-1.0),
    "exp": lambda q, node: q.mean(node.arguments[0]),
    "subtract": _log_of_difference,
}


def _complement_of_difference(q: Expectation, node: Any) -> Expr:
    """`log(1 - (1 - z))`."""
    left, right = node.arguments
    if number(left) != 1.0:
        raise q.refused(node, "inside the log of one less it")
    return q.log(right)


COMPLEMENTS: dict[str, Rule] = {"subtract": _complement_of_difference}


def _scaled(node: Any) -> tuple[Expr, Expr] | None:
    """The matrix and the number of `c * M`, `M * c` or `M / c`; None for other products."""
    left, right = node.arguments
    if not right.type.event and len(left.type.event) == 2:
        return left, right
    if not left.type.event and len(right.type.event) == 2 and node.function == "multiply":
        return right, left
    return None


def _log_det_of_multiple(q: Expectation, node: Any) -> Expr:
    """`log |c M| = n log c + log |M|`."""
    parts = _scaled(node)
    if parts is None:
        raise q.refused(node, "inside a log determinant of elements multiplied one by one")
    matrix, factor = parts
    sign = "add" if node.function == "multiply" else "subtract"
    rows = construct.constant(float(matrix.type.event[-1]))
    return construct.call(sign, [q.log_det(matrix), construct.call("multiply", [rows, q.log(factor)])])


def _inverse_of_multiple(q: Expectation, node: Any) -> Expr:
    """`(c M)^-1 = M^-1 / c`."""
    parts = _scaled(node)
    if parts is None:
        raise q.refused(node, "inside an inverse of elements multiplied one by one")
    q.independent(node)
    matrix, factor = parts
    exponent = -1.0 if node.function == "multiply" else 1.0
    return construct.call("multiply", [q.power(factor, exponent), q.inverse(matrix)])


LOG_DETS: dict[str, Rule] = {
    **dict.fromkeys(("multiply", "divide"), _log_det_of_multiple),
    "inverse": lambda q, node: construct.call("negative", [q.log_det(node.arguments[0])]),
}

INVERSES: dict[str, Rule] = {
    **dict.fromkeys(("multiply", "divide"), _inverse_of_multiple),
    "inverse": lambda q, node: q.mean(node.arguments[0]),
}
