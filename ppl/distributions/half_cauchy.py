"""The half-Cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, LOG_TWO, on_positive, sampler, scipy_stats


def _log_density(xp: Any, value: Any, scale: Any) -> Any:
    standard = value / scale
    return LOG_TWO - LOG_PI - xp.log(scale) - xp.log1p(standard * standard)


def _log_cdf(xp: Any, value: Any, scale: Any) -> Any:
    return LOG_TWO - LOG_PI + xp.log(xp.arctan2(value, scale))


def _log_survival(xp: Any, value: Any, scale: Any) -> Any:
    return LOG_TWO - LOG_PI + xp.log(xp.arctan2(scale, value))


_NOISE = NoiseForm(lambda rng, shape: abs(rng.standard_cauchy(shape)), lambda xp, noise, scale: scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="half_cauchy",
        doc="Absolute value of a Cauchy with median 0; `scale` is its median.",
        parameters=(Parameter("scale", "positive"),),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, scale: math.log(2.0 * math.pi) + xp.log(scale),
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"scale": 1.3},),
        reference=lambda scale: scipy_stats().halfcauchy(scale=scale),
    )
)
