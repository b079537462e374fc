"""The Weibull distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import EULER, SMALLEST, log1m_exp, on_positive, sampler, scipy_stats


def _log_density(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    log_ratio = xp.log(value) - xp.log(scale)
    power = concentration * log_ratio
    return xp.log(concentration) + power - xp.log(value) - xp.exp(power)


def _entropy(xp: Any, scale: Any, concentration: Any) -> Any:
    return EULER * (1.0 - 1.0 / concentration) + xp.log(scale) - xp.log(concentration) + 1.0


def _log_survival(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    return -xp.exp(concentration * (xp.log(value) - xp.log(scale)))


def _log_cdf(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    return log1m_exp(xp, _log_survival(xp, value, scale, concentration))


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, scale, concentration: (-(scale**-concentration),),
    parameters=lambda xp, slope, concentration: {
        "scale": (-slope) ** (-1.0 / concentration),
        "concentration": concentration,
    },
    statistics=lambda xp, value, concentration: (value**concentration,),
    mean_statistics=lambda xp, slope, concentration: (-1.0 / slope,),
    log_normaliser=lambda xp, slope, concentration: -xp.log(-slope),
    log_base=lambda xp, value, concentration: xp.log(concentration) + (concentration - 1.0) * xp.log(value),
    fixed=("concentration",),
)


def _transform(xp: Any, noise: Any, scale: Any, concentration: Any) -> Any:
    return xp.maximum(scale * noise ** (1.0 / concentration), SMALLEST)


_NOISE = NoiseForm(lambda rng, shape: rng.standard_exponential(shape), _transform)


DISTRIBUTIONS.register(
    Distribution(
        name="weibull",
        doc="Weibull: `(x / scale) ^ concentration` is a standard exponential.",
        parameters=(Parameter("scale", "positive"), Parameter("concentration", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(_log_cdf, -np.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"scale": 1.7, "concentration": 1.4},),
        reference=lambda scale, concentration: scipy_stats().weibull_min(concentration, scale=scale),
    )
)
