"""The uniform distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import sampler, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("interval", (parameters["low"], parameters["high"]))


def _log_density(xp: Any, value: Any, low: Any, high: Any) -> Any:
    """Minus infinity outside, since the ends may be latent and move past an observed value."""
    return xp.where((value >= low) & (value <= high), 0.0, -np.inf) - xp.log(high - low)


def _log_chance(xp: Any, length: Any, low: Any, high: Any) -> Any:
    """Of a part of the range of that length, cut off at 0 and at all of it."""
    share = length / (high - low)
    inside = xp.where((share > 0) & (share < 1), share, 1.0)
    return xp.where(share > 0, xp.log(inside), -np.inf)


_NOISE = NoiseForm(lambda rng, shape: rng.random(shape), lambda xp, noise, low, high: low + (high - low) * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="uniform",
        doc="Uniform between `low` and `high`.",
        parameters=(Parameter("low"), Parameter("high")),
        support=_support,
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, low, high: xp.log(high - low),
        log_cdf=lambda xp, value, low, high: _log_chance(xp, value - low, low, high),
        log_survival=lambda xp, value, low, high: _log_chance(xp, high - value, low, high),
        examples=({"low": -1.4, "high": 2.5},),
        reference=lambda low, high: scipy_stats().uniform(low, high - low),
    )
)
