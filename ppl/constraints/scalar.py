"""Supports of real scalars: the line, half lines and intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.base import SUPPORTS, Bijection, Support
from ppl.constraints.stable import log_expit, log_expit_slope, power, power_inverse, softplus

SMALLEST = float(np.finfo(float).tiny)
BELOW_ONE = 1.0 - float(np.finfo(float).epsneg)


def _finite(value: Any) -> Any:
    return np.isfinite(value)


def inner_expit(xp: Any, u: Any) -> Any:
    """`expit(u)` kept strictly between 0 and 1, so that `log(x)` and `log1p(-x)` stay finite."""
    return xp.clip(xp.special.expit(u), SMALLEST, BELOW_ONE)


EXPONENTIAL = Bijection(
    forward=lambda xp, u: xp.exp(u),
    inverse=lambda xp, x: xp.log(x),
    log_det=lambda xp, u: 1.0 * u,
    formula="x = exp(u)",
)

SUPPORTS.register(
    Support(
        "real",
        contains=_finite,
        describe="real",
        bijection=Bijection(
            forward=lambda xp, u: u,
            inverse=lambda xp, x: x,
            log_det=lambda xp, u: 0.0 * u,
            formula="x = u",
        ),
    )
)

SUPPORTS.register(
    Support(
        "nonnegative",
        contains=lambda x: _finite(x) & (x >= 0),
        describe="zero or positive",
        within=("real",),
        bijection=EXPONENTIAL,
    )
)

SUPPORTS.register(
    Support(
        "positive",
        contains=lambda x: _finite(x) & (x > 0),
        describe="positive",
        within=("nonnegative",),
        bijection=EXPONENTIAL,
    )
)

SUPPORTS.register(
    Support(
        "greater_than",
        contains=lambda x, lower: _finite(x) & (x >= lower),
        describe="at least {0}",
        arguments=("lower",),
        within=("real",),
        bijection=Bijection(
            forward=lambda xp, u, lower: lower + xp.exp(u),
            inverse=lambda xp, x, lower: xp.log(x - lower),
            log_det=lambda xp, u, lower: 1.0 * u,
            formula="x = lower + exp(u)",
        ),
        example=((-1.3,), ()),
    )
)

SUPPORTS.register(
    Support(
        "less_than",
        contains=lambda x, upper: _finite(x) & (x <= upper),
        describe="at most {0}",
        arguments=("upper",),
        within=("real",),
        bijection=Bijection(
            forward=lambda xp, u, upper: upper - xp.exp(u),
            inverse=lambda xp, x, upper: xp.log(upper - x),
            log_det=lambda xp, u, upper: 1.0 * u,
            formula="x = upper - exp(u)",
        ),
        example=((2.4,), ()),
    )
)

SUPPORTS.register(
    Support(
        "interval",
        contains=lambda x, lower, upper: _finite(x) & (x >= lower) & (x <= upper),
        describe="between {0} and {1}",
        arguments=("lower", "upper"),
        within=("real",),
        bijection=Bijection(
            forward=lambda xp, u, lower, upper: lower + (upper - lower) * inner_expit(xp, u),
            inverse=lambda xp, x, lower, upper: xp.log(x - lower) - xp.log(upper - x),
            log_det=lambda xp, u, lower, upper: xp.log(upper - lower) + log_expit_slope(xp, u),
            formula="x = lower + (upper - lower) * expit(u)",
        ),
        example=((-1.5, 4.0), ()),
    )
)

SUPPORTS.register(
    Support(
        "unit_interval",
        contains=lambda x: _finite(x) & (x >= 0) & (x <= 1),
        describe="between 0 and 1",
        within=("nonnegative",),
        bijection=Bijection(
            forward=inner_expit,
            inverse=lambda xp, x: xp.special.logit(x),
            log_det=log_expit_slope,
            formula="x = expit(u)",
        ),
    )
)


# Ranges of the generalized extreme value and Pareto distributions: where `1 + shape * (x - loc) / scale` is positive,
# a half line whose side the sign of `shape` gives, or the whole line.


def _in_range(x: Any, loc: Any, scale: Any, shape: Any) -> Any:
    return _finite(x) & (1.0 + shape * ((x - loc) / scale) >= 0)


def _inverse_softplus(xp: Any, x: Any) -> Any:
    return x + xp.log(-xp.expm1(-x))


SUPPORTS.register(
    Support(
        "extreme_range",
        contains=_in_range,
        describe="with 1 + {2} * (x - {0}) / {1} not negative",
        arguments=("loc", "scale", "shape"),
        within=("real",),
        bijection=Bijection(
            forward=lambda xp, u, loc, scale, shape: loc + scale * power(xp, u, shape),
            inverse=lambda xp, x, loc, scale, shape: power_inverse(xp, (x - loc) / scale, shape),
            log_det=lambda xp, u, loc, scale, shape: xp.log(scale) + shape * u,
            formula="x = loc + scale * (exp(shape * u) - 1) / shape",
        ),
        example=((0.4, 1.3, -0.2), ()),
    )
)

SUPPORTS.register(
    Support(
        "exceedance_range",
        contains=lambda x, loc, scale, shape: _in_range(x, loc, scale, shape) & (x >= loc),
        describe="at least {0}, with 1 + {2} * (x - {0}) / {1} not negative",
        arguments=("loc", "scale", "shape"),
        within=("real",),
        bijection=Bijection(
            forward=lambda xp, u, loc, scale, shape: loc + scale * power(xp, softplus(xp, u), shape),
            inverse=lambda xp, x, loc, scale, shape: _inverse_softplus(xp, power_inverse(xp, (x - loc) / scale, shape)),
            log_det=lambda xp, u, loc, scale, shape: xp.log(scale) + shape * softplus(xp, u) + log_expit(xp, u),
            formula="x = loc + scale * (exp(shape * v) - 1) / shape, v = log(1 + exp(u))",
        ),
        example=((0.4, 1.3, 0.2), ()),
    )
)
