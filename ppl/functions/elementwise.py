"""Functions of one or two numbers, applied elementwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ppl.constraints.stable import log_expit, log_normal_cdf, softplus
from ppl.functions.base import FUNCTIONS, Function, always, unknown_domain
from ppl.functions.domains import (
    absolute_domain,
    keeps,
    log_domain,
    odd_domain,
    rounded_domain,
    sign_domain,
    sqrt_domain,
)

Domain = Callable[..., str]
Row = tuple[str, str, Callable[..., Any], Domain, str]

_positive = always("positive")
_unit = always("unit_interval")
_signs = keeps("positive", "nonnegative")


def _normal_cdf(xp: Any, x: Any) -> Any:
    """From the complementary error function, so that the lower tail keeps its digits."""
    return 0.5 * xp.special.erfc(x * -math.sqrt(0.5))


def _log_beta(xp: Any, x: Any, y: Any) -> Any:
    return xp.special.betaln(x, y)


def _expit(xp: Any, x: Any) -> Any:
    return xp.special.expit(x)


# name, doc, implementation, domain rule, names at the Python door
SMOOTH: tuple[Row, ...] = (
    ("exp", "Exponential.", lambda xp, x: xp.exp(x), _positive, "numpy.exp"),
    ("log", "Natural logarithm.", lambda xp, x: xp.log(x), log_domain, "numpy.log"),
    ("log1p", "`log(1 + x)`.", lambda xp, x: xp.log1p(x), _signs, "numpy.log1p"),
    ("expm1", "`exp(x) - 1`.", lambda xp, x: xp.expm1(x), _signs, "numpy.expm1"),
    ("sqrt", "Square root.", lambda xp, x: xp.sqrt(x), sqrt_domain, "numpy.sqrt"),
    ("square", "`x * x`.", lambda xp, x: x * x, absolute_domain, "numpy.square"),
    ("abs", "Absolute value.", lambda xp, x: xp.abs(x), absolute_domain, "numpy.absolute numpy.fabs"),
    ("reciprocal", "`1 / x`.", lambda xp, x: 1.0 / x, keeps("positive"), "numpy.reciprocal"),
    ("sin", "Sine of an angle in radians.", lambda xp, x: xp.sin(x), unknown_domain, "numpy.sin"),
    ("cos", "Cosine of an angle in radians.", lambda xp, x: xp.cos(x), unknown_domain, "numpy.cos"),
    ("tan", "Tangent of an angle in radians.", lambda xp, x: xp.tan(x), unknown_domain, "numpy.tan"),
    ("sinh", "Hyperbolic sine.", lambda xp, x: xp.sinh(x), odd_domain, "numpy.sinh"),
    ("cosh", "Hyperbolic cosine.", lambda xp, x: xp.cosh(x), _positive, "numpy.cosh"),
    ("tanh", "Hyperbolic tangent.", lambda xp, x: xp.tanh(x), _signs, "numpy.tanh"),
    ("arcsin", "Angle whose sine is `x`.", lambda xp, x: xp.arcsin(x), _signs, "numpy.arcsin"),
    ("arccos", "Angle whose cosine is `x`.", lambda xp, x: xp.arccos(x), unknown_domain, "numpy.arccos"),
    ("arctan", "Angle whose tangent is `x`.", lambda xp, x: xp.arctan(x), _signs, "numpy.arctan"),
    ("logit", "`log(x / (1 - x))`.", lambda xp, x: xp.special.logit(x), unknown_domain, "scipy.special.logit"),
    ("log_sigmoid", "`log(expit(x))`.", log_expit, unknown_domain, "scipy.special.log_expit"),
    ("softplus", "`log(1 + exp(x))`.", softplus, _positive, ""),
    ("normal_cdf", "Distribution function of the standard normal.", _normal_cdf, _unit, "scipy.special.ndtr"),
    ("log_normal_cdf", "`log(normal_cdf(x))`.", log_normal_cdf, unknown_domain, "scipy.special.log_ndtr"),
    ("erf", "Error function.", lambda xp, x: xp.special.erf(x), _signs, "scipy.special.erf"),
    ("erfc", "`1 - erf(x)`.", lambda xp, x: xp.special.erfc(x), keeps("positive"), "scipy.special.erfc"),
    (
        "log_gamma",
        "Log of the gamma function.",
        lambda xp, x: xp.special.gammaln(x),
        unknown_domain,
        "scipy.special.gammaln scipy.special.loggamma",
    ),
    (
        "digamma",
        "Derivative of `log_gamma`.",
        lambda xp, x: xp.special.digamma(x),
        log_domain,
        "scipy.special.digamma scipy.special.psi",
    ),
)

STEPS: tuple[Row, ...] = (
    ("floor", "Largest whole number not above `x`.", lambda xp, x: xp.floor(x), rounded_domain, "numpy.floor"),
    ("ceil", "Smallest whole number not below `x`.", lambda xp, x: xp.ceil(x), rounded_domain, "numpy.ceil"),
    ("round", "Nearest whole number.", lambda xp, x: xp.round(x), rounded_domain, "numpy.round numpy.rint"),
    ("sign", "-1, 0 or 1.", lambda xp, x: xp.sign(x), sign_domain, "numpy.sign"),
)

EXPIT_NAMES = (("expit", "scipy.special.expit"), ("inv_logit", ""), ("sigmoid", ""))

OF_TWO: tuple[Row, ...] = (
    ("logaddexp", "`log(exp(x) + exp(y))`.", lambda xp, x, y: xp.logaddexp(x, y), unknown_domain, "numpy.logaddexp"),
    ("log_beta", "Log of the beta function.", _log_beta, unknown_domain, "scipy.special.betaln"),
    ("hypot", "`sqrt(x^2 + y^2)`.", lambda xp, x, y: xp.sqrt(x * x + y * y), always("nonnegative"), "numpy.hypot"),
)


def _register(
    rows: tuple[Row, ...],
    parameters: tuple[str, ...] = ("x",),
    differentiable: bool = True,
    example: tuple[float, ...] = (0.37,),
) -> None:
    signature = ",".join("()" for _ in parameters) + "->()"
    for name, doc, implementation, domain, numpy in rows:
        FUNCTIONS.register(
            Function(
                name,
                parameters,
                implementation,
                signature,
                doc,
                domain=domain,
                numpy=tuple(numpy.split()),
                differentiable=differentiable,
                example=example,
            )
        )


_register(SMOOTH)
_register(STEPS, differentiable=False)
_register(OF_TWO, ("x", "y"), example=(0.37, 1.4))
_register(tuple((name, "`1 / (1 + exp(-x))`.", _expit, _unit, numpy) for name, numpy in EXPIT_NAMES))
