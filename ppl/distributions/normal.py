"""The normal distribution."""

from __future__ import annotations

from typing import Any

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI


def _entropy(xp: Any, loc: Any, scale: Any) -> Any:
    return 0.5 + HALF_LOG_TWO_PI + xp.log(scale) + 0.0 * loc


def _natural(xp: Any, loc: Any, scale: Any) -> Any:
    precision = 1.0 / (scale * scale)
    return loc * precision, -0.5 * precision


def _parameters(xp: Any, linear: Any, square: Any) -> Any:
    variance = -0.5 / square
    return {"loc": linear * variance, "scale": xp.sqrt(variance)}


def _mean_statistics(xp: Any, linear: Any, square: Any) -> Any:
    variance = -0.5 / square
    mean = linear * variance
    return mean, mean * mean + variance


EXPONENTIAL = ExponentialFamily(
    ranks=(0, 0),
    natural=_natural,
    parameters=_parameters,
    statistics=lambda xp, value: (value, value * value),
    mean_statistics=_mean_statistics,
    log_normaliser=lambda xp, linear, square: -0.25 * linear * linear / square - 0.5 * xp.log(-2.0 * square),
    log_base=lambda xp, value: 0.0 * value - HALF_LOG_TWO_PI,
)

_NOISE = NoiseForm(lambda rng, shape: rng.standard_normal(shape), lambda xp, noise, loc, scale: loc + scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="normal",
        doc="Normal with mean `loc` and standard deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=_entropy,
        exponential=EXPONENTIAL,
        log_cdf=lambda xp, value, loc, scale: log_normal_cdf(xp, (value - loc) / scale),
        log_survival=lambda xp, value, loc, scale: log_normal_cdf(xp, (loc - value) / scale),
        examples=({"loc": 0.7, "scale": 2.3},),
        reference=lambda loc, scale: scipy_stats().norm(loc, scale),
    )
)
