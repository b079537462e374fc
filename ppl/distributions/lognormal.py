"""The log-normal distribution."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions import normal
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, on_positive, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    log_value = xp.log(value)
    standard = (log_value - loc) / scale
    return -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI - log_value


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return log_normal_cdf(xp, (xp.log(value) - loc) / scale)


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return log_normal_cdf(xp, (loc - xp.log(value)) / scale)


def _statistics(xp: Any, value: Any) -> Any:
    return normal.EXPONENTIAL.statistics(xp, xp.log(value))


def _log_base(xp: Any, value: Any) -> Any:
    log_value = xp.log(value)
    return normal.EXPONENTIAL.log_base(xp, log_value) - log_value


_EXPONENTIAL = replace(normal.EXPONENTIAL, statistics=_statistics, log_base=_log_base)

_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_normal(shape), lambda xp, noise, loc, scale: xp.exp(loc + scale * noise)
)


DISTRIBUTIONS.register(
    Distribution(
        name="lognormal",
        doc="Exponential of a normal with mean `loc` and standard deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 0.5 + HALF_LOG_TWO_PI + xp.log(scale) + loc,
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"loc": 0.3, "scale": 0.5},),
        reference=lambda loc, scale: scipy_stats().lognorm(scale, scale=math.exp(loc)),
    )
)
