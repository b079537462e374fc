"""The Cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return -LOG_PI - xp.log(scale) - xp.log1p(standard * standard)


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return xp.log(xp.arctan2(scale, loc - value)) - LOG_PI


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return xp.log(xp.arctan2(scale, value - loc)) - LOG_PI


_NOISE = NoiseForm(lambda rng, shape: rng.standard_cauchy(shape), lambda xp, noise, loc, scale: loc + scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="cauchy",
        doc="Cauchy with median `loc` and half width at half height `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: math.log(4.0 * math.pi) + xp.log(scale) + 0.0 * loc,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"loc": -0.4, "scale": 1.3},),
        reference=lambda loc, scale: scipy_stats().cauchy(loc, scale),
    )
)
