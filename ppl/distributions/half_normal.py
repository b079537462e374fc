"""The half-normal distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, LOG_TWO, on_positive, sampler, scipy_stats


def _log_density(xp: Any, value: Any, scale: Any) -> Any:
    standard = value / scale
    return LOG_TWO - HALF_LOG_TWO_PI - 0.5 * standard * standard - xp.log(scale)


def _log_cdf(xp: Any, value: Any, scale: Any) -> Any:
    """By `erf` near 0 and by `erfc` far away, neither of which cancels there."""
    ratio = value / (math.sqrt(2.0) * scale)
    near, far = xp.log(xp.special.erf(xp.minimum(ratio, 1.0))), xp.log1p(-xp.special.erfc(xp.maximum(ratio, 1.0)))
    return xp.where(ratio < 1.0, near, far)


def _log_survival(xp: Any, value: Any, scale: Any) -> Any:
    return LOG_TWO + log_normal_cdf(xp, -value / scale)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, scale: (-0.5 / (scale * scale),),
    parameters=lambda xp, square: {"scale": xp.sqrt(-0.5 / square)},
    statistics=lambda xp, value: (value * value,),
    mean_statistics=lambda xp, square: (-0.5 / square,),
    log_normaliser=lambda xp, square: -0.5 * xp.log(-2.0 * square),
    log_base=lambda xp, value: 0.0 * value + (LOG_TWO - HALF_LOG_TWO_PI),
)

_NOISE = NoiseForm(lambda rng, shape: abs(rng.standard_normal(shape)), lambda xp, noise, scale: scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="half_normal",
        doc="Absolute value of a normal with mean 0 and standard deviation `scale`.",
        parameters=(Parameter("scale", "positive"),),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, scale: 0.5 + HALF_LOG_TWO_PI - LOG_TWO + xp.log(scale),
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"scale": 1.7},),
        reference=lambda scale: scipy_stats().halfnorm(scale=scale),
    )
)
