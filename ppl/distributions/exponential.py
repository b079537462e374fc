"""The exponential distribution."""

from __future__ import annotations

import math

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import log1m_exp, on_positive, scipy_stats

DISTRIBUTIONS.register(
    Distribution(
        name="exponential",
        doc="Exponential with mean `1 / rate`.",
        parameters=(Parameter("rate", "positive"),),
        support=fixed_support("positive"),
        log_density=lambda xp, value, rate: xp.log(rate) - rate * value,
        sample=lambda rng, shape, rate: rng.standard_exponential(shape) / rate,
        reparameterised="pathwise",
        entropy=lambda xp, rate: 1.0 - xp.log(rate),
        log_cdf=on_positive(lambda xp, value, rate: log1m_exp(xp, -rate * value), -math.inf),
        log_survival=on_positive(lambda xp, value, rate: -rate * value, 0.0),
        examples=({"rate": 1.6},),
        reference=lambda rate: scipy_stats().expon(scale=1.0 / rate),
    )
)
