"""How a quantile moves with a shape, its chance being held: `dz/da = -(dF/da) / p(z)`.

The derivative of log p by a shape, the score, has mean 0 and for these families changes sign once. So dF/da is the
integral of the score up to z, or minus that beyond z, and if one takes the side on which z lies of that sign change,
the integrand has one sign and nothing cancels. It is divided by p(z) inside the integral, so no tail
underflows. By Gauss-Legendre quadrature, or by a power series where the integrand would have two scales.
Relative errors are below 1e-10 for shapes from 1e-2 to 1e4 and any quantile. The slopes are those of log-scale
quantities, which stay of moderate size where a tiny shape drives the quantile itself to 0.

Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special as _scipy

_NODES, _WEIGHTS = (0.5 * part for part in np.polynomial.legendre.leggauss(32))
_NODES = _NODES + 0.5
_BLOCK = 4096
_DEPTH = 40.0  # an integrand is cut off where it fell to exp(-40)
_MOST_TERMS = 5000
_EPSILON = 1e-16
_BERNOULLI = ((2, 1 / 12), (4, -1 / 120), (6, 1 / 252), (8, -1 / 240), (10, 1 / 132), (12, -691 / 32760), (14, 1 / 12))
"""B(2k) / (2k)."""


def gamma_quantile_slope(a: Any, x: Any) -> Any:
    """Derivative of log x by the shape `a` where P(a, x) is held."""
    return _by_region(
        (lambda a, x: x <= 1.0, _gamma_slope_series),
        (lambda a, x: x > 1.0, _gamma_slope_integral),
    )(a, x)


def beta_quantile_slope(a: Any, b: Any, x: Any, y: Any, log_x: Any = None) -> Any:
    """Derivative of log(x / y) by `a` where I_x(a, b) is held, with `y = 1 - x` given apart for its digits.

    `log_x` is given where `x` may underflow. The derivative by `b` is `-beta_quantile_slope(b, a, y, x)`.
    """

    def near_zero(a: Any, b: Any, x: Any, y: Any, log_x: Any) -> Any:
        return (x <= 0.5) & (b * x <= 1.0)

    def near_one(a: Any, b: Any, x: Any, y: Any, log_x: Any) -> Any:
        return (x > 0.5) & (a * y <= 1.0)

    return _by_region(
        (near_zero, _beta_slope_at_zero),
        (near_one, _beta_slope_at_one),
        (lambda *at: ~(near_zero(*at) | near_one(*at)), _beta_slope_integral),
    )(a, b, x, y, np.log(x) if log_x is None else log_x)


def radius_quantile_slope(df: Any, size: Any, radius: Any) -> Any:
    """Derivative by `df` of the log distance from 0 of a standard t of `size` dimensions, its chance being held.

    Where `df` is large 1 / df cancels in the formula by the beta distribution, and a series in it is used.
    """

    def normal(df: Any, size: Any, radius: Any) -> Any:
        return 300.0 * np.maximum(radius * radius, size) < df

    return _by_region(
        (normal, _radius_slope_series),
        (lambda *at: ~normal(*at), _radius_slope_by_beta),
    )(df, size, radius)


def von_mises_quantile_slope(angle: Any, concentration: Any) -> Any:
    """Derivative by the concentration of an angle in [-pi, pi] from the mean, the chance between the two being held."""
    angle, concentration = np.broadcast_arrays(np.asarray(angle, dtype=float), concentration)
    size = np.abs(angle)
    start = 2.0 * np.square(np.sin(0.5 * size))
    gap = _mean_cosine_gap(concentration)
    end = 2.0 * np.arcsin(np.sqrt(0.5 * np.minimum(2.0, start + _DEPTH / concentration)))
    origin, length = np.where(start < gap, (0.0 * size, size), (size, end - size))

    def integrand(step: Any, origin: Any, length: Any, start: Any, gap: Any, concentration: Any) -> Any:
        height = 2.0 * np.square(np.sin(0.5 * (origin + step * length)))
        return np.abs(height - gap) * np.exp(concentration * (start - height)) * length

    return -np.sign(angle) * _integral(integrand, origin, length, start, gap, concentration)


def _by_region(*regions: tuple[Callable[..., Any], Callable[..., Any]]) -> Callable[..., Any]:
    """A function of arrays that uses, where a condition holds, the formula beside it."""

    def chosen(*arguments: Any) -> Any:
        spread = np.broadcast_arrays(*(np.asarray(argument, dtype=float) for argument in arguments))
        result = np.full(spread[0].shape, np.nan)
        with np.errstate(all="ignore"):
            for condition, formula in regions:
                place = condition(*spread)
                if np.any(place):
                    result[place] = formula(*(argument[place] for argument in spread))
        return result

    return chosen


def _integral(integrand: Callable[..., Any], *arguments: Any) -> Any:
    """Integral of `integrand(step, *arguments)` over `step` from 0 to 1, in blocks that fit into a cache."""
    spread = np.broadcast_arrays(*arguments)
    flat = [argument.reshape(-1, 1) for argument in spread]
    blocks = [
        integrand(_NODES, *(argument[start : start + _BLOCK] for argument in flat)) @ _WEIGHTS
        for start in range(0, max(1, spread[0].size), _BLOCK)
    ]
    return np.concatenate(blocks).reshape(spread[0].shape)


def _gamma_slope_series(a: Any, x: Any) -> Any:
    """From P = x^a e^-x / gamma(a + 1) * sum of x^n / ((a + 1) … (a + n)), differentiated term by term."""
    total, slope = _summed_with_slope(lambda n: x / (a + n), lambda n: 1.0 / (a + n), x)
    return ((_scipy.digamma(a + 1.0) - np.log(x)) * total + slope) / a


def _gamma_slope_integral(a: Any, x: Any) -> Any:
    """Over the log of the ratio to x."""
    score = np.log(x) - _scipy.digamma(a)
    side = np.where(score < 0.0, -1.0, 1.0)
    near = _fall_length(side * (x - a), x)
    end = np.where(score < 0.0, (_DEPTH + x) / a, np.log1p((_DEPTH + a * near) / x))
    near = np.where((score < 0.0) & (near > 1.0), end, near)

    def integrand(step: Any, a: Any, x: Any, score: Any, side: Any, length: Any) -> Any:
        ratio = side * step * length
        return (np.abs(score) + np.abs(ratio)) * np.exp(a * ratio - x * np.expm1(ratio)) * length

    return _integral(integrand, a, x, score, side, np.minimum(near, end))


def _beta_slope_at_zero(a: Any, b: Any, x: Any, y: Any, log_x: Any) -> Any:
    """From I = x^a y^b / (a B(a, b)) * sum of x^n (a + b)_n / (a + 1)_n, differentiated term by term."""
    total, slope = _summed_with_slope(
        lambda n: x * (a + b + n - 1.0) / (a + n), lambda n: (b - 1.0) / ((a + b + n - 1.0) * (a + n)), x
    )
    return (slope - (_digamma_gain(a + 1.0, b - 1.0) + log_x) * total) / a


def _beta_slope_at_one(a: Any, b: Any, x: Any, y: Any, log_x: Any) -> Any:
    """From the same series of I_y(b, a)."""
    total, slope = _summed_with_slope(lambda n: y * (a + b + n - 1.0) / (b + n), lambda n: 1.0 / (a + b + n - 1.0), y)
    return ((_digamma_gain(a, b) + np.log1p(-y)) * total + slope) / b


def _beta_slope_integral(a: Any, b: Any, x: Any, y: Any, log_x: Any) -> Any:
    """Over the difference of the log odds, with ratios of whichever of x and y is smaller."""
    low = x <= 0.5
    small, rate = np.where(low, x, y), np.where(low, a, b)
    score = np.where(low, log_x, np.log1p(-y)) + _digamma_gain(a, b)
    side = np.where(score < 0.0, -1.0, 1.0)
    way = np.where(low, side, -side)
    length = _beta_length(rate, a + b, small, way)

    def integrand(step: Any, total: Any, small: Any, rate: Any, low: Any, score: Any, way: Any, length: Any) -> Any:
        odds = way * step * length
        other = np.log1p(small * np.expm1(odds))
        return np.abs(score + low * odds - other) * np.exp(rate * odds - total * other) * length

    return _integral(integrand, a + b, small, rate, 1.0 * low, score, way, length)


def _beta_length(rate: Any, total: Any, small: Any, way: Any) -> Any:
    """How far the log odds of `small` go one way until the density fell by `_DEPTH`; rather too far."""
    near = _fall_length(way * (total * small - rate), total * small * (1.0 - small))
    away = (_DEPTH - total * np.log1p(-small)) / rate
    towards = (_DEPTH - total * np.log(small)) / (total - rate)
    for _ in range(3):
        towards = np.log1p(np.expm1((_DEPTH + rate * towards) / total) / small)
        away = (_DEPTH - total * np.log1p(small * np.expm1(-away))) / rate
    end = np.where(way < 0.0, away, towards)
    return np.where(near <= 1.0, np.minimum(near, end), end)


def _fall_length(slope: Any, curvature: Any) -> Any:
    """Where `slope r + curvature r^2 / 3` is `_DEPTH`; if below 1, a fall that starts so is no longer."""
    return 2.0 * _DEPTH / (slope + np.sqrt(slope * slope + 4.0 / 3.0 * _DEPTH * curvature))


def _radius_slope_by_beta(df: Any, size: Any, radius: Any) -> Any:
    """`df / (df + radius^2)` is a beta of shapes df / 2 and size / 2."""
    root = radius / np.sqrt(df)
    share = root * root
    x, y = 1.0 / (1.0 + share), 1.0 / (1.0 + 1.0 / share)
    log_x = np.where(share < 1e20, -np.log1p(share), -2.0 * np.log(root))
    return 0.5 / df - 0.25 * beta_quantile_slope(0.5 * df, 0.5 * size, x, y, log_x)


def _radius_slope_series(df: Any, size: Any, radius: Any) -> Any:
    """The velocity that carries the densities of all `df` into each other, as a series in 1 / df."""
    n, m, v = size, size - 2.0, radius * radius
    second = 0.5 * (m - v)
    third = (v * v + m * v - 2.0 * (n - 1.0) * m) / 6.0
    fourth = (3.0 * n * m * m - v * (n * m + v * (m + v))) / 12.0
    fifth = (v * (m * (3.0 * n * n - 8.0) + v * (m * (3.0 * n - 2.0) + 3.0 * v * (m + v)))) / 60.0
    fifth = fifth - m * (3.0 * n**3 - 9.0 * n**2 + 2.0 * n + 4.0) / 15.0
    return 0.5 * (second + (third + (fourth + fifth / df) / df) / df) / (df * df)


def _mean_cosine_gap(concentration: Any) -> Any:
    """1 less the mean cosine of a von Mises angle, I1 / I0."""
    with np.errstate(all="ignore"):
        bessel = _scipy.ive(0.0, concentration)
        near = (bessel - _scipy.ive(1.0, concentration)) / bessel
        part = 1.0 / concentration
        far = part * (0.5 + part * (0.125 + part * (0.125 + part * (25.0 / 128.0 + part * 13.0 / 32.0))))
    return np.where(concentration < 1000.0, near, far)


def _digamma_gain(a: Any, b: Any) -> Any:
    """`digamma(a + b) - digamma(a)` to full relative accuracy: 8 recurrence steps, then the asymptotic series."""
    total = sum(b / ((a + step) * (a + b + step)) for step in range(8))
    a = a + 8.0
    ratio = np.log1p(b / a)
    total = total + ratio + 0.5 * b / (a * (a + b))
    for power, weight in _BERNOULLI:
        total = total - weight * a**-power * np.expm1(-power * ratio)
    return total


def _summed_with_slope(ratio: Callable[[int], Any], gain: Callable[[int], Any], like: Any) -> tuple[Any, Any]:
    """`1 + r(1) + r(1) r(2) + …`, and the sum of those terms, each times `g(1) + … + g(n)`."""
    term, total = np.ones_like(like), np.ones_like(like)
    gained, slope = np.zeros_like(like), np.zeros_like(like)
    for n in range(1, _MOST_TERMS):
        term = term * ratio(n)
        gained = gained + gain(n)
        total = total + term
        slope = slope + term * gained
        if not np.any(term * np.maximum(1.0, np.abs(gained)) > _EPSILON * np.maximum(total, np.abs(slope))):
            break
    return total, slope
