"""The exponential distribution."""

from __future__ import annotations

import math

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import log1m_exp, on_positive, sampler, scipy_stats

_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, rate: (-rate,),
    parameters=lambda xp, slope: {"rate": -slope},
    statistics=lambda xp, value: (value,),
    mean_statistics=lambda xp, slope: (-1.0 / slope,),
    log_normaliser=lambda xp, slope: -xp.log(-slope),
    log_base=lambda xp, value: 0.0 * value,
)

_NOISE = NoiseForm(lambda rng, shape: rng.standard_exponential(shape), lambda xp, noise, rate: noise / rate)


DISTRIBUTIONS.register(
    Distribution(
        name="exponential",
        doc="Exponential with mean `1 / rate`.",
        parameters=(Parameter("rate", "positive"),),
        support=fixed_support("positive"),
        log_density=lambda xp, value, rate: xp.log(rate) - rate * value,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, rate: 1.0 - xp.log(rate),
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(lambda xp, value, rate: log1m_exp(xp, -rate * value), -math.inf),
        log_survival=on_positive(lambda xp, value, rate: -rate * value, 0.0),
        examples=({"rate": 1.6},),
        reference=lambda rate: scipy_stats().expon(scale=1.0 / rate),
    )
)
