"""The binomial distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.constraints.stable import softplus
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, SupportUse
from ppl.distributions.formulas import (
    integers,
    log_choose,
    log_odds,
    on_counts,
    probability,
    scipy_stats,
    x_log1p_y,
    x_log_y,
)


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("integer_interval", (0, parameters["total_count"]))


def _log_density(xp: Any, value: Any, total_count: Any, probs: Any = None, logits: Any = None) -> Any:
    choices = log_choose(xp, total_count, value)
    if logits is not None:
        return choices + value * logits - total_count * softplus(xp, logits)
    return choices + x_log_y(xp, value, probs) + x_log1p_y(xp, total_count - value, -probs)


def _sample(
    rng: np.random.Generator, shape: tuple[int, ...], total_count: Any, probs: Any = None, logits: Any = None
) -> Any:
    return rng.binomial(integers(total_count), probability(probs, logits), shape)


def _log_chance(at_most: bool) -> Callable[..., Any]:
    def log_chance(xp: Any, value: Any, total_count: Any, probs: Any = None, logits: Any = None) -> Any:
        expit = xp.special.expit
        chance, other = (probs, 1.0 - probs) if logits is None else (expit(logits), expit(-logits))
        left = total_count - value
        inside = left > 0
        left, above = xp.where(inside, left, 1.0), xp.where(inside, value + 1.0, 1.0)
        if at_most:
            return xp.where(inside, xp.special.log_betainc(left, above, other, chance), 0.0)
        return xp.where(inside, xp.special.log_betainc(above, left, chance, other), -math.inf)

    return log_chance


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, total_count, probs=None, logits=None: (log_odds(xp, probs, logits),),
    parameters=lambda xp, odds, total_count: {"total_count": total_count, "probs": xp.special.expit(odds)},
    statistics=lambda xp, value, total_count: (1.0 * value,),
    mean_statistics=lambda xp, odds, total_count: (total_count * xp.special.expit(odds),),
    log_normaliser=lambda xp, odds, total_count: total_count * softplus(xp, odds),
    log_base=lambda xp, value, total_count: log_choose(xp, total_count, value),
    fixed=("total_count",),
)

DISTRIBUTIONS.register(
    Distribution(
        name="binomial",
        doc="Number of successes in `total_count` trials, each with probability `probs` or log odds `logits`.",
        parameters=(
            Parameter("total_count", "count"),
            Parameter("probs", "unit_interval"),
            Parameter("logits", instead_of="probs"),
        ),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        exponential=_EXPONENTIAL,
        log_cdf=on_counts(_log_chance(at_most=True), -math.inf),
        log_survival=on_counts(_log_chance(at_most=False), 0.0),
        examples=({"total_count": 7, "probs": 0.3}, {"total_count": 4, "logits": 0.6}),
        reference=lambda total_count, probs=None, logits=None: scipy_stats().binom(
            total_count, probability(probs, logits)
        ),
    )
)
