"""The Poisson distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import on_counts, scipy_stats, x_log_y


def _log_density(xp: Any, value: Any, rate: Any = None, log_rate: Any = None) -> Any:
    if log_rate is None:
        return x_log_y(xp, value, rate) - rate - xp.special.gammaln(value + 1.0)
    return value * log_rate - xp.exp(log_rate) - xp.special.gammaln(value + 1.0)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], rate: Any = None, log_rate: Any = None) -> Any:
    return rng.poisson(np.exp(log_rate) if rate is None else rate, shape)


def _log_cdf(xp: Any, value: Any, rate: Any = None, log_rate: Any = None) -> Any:
    return xp.special.log_gammaincc(value + 1.0, xp.exp(log_rate) if rate is None else rate)


def _log_survival(xp: Any, value: Any, rate: Any = None, log_rate: Any = None) -> Any:
    return xp.special.log_gammainc(value + 1.0, xp.exp(log_rate) if rate is None else rate)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, rate=None, log_rate=None: (xp.log(rate) if log_rate is None else log_rate,),
    parameters=lambda xp, log_rate: {"rate": xp.exp(log_rate)},
    statistics=lambda xp, value: (1.0 * value,),
    mean_statistics=lambda xp, log_rate: (xp.exp(log_rate),),
    log_normaliser=lambda xp, log_rate: xp.exp(log_rate),
    log_base=lambda xp, value: -xp.special.gammaln(value + 1.0),
)

DISTRIBUTIONS.register(
    Distribution(
        name="poisson",
        doc="A count with mean `rate`, or `exp(log_rate)`.",
        parameters=(Parameter("rate", "positive"), Parameter("log_rate", instead_of="rate")),
        support=fixed_support("count"),
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        exponential=_EXPONENTIAL,
        log_cdf=on_counts(_log_cdf, -math.inf),
        log_survival=on_counts(_log_survival, 0.0),
        examples=({"rate": 2.7}, {"log_rate": -0.4}),
        reference=lambda rate=None, log_rate=None: scipy_stats().poisson(math.exp(log_rate) if rate is None else rate),
    )
)
