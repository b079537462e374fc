"""The hyperbolic secant distribution, a Laplace whose density is smooth at its mode."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, LOG_TWO, sampler, scipy_stats

_NOISE = NoiseForm(
    lambda rng, shape: np.log(np.abs(rng.standard_cauchy(shape))), lambda xp, noise, loc, scale: loc + scale * noise
)


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return LOG_TWO - LOG_PI - xp.log(scale) - xp.logaddexp(standard, -standard)


def _log_lower(xp: Any, standard: Any) -> Any:
    """Log of `arctan(exp(standard))` over a right angle; `exp(standard)` itself far below."""
    below, above = xp.minimum(standard, 0.0), xp.maximum(standard, 0.0)
    near = xp.log(xp.arctan(xp.exp(xp.maximum(below, -30.0))))
    half = LOG_TWO - LOG_PI
    tail = half + xp.where(below < -30.0, below, near)
    return xp.where(standard < 0, tail, xp.log1p(-math.exp(half) * xp.arctan(xp.exp(-above))))


DISTRIBUTIONS.register(
    Distribution(
        name="soft_laplace",
        doc="Hyperbolic secant around `loc`: tails as a Laplace of scale `scale`, smooth between them.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: LOG_TWO + LOG_PI + xp.log(scale) + 0.0 * loc,
        log_cdf=lambda xp, value, loc, scale: _log_lower(xp, (value - loc) / scale),
        log_survival=lambda xp, value, loc, scale: _log_lower(xp, (loc - value) / scale),
        examples=({"loc": 0.4, "scale": 1.3},),
        reference=lambda loc, scale: scipy_stats().hypsecant(loc, scale),
    )
)
