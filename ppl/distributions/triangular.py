"""The triangular distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import LOG_TWO, SMALLEST, sampler, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("interval", (parameters["low"], parameters["high"]))


def _log_height(xp: Any, length: Any, side: Any) -> Any:
    """Log of how high the side has risen at that distance from its end, 1 at the peak; the side may have no length."""
    known = (length > 0) & (side > 0)
    return xp.log(xp.where(known, length, 1.0)) - xp.log(xp.where(known, side, 1.0))


def _log_density(xp: Any, value: Any, low: Any, high: Any, peak: Any) -> Any:
    """Minus infinity at the ends and outside, since they may be latent and move past an observed value."""
    rise, fall = _log_height(xp, value - low, peak - low), _log_height(xp, high - value, high - peak)
    inside = ((value > low) | (value == peak)) & ((value < high) | (value == peak))
    return xp.where(inside, xp.where(value < peak, rise, fall) + LOG_TWO - xp.log(high - low), -np.inf)


def _log_share(xp: Any, length: Any, side: Any, other: Any) -> Any:
    """Log chance of what lies within `length` of the end of one side."""
    total = side + other
    near = 2.0 * _log_height(xp, length, side) + xp.log(xp.where(side > 0, side, 1.0) / total)
    beyond = (total - length > 0) & (length > side)
    rest = xp.where(beyond, total - length, 1.0)
    base = xp.where(beyond, total * other, 4.0 * total * total)
    far = xp.where(beyond, xp.log1p(-rest * rest / base), 0.0)
    return xp.where(length <= 0, -np.inf, xp.where(length <= side, near, far))


def _transform(xp: Any, noise: Any, low: Any, high: Any, peak: Any) -> Any:
    """The quantile at the chance `noise`."""
    total, rise, fall = high - low, peak - low, high - peak
    on_left = noise * total < rise
    left = low + xp.sqrt(noise * total * xp.where(on_left, rise, 1.0))
    right = high - xp.sqrt(xp.where(on_left, 1.0, (1.0 - noise) * fall) * total)
    return xp.where(on_left, left, right)


_NOISE = NoiseForm(lambda rng, shape: rng.uniform(SMALLEST, 1.0, shape), _transform)

DISTRIBUTIONS.register(
    Distribution(
        name="triangular",
        doc="Triangular between `low` and `high`, highest at `peak`.",
        parameters=(Parameter("low"), Parameter("high"), Parameter("peak")),
        support=_support,
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, low, high, peak: 0.5 - LOG_TWO + xp.log(high - low) + 0.0 * peak,
        log_cdf=lambda xp, value, low, high, peak: _log_share(xp, value - low, peak - low, high - peak),
        log_survival=lambda xp, value, low, high, peak: _log_share(xp, high - value, high - peak, peak - low),
        # The peak stands at log odds of -0.5 between the ends.
        examples=({"low": -1.2, "high": 2.3, "peak": -1.2 + 3.5 / (1.0 + math.exp(0.5))},),
        reference=lambda low, high, peak: scipy_stats().triang((peak - low) / (high - low), low, high - low),
    )
)
