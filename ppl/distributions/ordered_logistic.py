"""The ordered logistic distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.constraints.stable import log_expit
from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import column, integers, scipy_stats
from ppl.functions.gather import take_last


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("integer_interval", (0, sizes["k"]))


def _log_density(xp: Any, value: Any, predictor: Any, cutpoints: Any) -> Any:
    """`log(expit(upper) - expit(lower))`, written as a product so that nothing cancels in the tails."""
    ends, level = _ends(xp, cutpoints), integers(value)
    return _log_between(xp, take_last(xp, ends, level) - predictor, take_last(xp, ends, level + 1) - predictor)


def _ends(xp: Any, cutpoints: Any) -> Any:
    end = xp.full((*xp.shape(cutpoints)[:-1], 1), np.inf)
    return xp.concatenate([-end, cutpoints, end], axis=-1)


def _log_between(xp: Any, lower: Any, upper: Any) -> Any:
    return log_expit(xp, upper) + log_expit(xp, -lower) + xp.log(-xp.expm1(lower - upper))


def _entropy(xp: Any, predictor: Any, cutpoints: Any) -> Any:
    ends = _ends(xp, cutpoints) - column(xp, predictor)
    log_chance = _log_between(xp, ends[..., :-1], ends[..., 1:])
    return -xp.sum(xp.exp(log_chance) * log_chance, axis=-1)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], predictor: Any, cutpoints: Any) -> Any:
    latent = rng.logistic(predictor, 1.0, shape)
    return np.sum(latent[..., None] > cutpoints, axis=-1)


def _reference(predictor: float, cutpoints: Any) -> Any:
    below = scipy_stats().logistic.cdf(np.asarray(cutpoints) - predictor)
    weights = np.diff(np.concatenate([[0.0], below, [1.0]]))
    return scipy_stats().rv_discrete(values=(np.arange(len(weights)), weights))


DISTRIBUTIONS.register(
    Distribution(
        name="ordered_logistic",
        doc="A level 0, 1, …, K: how many of the K `cutpoints` a logistic around `predictor` exceeds.",
        parameters=(Parameter("predictor"), Parameter("cutpoints", "ordered", "(k)")),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        entropy=_entropy,
        examples=({"predictor": 0.4, "cutpoints": (-1.1, 0.2, 1.9)},),
        reference=_reference,
    )
)
