"""The skew-normal distribution (Azzalini, 1985)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, LOG_TWO, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any, skewness: Any) -> Any:
    standard = (value - loc) / scale
    normal = -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI
    return LOG_TWO + normal + log_normal_cdf(xp, skewness * standard)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], loc: Any, scale: Any, skewness: Any) -> Any:
    length = np.hypot(1.0, skewness)
    standard = (skewness * np.abs(rng.standard_normal(shape)) + rng.standard_normal(shape)) / length
    return loc + scale * standard


DISTRIBUTIONS.register(
    Distribution(
        name="skew_normal",
        doc="Skew-normal with shape `skewness` (0 is the normal) around `loc`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive"), Parameter("skewness")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        reparameterised="pathwise",
        location_scale=("loc", "scale"),
        examples=({"loc": 0.4, "scale": 1.7, "skewness": -2.5},),
        reference=lambda loc, scale, skewness: scipy_stats().skewnorm(skewness, loc, scale),
    )
)
