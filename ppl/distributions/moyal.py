"""The Moyal distribution (Moyal, 1955), an approximation of Landau's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import EULER, HALF_LOG_TWO_PI, LOG_TWO, sampler, scipy_stats

_FAR = 30.0


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return -0.5 * (standard + xp.exp(-standard)) - xp.log(scale) - HALF_LOG_TWO_PI


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    """The chance that a normal lies more than `exp(-standard / 2)` from 0."""
    return LOG_TWO + log_normal_cdf(xp, -xp.exp((loc - value) / (2.0 * scale)))


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    """By `erfc` at first, then by `erf`, and far out by the first term of its series."""
    standard = (value - loc) / scale
    middle = xp.clip(standard, 0.0, _FAR)
    near = xp.log1p(-xp.special.erfc(math.sqrt(0.5) * xp.exp(-0.5 * xp.minimum(standard, 0.0))))
    inner = xp.log(xp.special.erf(math.sqrt(0.5) * xp.exp(-0.5 * middle)))
    far = LOG_TWO - HALF_LOG_TWO_PI - 0.5 * standard - xp.exp(-xp.maximum(standard, _FAR)) / 6.0
    return xp.where(standard < 0, near, xp.where(standard < _FAR, inner, far))


_NOISE = NoiseForm(
    lambda rng, shape: -2.0 * np.log(np.abs(rng.standard_normal(shape))),
    lambda xp, noise, loc, scale: loc + scale * noise,
)


DISTRIBUTIONS.register(
    Distribution(
        name="moyal",
        doc="Moyal with mode `loc`: a density with a long tail to the right, of energy lost by particles.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 0.5 * (1.0 + LOG_TWO + EULER) + HALF_LOG_TWO_PI + xp.log(scale) + 0.0 * loc,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"loc": 0.4, "scale": 1.3},),
        reference=lambda loc, scale: scipy_stats().moyal(loc, scale),
    )
)
