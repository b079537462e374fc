"""What a traced JAX program computes, as plain values: two of one form are the same function."""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var

Form = tuple[Any, ...]
_DERIVATIVES = {"custom_jvp_call": {"jvp_jaxpr_fun"}, "custom_vjp_call": {"fwd_jaxpr_thunk", "bwd"}}
"""Parameters that say how an operation would be differentiated, which has been done by then."""


def form_of(jaxpr: Jaxpr) -> Form:
    """Every operation in order, with its parameters, its operands by number and the types of what it gives.

    Functions of the host stay what they are; so do parameters of other kinds.
    """
    numbers: dict[Var, int] = {}

    def numbered(variables: Any) -> list[str]:
        found = []
        for each in variables:
            numbers[each] = len(numbers)
            found.append(str(each.aval))
        return found

    def operand(each: Any) -> Any:
        return ("literal", str(each.aval), np.asarray(each.val)) if isinstance(each, Literal) else numbers[each]

    given = numbered([*jaxpr.constvars, *jaxpr.invars])
    steps = [
        (
            each.primitive.name,
            [operand(one) for one in each.invars],
            _parameters(each.primitive.name, each.params),
            numbered(each.outvars),
        )
        for each in jaxpr.eqns
    ]
    return given, steps, [operand(one) for one in jaxpr.outvars]


def _parameters(operation: str, named: dict[str, Any]) -> dict[str, Any]:
    left_out = _DERIVATIVES.get(operation, set())
    return {name: _parameter(value) for name, value in sorted(named.items()) if name not in left_out}


def _parameter(value: Any) -> Any:
    if isinstance(value, ClosedJaxpr):
        return form_of(value.jaxpr), [np.asarray(constant) for constant in value.consts]
    if isinstance(value, Jaxpr):
        return form_of(value)
    if isinstance(value, tuple | list):
        return [type(value).__name__, *map(_parameter, value)]
    return repr(value) if isinstance(value, Enum | np.dtype) else value
