"""The gamma distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import SMALLEST, on_positive, scipy_stats
from ppl.distributions.implicit import gamma_slope


def log_density(xp: Any, value: Any, concentration: Any, rate: Any) -> Any:
    return (
        concentration * xp.log(rate)
        + (concentration - 1.0) * xp.log(value)
        - rate * value
        - xp.special.gammaln(concentration)
    )


def sample(rng: np.random.Generator, shape: tuple[int, ...], concentration: Any, rate: Any) -> Any:
    return np.maximum(rng.standard_gamma(concentration, shape) / rate, SMALLEST)


def entropy(xp: Any, concentration: Any, rate: Any) -> Any:
    tail = (1.0 - concentration) * xp.special.digamma(concentration)
    return concentration - xp.log(rate) + xp.special.gammaln(concentration) + tail


def _log_cdf(xp: Any, value: Any, concentration: Any, rate: Any) -> Any:
    return xp.special.log_gammainc(concentration, rate * value)


def _log_survival(xp: Any, value: Any, concentration: Any, rate: Any) -> Any:
    return xp.special.log_gammaincc(concentration, rate * value)


log_cdf = on_positive(_log_cdf, -math.inf)
log_survival = on_positive(_log_survival, 0.0)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0, 0),
    natural=lambda xp, concentration, rate: (concentration - 1.0, -rate),
    parameters=lambda xp, power, slope: {"concentration": power + 1.0, "rate": -slope},
    statistics=lambda xp, value: (xp.log(value), value),
    mean_statistics=lambda xp, power, slope: (xp.special.digamma(power + 1.0) - xp.log(-slope), -(power + 1.0) / slope),
    log_normaliser=lambda xp, power, slope: xp.special.gammaln(power + 1.0) - (power + 1.0) * xp.log(-slope),
    log_base=lambda xp, value: 0.0 * value,
)


def implicit(value: Any, cotangent: Any, concentration: Any, rate: Any) -> dict[str, Any]:
    growth = cotangent * value
    return {"concentration": growth * gamma_slope(concentration, rate * value), "rate": -growth / rate}


DISTRIBUTIONS.register(
    Distribution(
        name="gamma",
        doc="Gamma with mean `concentration / rate`.",
        parameters=(Parameter("concentration", "positive"), Parameter("rate", "positive")),
        support=fixed_support("positive"),
        log_density=log_density,
        sample=sample,
        implicit=implicit,
        entropy=entropy,
        exponential=_EXPONENTIAL,
        log_cdf=log_cdf,
        log_survival=log_survival,
        examples=({"concentration": 2.4, "rate": 1.6}, {"concentration": 1.3, "rate": 0.2}),
        reference=lambda concentration, rate: scipy_stats().gamma(concentration, scale=1.0 / rate),
    )
)
