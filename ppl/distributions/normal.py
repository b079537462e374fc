"""The normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, scale: Any) -> Any:
    return rng.normal(loc, scale, shape)


def _entropy(xp: Any, loc: Any, scale: Any) -> Any:
    return 0.5 + HALF_LOG_TWO_PI + xp.log(scale) + 0.0 * loc


DISTRIBUTIONS.register(
    Distribution(
        name="normal",
        doc="Normal with mean `loc` and standard deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        reparameterised="pathwise",
        location_scale=("loc", "scale"),
        entropy=_entropy,
        log_cdf=lambda xp, value, loc, scale: log_normal_cdf(xp, (value - loc) / scale),
        log_survival=lambda xp, value, loc, scale: log_normal_cdf(xp, (loc - value) / scale),
        examples=({"loc": 0.7, "scale": 2.3},),
        reference=lambda loc, scale: scipy_stats().norm(loc, scale),
    )
)
