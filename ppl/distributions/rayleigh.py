"""The Rayleigh distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import EULER, LOG_TWO, log1m_exp, on_positive, sampler, scipy_stats


def _log_density(xp: Any, value: Any, scale: Any) -> Any:
    standard = value / scale
    return xp.log(standard) - xp.log(scale) - 0.5 * standard * standard


def _log_survival(xp: Any, value: Any, scale: Any) -> Any:
    return -0.5 * xp.square(value / scale)


_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_exponential(shape), lambda xp, noise, scale: scale * xp.sqrt(2.0 * noise)
)

_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, scale: (-0.5 / (scale * scale),),
    parameters=lambda xp, square: {"scale": xp.sqrt(-0.5 / square)},
    statistics=lambda xp, value: (value * value,),
    mean_statistics=lambda xp, square: (-1.0 / square,),
    log_normaliser=lambda xp, square: -xp.log(-2.0 * square),
    log_base=lambda xp, value: xp.log(value),
)

DISTRIBUTIONS.register(
    Distribution(
        name="rayleigh",
        doc="Rayleigh: length of a vector in the plane with normal coordinates of standard deviation `scale`.",
        parameters=(Parameter("scale", "positive"),),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, scale: 1.0 + 0.5 * (EULER - LOG_TWO) + xp.log(scale),
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(lambda xp, value, scale: log1m_exp(xp, _log_survival(xp, value, scale)), -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"scale": 1.3},),
        reference=lambda scale: scipy_stats().rayleigh(scale=scale),
    )
)
