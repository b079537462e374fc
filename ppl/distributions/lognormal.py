"""The log-normal distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, on_positive, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    log_value = xp.log(value)
    standard = (log_value - loc) / scale
    return -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI - log_value


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return log_normal_cdf(xp, (xp.log(value) - loc) / scale)


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return log_normal_cdf(xp, (loc - xp.log(value)) / scale)


DISTRIBUTIONS.register(
    Distribution(
        name="lognormal",
        doc="Exponential of a normal with mean `loc` and standard deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=lambda rng, shape, loc, scale: rng.lognormal(loc, scale, shape),
        reparameterised="pathwise",
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 0.5 + HALF_LOG_TWO_PI + xp.log(scale) + loc,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"loc": 0.3, "scale": 0.5},),
        reference=lambda loc, scale: scipy_stats().lognorm(scale, scale=math.exp(loc)),
    )
)
