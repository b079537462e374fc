"""SciPy's special functions, and logs of incomplete gamma and beta functions that hold in the far tails.

`xp.special` is this module for plain NumPy. `SLOPES` gives the derivative of each log of a distribution function by
each of its arguments, from which backends make differentiable ones; the `…_quantile_slope` are those of
`ppl.special.quantiles`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as _scipy

from ppl.special.quantiles import (
    beta_quantile_slope,
    gamma_quantile_slope,
    radius_quantile_slope,
    von_mises_quantile_slope,
)

__all__ = [
    "BENDS",
    "SLOPES",
    "beta_quantile_slope",
    "gamma_quantile_slope",
    "log_betainc",
    "log_gammainc",
    "log_gammaincc",
    "log_student_t_cdf",
    "no_slope",
    "radius_quantile_slope",
    "von_mises_quantile_slope",
]

_UNDERFLOW = 1e-280
_MOST_TERMS = 5000
_EPSILON = 1e-16


def __getattr__(name: str) -> Any:
    return getattr(_scipy, name)


def log_gammainc(a: Any, x: Any) -> Any:
    """Log of the regularised lower incomplete gamma function P(a, x)."""
    lower, upper = _scipy.gammainc(a, x), _scipy.gammaincc(a, x)
    with np.errstate(all="ignore"):
        near = np.where(lower < 0.5, np.log(lower), np.log1p(-upper))
    return _repaired(near, lower, _gamma_series, a, x)


def log_gammaincc(a: Any, x: Any) -> Any:
    """Log of the regularised upper incomplete gamma function Q(a, x)."""
    lower, upper = _scipy.gammainc(a, x), _scipy.gammaincc(a, x)
    with np.errstate(all="ignore"):
        near = np.where(upper < 0.5, np.log(upper), np.log1p(-lower))
    return _repaired(near, upper, _gamma_fraction, a, x)


def log_betainc(a: Any, b: Any, x: Any, y: Any) -> Any:
    """Log of the regularised incomplete beta function I_x(a, b), with `y = 1 - x` given apart for its digits."""
    lower, upper = _scipy.betainc(a, b, x), _scipy.betainc(b, a, y)
    with np.errstate(all="ignore"):
        near = np.where(lower < 0.5, np.log(lower), np.log1p(-upper))
    return _repaired(near, lower, _beta_series, a, b, x, y)


def log_student_t_cdf(t: Any, df: Any) -> Any:
    """Log of the distribution function of a standard Student's t."""
    t = np.asarray(t, dtype=float)
    square = t * t
    tail = np.log(0.5) + log_betainc(0.5 * df, 0.5, df / (df + square), square / (df + square))
    return np.where(t < 0, tail, np.log1p(-np.exp(tail)))


def _repaired(near: Any, value: Any, far: Callable[..., Any], *arguments: Any) -> Any:
    """`near`, with the elements whose `value` underflowed computed by `far`."""
    lost = (value < _UNDERFLOW) & (np.asarray(arguments[-1]) > 0) & np.isfinite(np.asarray(arguments[-1]))
    if not np.any(lost):
        return near
    result = np.array(near)
    spread = np.broadcast_arrays(*(np.asarray(argument, dtype=float) for argument in arguments), lost)
    with np.errstate(all="ignore"):
        result[lost] = far(*(argument[lost] for argument in spread[:-1]))
    return result


def _gamma_series(a: Any, x: Any) -> Any:
    """DLMF 8.11.4: `x^a e^-x / gamma(a + 1) * sum of x^n / ((a + 1) … (a + n))`."""
    return a * np.log(x) - x - _scipy.gammaln(a + 1.0) + np.log(_summed(lambda n: x / (a + n), x))


def _beta_series(a: Any, b: Any, x: Any, y: Any) -> Any:
    """DLMF 8.17.8: `x^a y^b / (a B(a, b)) * sum of x^n (a + b)_n / (a + 1)_n`."""
    total = _summed(lambda n: x * (a + b + n - 1.0) / (a + n), x)
    return a * np.log(x) + b * np.log(y) - np.log(a) - _scipy.betaln(a, b) + np.log(total)


def _summed(ratio: Callable[[int], Any], like: Any) -> Any:
    """`1 + r(1) + r(1) r(2) + …`."""
    term, total = np.ones_like(like), np.ones_like(like)
    for n in range(1, _MOST_TERMS):
        term = term * ratio(n)
        total = total + term
        if np.all(np.abs(term) <= _EPSILON * total):
            break
    return total


def _gamma_fraction(a: Any, x: Any) -> Any:
    """DLMF 8.9.2 as a continued fraction, by Lentz's method."""
    b = x + 1.0 - a
    c = np.full_like(x, 1e300)
    d = 1.0 / b
    total = d
    for n in range(1, _MOST_TERMS):
        numerator = -n * (n - a)
        b = b + 2.0
        d = 1.0 / (numerator * d + b)
        c = b + numerator / c
        total = total * c * d
        if np.all(np.abs(c * d - 1.0) <= 4 * _EPSILON):
            break
    return a * np.log(x) - x - _scipy.gammaln(a) + np.log(total)


# Derivatives: each takes the function's answer, then its arguments -------------------------------------


def _gamma_slope(sign: float) -> Callable[..., Any]:
    def slope(answer: Any, a: Any, x: Any) -> Any:
        return _density_over(answer, _gamma_log_density(a, x) - np.log(x), sign)

    return slope


def _gamma_shape_slope(sign: float) -> Callable[..., Any]:
    def slope(answer: Any, a: Any, x: Any) -> Any:
        return _moved(gamma_quantile_slope(a, x), _density_over(answer, _gamma_log_density(a, x), sign))

    return slope


def _gamma_log_density(a: Any, x: Any) -> Any:
    """Of log x."""
    with np.errstate(all="ignore"):
        return a * np.log(x) - x - _scipy.gammaln(a)


def _beta_slope(answer: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    return _density_over(answer, _beta_log_density(a, b, x, y) - np.log(x) - np.log(y), 1.0)


def _first_shape_slope(answer: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    density = _density_over(answer, _beta_log_density(a, b, x, y), 1.0)
    return _moved(beta_quantile_slope(a, b, x, y), density)


def _second_shape_slope(answer: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    density = _density_over(answer, _beta_log_density(a, b, x, y), -1.0)
    return _moved(beta_quantile_slope(b, a, y, x), density)


def _beta_log_density(a: Any, b: Any, x: Any, y: Any) -> Any:
    """Of the log odds of x."""
    with np.errstate(all="ignore"):
        return a * np.log(x) + b * np.log(y) - _scipy.betaln(a, b)


def _student_slope(answer: Any, t: Any, df: Any) -> Any:
    return _density_over(answer, _student_log_density(t, df), 1.0)


def _student_shape_slope(answer: Any, t: Any, df: Any) -> Any:
    density = _density_over(answer, _student_log_density(t, df), 1.0)
    return _moved(t * radius_quantile_slope(df, 1.0, np.abs(t)), density)


def _student_log_density(t: Any, df: Any) -> Any:
    normaliser = _scipy.gammaln(0.5 * (df + 1.0)) - _scipy.gammaln(0.5 * df) - 0.5 * np.log(np.pi * df)
    return normaliser - 0.5 * (df + 1.0) * np.log1p(t * t / df)


# Second derivatives: those of log densities, argument by argument ---------------------------------------


def _gamma_bends() -> tuple[Callable[..., Any], ...]:
    """Of the log density of a gamma variable in its shape and itself."""
    return (lambda a, x: np.log(x) - _scipy.digamma(a), lambda a, x: (a - 1.0) / x - 1.0)


def _beta_bends() -> tuple[Callable[..., Any], ...]:
    """Of that of a beta variable in both shapes, itself and its complement."""
    return (
        lambda a, b, x, y: np.log(x) - _scipy.digamma(a) + _scipy.digamma(a + b),
        lambda a, b, x, y: np.log(y) - _scipy.digamma(b) + _scipy.digamma(a + b),
        lambda a, b, x, y: (a - 1.0) / x,
        lambda a, b, x, y: (b - 1.0) / y,
    )


def _student_bends() -> tuple[Callable[..., Any], ...]:
    """Of that of a Student t in itself and its degrees of freedom."""

    def by_degrees(t: Any, df: Any) -> Any:
        gammas = _scipy.digamma(0.5 * (df + 1.0)) - _scipy.digamma(0.5 * df) - 1.0 / df
        return 0.5 * (gammas - np.log1p(t * t / df) + (df + 1.0) * t * t / (df * (df + t * t)))

    return (lambda t, df: -(df + 1.0) * t / (df + t * t), by_degrees)


def _moved(quantile_slope: Any, density: Any) -> Any:
    """Minus a product that is 0 where the density is, whatever the quantile would do there."""
    return -np.where(density == 0.0, 0.0, quantile_slope) * density


def _density_over(answer: Any, log_density: Any, sign: float) -> Any:
    """Density over tail; 0 where the tail is empty."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(answer), sign * np.exp(log_density - answer), 0.0)


def no_slope(answer: Any, *arguments: Any) -> Any:
    """The derivative by an argument that only repeats what another says."""
    return np.zeros(np.shape(answer))


_LOWER, _UPPER = _gamma_slope(1.0), _gamma_slope(-1.0)
SLOPES: dict[str, tuple[Callable[..., Any], tuple[Callable[..., Any], ...]]] = {
    "log_gammainc": (log_gammainc, (_gamma_shape_slope(1.0), _LOWER)),
    "log_gammaincc": (log_gammaincc, (_gamma_shape_slope(-1.0), _UPPER)),
    "log_betainc": (log_betainc, (_first_shape_slope, _second_shape_slope, _beta_slope, no_slope)),
    "log_student_t_cdf": (log_student_t_cdf, (_student_slope, _student_shape_slope)),
}
"""Each function of this module, and its derivatives argument by argument."""
BENDS: dict[Callable[..., Any], tuple[Callable[..., Any], ...]] = {
    _LOWER: _gamma_bends(),
    _UPPER: _gamma_bends(),
    _beta_slope: _beta_bends(),
    _student_slope: _student_bends(),
}
"""Slopes that are a density over the function, and the derivatives of the log density: such a slope's own derivative is
itself times those, less itself by the log of the function. Slopes by shapes have no such form.
"""
