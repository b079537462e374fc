"""The logit-normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.scalar import inner_expit
from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, sampler


def _logit(xp: Any, value: Any) -> Any:
    return xp.log(value) - xp.log1p(-value)


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (_logit(xp, value) - loc) / scale
    slope = xp.log(value) + xp.log1p(-value)
    return -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI - slope


def _log_tail(xp: Any, value: Any, loc: Any, scale: Any, sign: float) -> Any:
    """The normal's tail below (`sign` 1) or above (-1); 0 and 1 outside the unit interval."""
    inside = (value > 0) & (value < 1)
    tail = log_normal_cdf(xp, sign * (_logit(xp, xp.where(inside, value, 0.5)) - loc) / scale)
    return xp.where(inside, tail, xp.where(sign * (value - 0.5) > 0, 0.0, -np.inf))


_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_normal(shape),
    lambda xp, noise, loc, scale: inner_expit(xp, loc + scale * noise),
)

DISTRIBUTIONS.register(
    Distribution(
        name="logit_normal",
        doc="Logit-normal: the log odds are normal with mean `loc` and standard deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("unit_interval"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        log_cdf=lambda xp, value, loc, scale: _log_tail(xp, value, loc, scale, 1.0),
        log_survival=lambda xp, value, loc, scale: _log_tail(xp, value, loc, scale, -1.0),
        examples=({"loc": 0.4, "scale": 1.3},),
    )
)
