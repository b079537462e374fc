"""The log-uniform (reciprocal) distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import log_positive, sampler, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("interval", (parameters["low"], parameters["high"]))


def _log_density(xp: Any, value: Any, low: Any, high: Any) -> Any:
    """Minus infinity outside, since the ends may be latent and move past an observed value."""
    inside = xp.where((value >= low) & (value <= high), 0.0, -np.inf)
    return inside - log_positive(xp, value) - xp.log(xp.log(high) - xp.log(low))


def _log_share(xp: Any, length: Any, low: Any, high: Any) -> Any:
    """Log of that part of the logarithmic range, cut off at 0 and at all of it."""
    share = length / (xp.log(high) - xp.log(low))
    inside = xp.where((share > 0) & (share < 1), share, 1.0)
    return xp.where(share > 0, xp.log(inside), -np.inf)


def _transform(xp: Any, noise: Any, low: Any, high: Any) -> Any:
    return xp.minimum(xp.maximum(xp.exp((1.0 - noise) * xp.log(low) + noise * xp.log(high)), low), high)


_NOISE = NoiseForm(lambda rng, shape: rng.random(shape), _transform)

DISTRIBUTIONS.register(
    Distribution(
        name="log_uniform",
        doc="Log-uniform: the logarithm is uniform between those of `low` and `high`.",
        parameters=(Parameter("low", "positive"), Parameter("high", "positive")),
        support=_support,
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, low, high: xp.log(xp.log(high) - xp.log(low)) + 0.5 * (xp.log(low) + xp.log(high)),
        log_cdf=lambda xp, value, low, high: _log_share(xp, log_positive(xp, value) - xp.log(low), low, high),
        log_survival=lambda xp, value, low, high: _log_share(xp, xp.log(high) - log_positive(xp, value), low, high),
        examples=({"low": 0.3, "high": 4.2},),
        reference=lambda low, high: scipy_stats().loguniform(low, high),
    )
)
