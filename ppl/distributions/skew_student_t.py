"""The skew Student's t distribution (Jones and Faddy, 2003)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_TWO, SMALLEST, scipy_stats
from ppl.distributions.implicit import beta_slopes


def _log_shares(xp: Any, standard: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Logs of `(1 + s) / 2` and `(1 - s) / 2`, where `s = x / sqrt(a + b + x^2)`; neither cancels."""
    far = xp.abs(standard)
    length = xp.sqrt(a + b + far * far)
    large = xp.log1p(far / length) - LOG_TWO
    small = xp.log(a + b) - xp.log(length) - xp.log(length + far) - LOG_TWO
    right = standard > 0
    return xp.where(right, large, small), xp.where(right, small, large)


def _log_density(xp: Any, value: Any, a: Any, b: Any, loc: Any, scale: Any) -> Any:
    upper, lower = _log_shares(xp, (value - loc) / scale, a, b)
    kernel = (a + 0.5) * upper + (b + 0.5) * lower
    return kernel + 2.0 * LOG_TWO - xp.special.betaln(a, b) - 0.5 * xp.log(a + b) - xp.log(scale)


def _log_cdf(xp: Any, value: Any, a: Any, b: Any, loc: Any, scale: Any) -> Any:
    upper, lower = _log_shares(xp, (value - loc) / scale, a, b)
    return xp.special.log_betainc(a, b, xp.exp(upper), xp.exp(lower))


def _log_survival(xp: Any, value: Any, a: Any, b: Any, loc: Any, scale: Any) -> Any:
    upper, lower = _log_shares(xp, (value - loc) / scale, a, b)
    return xp.special.log_betainc(b, a, xp.exp(lower), xp.exp(upper))


def _sample(rng: np.random.Generator, shape: tuple[int, ...], a: Any, b: Any, loc: Any, scale: Any) -> Any:
    """From two gammas G and H: `sqrt(a + b) * (G - H) / (2 sqrt(G H))`."""
    first, second = (np.maximum(rng.standard_gamma(each, shape), SMALLEST) for each in (a, b))
    return loc + scale * np.sqrt(np.asarray(a) + b) * (first - second) / (2.0 * np.sqrt(first) * np.sqrt(second))


def _implicit(value: Any, cotangent: Any, a: Any, b: Any, loc: Any, scale: Any) -> dict[str, Any]:
    """Through the log odds L of a beta draw: the standard value is `sqrt(a + b) * sinh(L / 2)`."""
    standard = (value - loc) / scale
    upper, lower = (np.exp(share) for share in _log_shares(np, standard, a, b))
    slope_a, slope_b = beta_slopes(a, b, upper, lower)
    by_standard = cotangent * scale
    stretch, bend = 0.5 * standard / (a + b), 0.5 * np.sqrt(a + b + standard * standard)
    return {
        "a": by_standard * (stretch + bend * slope_a),
        "b": by_standard * (stretch + bend * slope_b),
        "loc": cotangent + 0.0 * standard,
        "scale": cotangent * standard,
    }


DISTRIBUTIONS.register(
    Distribution(
        name="skew_student_t",
        doc="Skew t whose left tail falls as a t with `2 a` degrees of freedom and whose right as one with `2 b`.",
        parameters=(
            Parameter("a", "positive"),
            Parameter("b", "positive"),
            Parameter("loc"),
            Parameter("scale", "positive"),
        ),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        implicit=_implicit,
        location_scale=("loc", "scale"),
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"a": 2.6, "b": 4.1, "loc": 0.3, "scale": 1.2},),
        reference=lambda a, b, loc, scale: scipy_stats().jf_skew_t(a, b, loc, scale),
    )
)
