"""The negative binomial distribution, by its mean and by the probability of a success."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ppl.constraints.stable import log_expit, softplus
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import log1m_exp, log_positive, on_counts, probability, scipy_stats, x_log_y


def _log_coefficient(xp: Any, value: Any, size: Any) -> Any:
    gammaln = xp.special.gammaln
    return gammaln(value + size) - gammaln(size) - gammaln(value + 1.0)


def _log_density(xp: Any, value: Any, concentration: Any, mean: Any = None, log_mean: Any = None) -> Any:
    log_odds = (xp.log(mean) if log_mean is None else log_mean) - xp.log(concentration)
    kernel = value * log_expit(xp, log_odds) - concentration * softplus(xp, log_odds)
    return _log_coefficient(xp, value, concentration) + kernel


def _sample(
    rng: np.random.Generator, shape: tuple[int, ...], concentration: Any, mean: Any = None, log_mean: Any = None
) -> Any:
    centre = np.exp(log_mean) if mean is None else mean
    return rng.poisson(rng.standard_gamma(concentration, shape) * (centre / concentration))


def _log_chance(at_most: bool) -> Callable[..., Any]:
    def log_chance(xp: Any, value: Any, concentration: Any, mean: Any = None, log_mean: Any = None) -> Any:
        log_odds = (xp.log(mean) if log_mean is None else log_mean) - xp.log(concentration)
        return _log_tail(xp, value, concentration, log_odds, at_most)

    return log_chance


def _log_tail(xp: Any, value: Any, size: Any, log_odds: Any, at_most: bool) -> Any:
    """Log chance of at most, or more than, `value` successes of these log odds before failure number `size`."""
    chance, other = xp.special.expit(log_odds), xp.special.expit(-log_odds)
    if at_most:
        return xp.special.log_betainc(size, value + 1.0, other, chance)
    return xp.special.log_betainc(value + 1.0, size, chance, other)


def _reference(concentration: float, mean: Any = None, log_mean: Any = None) -> Any:
    centre = np.exp(log_mean) if mean is None else mean
    return scipy_stats().nbinom(concentration, concentration / (concentration + centre))


def _natural(xp: Any, concentration: Any, mean: Any = None, log_mean: Any = None) -> Any:
    return (log_expit(xp, (xp.log(mean) if log_mean is None else log_mean) - xp.log(concentration)),)


def _odds(xp: Any, log_probs: Any) -> Any:
    return -xp.exp(log_probs) / xp.expm1(log_probs)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=_natural,
    parameters=lambda xp, log_probs, concentration: {
        "mean": concentration * _odds(xp, log_probs),
        "concentration": concentration,
    },
    statistics=lambda xp, value, concentration: (1.0 * value,),
    mean_statistics=lambda xp, log_probs, concentration: (concentration * _odds(xp, log_probs),),
    log_normaliser=lambda xp, log_probs, concentration: -concentration * log1m_exp(xp, log_probs),
    log_base=lambda xp, value, concentration: _log_coefficient(xp, value, concentration),
    fixed=("concentration",),
)

DISTRIBUTIONS.register(
    Distribution(
        name="negative_binomial",
        doc="A count with mean `mean` (or `exp(log_mean)`) and variance `mean + mean^2 / concentration`.",
        parameters=(
            Parameter("mean", "positive"),
            Parameter("concentration", "positive"),
            Parameter("log_mean", instead_of="mean"),
        ),
        support=fixed_support("count"),
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        exponential=_EXPONENTIAL,
        log_cdf=on_counts(_log_chance(at_most=True), -math.inf),
        log_survival=on_counts(_log_chance(at_most=False), 0.0),
        examples=({"mean": 3.4, "concentration": 2.2}, {"concentration": 4.5, "log_mean": 0.7}),
        reference=_reference,
    )
)


def _probs_log_density(xp: Any, value: Any, total_count: Any, probs: Any = None, logits: Any = None) -> Any:
    if logits is not None:
        kernel = value * log_expit(xp, logits) - total_count * softplus(xp, logits)
    else:
        kernel = x_log_y(xp, value, probs) + total_count * xp.log1p(-probs)
    return _log_coefficient(xp, value, total_count) + kernel


def _probs_log_chance(at_most: bool) -> Callable[..., Any]:
    def log_chance(xp: Any, value: Any, total_count: Any, probs: Any = None, logits: Any = None) -> Any:
        log_odds = xp.log(probs) - xp.log1p(-probs) if logits is None else logits
        return _log_tail(xp, value, total_count, log_odds, at_most)

    return log_chance


def _probs_sample(
    rng: np.random.Generator, shape: tuple[int, ...], total_count: Any, probs: Any = None, logits: Any = None
) -> Any:
    chance = probability(probs, logits)
    return rng.poisson(rng.standard_gamma(total_count, shape) * (chance / (1.0 - chance)))


_PROBS_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, total_count, probs=None, logits=None: (
        log_expit(xp, logits) if probs is None else log_positive(xp, probs),
    ),
    parameters=lambda xp, log_probs, total_count: {"total_count": total_count, "probs": xp.exp(log_probs)},
    statistics=lambda xp, value, total_count: (1.0 * value,),
    mean_statistics=lambda xp, log_probs, total_count: (total_count * _odds(xp, log_probs),),
    log_normaliser=lambda xp, log_probs, total_count: -total_count * log1m_exp(xp, log_probs),
    log_base=lambda xp, value, total_count: _log_coefficient(xp, value, total_count),
    fixed=("total_count",),
)

DISTRIBUTIONS.register(
    Distribution(
        name="negative_binomial_probs",
        doc="Number of successes, of probability `probs` or log odds `logits`, before failure number `total_count`.",
        parameters=(
            Parameter("total_count", "positive"),
            Parameter("probs", "unit_interval"),
            Parameter("logits", instead_of="probs"),
        ),
        support=fixed_support("count"),
        log_density=_probs_log_density,
        sample=_probs_sample,
        discrete=True,
        exponential=_PROBS_EXPONENTIAL,
        log_cdf=on_counts(_probs_log_chance(at_most=True), -math.inf),
        log_survival=on_counts(_probs_log_chance(at_most=False), 0.0),
        examples=({"total_count": 2.5, "probs": 0.6}, {"total_count": 2.5, "logits": -0.3}),
        reference=lambda total_count, probs=None, logits=None: scipy_stats().nbinom(
            total_count, 1.0 - probability(probs, logits)
        ),
    )
)
