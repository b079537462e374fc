"""Operators: arithmetic, comparisons, logic, and the choice between two values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppl.functions.base import FUNCTIONS, Function, always, unknown_domain
from ppl.functions.domains import (
    choice_domain,
    difference_domain,
    maximum_domain,
    negative_domain,
    power_domain,
    product_domain,
    quotient_domain,
    sum_domain,
)


def _binary(
    name: str,
    doc: str,
    implementation: Callable[..., Any],
    domain: Callable[..., str] = unknown_domain,
    numpy: tuple[str, ...] = (),
    differentiable: bool = True,
    example: tuple[float, float] = (0.3, -1.2),
) -> None:
    FUNCTIONS.register(
        Function(
            name,
            ("a", "b"),
            implementation,
            "(),()->()",
            doc,
            domain=domain,
            numpy=(f"numpy.{name}", *numpy),
            differentiable=differentiable,
            example=example,
        )
    )


_binary("add", "`a + b`.", lambda xp, a, b: a + b, sum_domain)
_binary("subtract", "`a - b`.", lambda xp, a, b: a - b, difference_domain)
_binary("multiply", "`a * b`.", lambda xp, a, b: a * b, product_domain)
_binary("divide", "`a / b`.", lambda xp, a, b: a / b, quotient_domain, numpy=("numpy.true_divide",))
_binary("power", "`a ^ b`.", lambda xp, a, b: a**b, power_domain, numpy=("numpy.float_power",), example=(1.3, 2.5))
_binary("remainder", "`a % b`.", lambda xp, a, b: a % b, numpy=("numpy.mod",), example=(7.3, 2.5))
_binary("floor_divide", "`a // b`.", lambda xp, a, b: xp.floor_divide(a, b), differentiable=False, example=(7.3, 2.5))

for _name, _sign, _compare in (
    ("less", "<", lambda xp, a, b: xp.less(a, b)),
    ("less_equal", "<=", lambda xp, a, b: xp.less_equal(a, b)),
    ("greater", ">", lambda xp, a, b: xp.greater(a, b)),
    ("greater_equal", ">=", lambda xp, a, b: xp.greater_equal(a, b)),
    ("equal", "==", lambda xp, a, b: xp.equal(a, b)),
    ("not_equal", "!=", lambda xp, a, b: xp.not_equal(a, b)),
    ("logical_and", "and", lambda xp, a, b: xp.logical_and(a, b)),
    ("logical_or", "or", lambda xp, a, b: xp.logical_or(a, b)),
):
    _binary(_name, f"`a {_sign} b`.", _compare, always("boolean"), differentiable=False)

FUNCTIONS.register(
    Function(
        "logical_not",
        ("a",),
        lambda xp, a: xp.logical_not(a),
        "()->()",
        "`not a`.",
        domain=always("boolean"),
        numpy=("numpy.logical_not",),
        differentiable=False,
        example=(1.0,),
    )
)
FUNCTIONS.register(
    Function(
        "negative",
        ("a",),
        lambda xp, a: -a,
        "()->()",
        "`-a`.",
        domain=negative_domain,
        numpy=("numpy.negative",),
        example=(0.3,),
    )
)
FUNCTIONS.register(
    Function(
        "positive",
        ("a",),
        lambda xp, a: a,
        "()->()",
        "`+a`.",
        domain=lambda domain: domain,
        numpy=("numpy.positive",),
        example=(0.3,),
    )
)


FUNCTIONS.register(
    Function(
        "where",
        ("condition", "a", "b"),
        lambda xp, condition, a, b: xp.where(condition, a, b),
        "(),(),()->()",
        "`a` where `condition` holds, else `b`. Both are computed.",
        domain=lambda condition, a, b: choice_domain(a, b),
        numpy=("numpy.where",),
        example=(True, 0.3, -1.2),
    )
)


_binary("minimum", "The smaller of `a` and `b`.", lambda xp, a, b: xp.minimum(a, b), choice_domain)
_binary("maximum", "The larger of `a` and `b`.", lambda xp, a, b: xp.maximum(a, b), maximum_domain)
