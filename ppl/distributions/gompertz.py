"""The Gompertz distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import log1m_exp, on_positive, sampler, scipy_stats

_LARGEST = 700.0


def _log_survival(xp: Any, value: Any, concentration: Any, rate: Any) -> Any:
    """Its exponent is kept where it does not overflow: the chance beyond is 0 in any case."""
    return -concentration * xp.expm1(xp.minimum(rate * value, _LARGEST))


def _log_density(xp: Any, value: Any, concentration: Any, rate: Any) -> Any:
    hazard = xp.log(concentration) + xp.log(rate) + rate * value
    return hazard + _log_survival(xp, value, concentration, rate)


def _log_cdf(xp: Any, value: Any, concentration: Any, rate: Any) -> Any:
    return log1m_exp(xp, _log_survival(xp, value, concentration, rate))


_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_exponential(shape),
    lambda xp, noise, concentration, rate: xp.log1p(noise / concentration) / rate,
)

DISTRIBUTIONS.register(
    Distribution(
        name="gompertz",
        doc="Gompertz lifetime with hazard `concentration * rate * exp(rate * x)`.",
        parameters=(Parameter("concentration", "positive"), Parameter("rate", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"concentration": 0.6, "rate": 1.3},),
        reference=lambda concentration, rate: scipy_stats().gompertz(concentration, scale=1.0 / rate),
    )
)
