"""The ordered probit distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import integers, log_diff_exp, scipy_stats
from ppl.functions.gather import take_last

_BEYOND = 1e100
"""Stands for an infinite cutpoint: the chance beyond it is 0, and so are its derivatives."""


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("integer_interval", (0, sizes["k"]))


def _log_density(xp: Any, value: Any, predictor: Any, cutpoints: Any) -> Any:
    """`log(Phi(upper) - Phi(lower))`, taken on the side of 0 on which both chances are small."""
    end = xp.full((*xp.shape(cutpoints)[:-1], 1), _BEYOND)
    ends = xp.concatenate([-end, cutpoints, end], axis=-1)
    level = integers(value)
    upper = take_last(xp, ends, level + 1) - predictor
    lower = take_last(xp, ends, level) - predictor
    right = upper + lower > 0
    more, less = xp.where(right, -lower, upper), xp.where(right, -upper, lower)
    return log_diff_exp(xp, log_normal_cdf(xp, more), log_normal_cdf(xp, less))


def _sample(rng: np.random.Generator, shape: tuple[int, ...], predictor: Any, cutpoints: Any) -> Any:
    latent = rng.normal(predictor, 1.0, shape)
    return np.sum(latent[..., None] > cutpoints, axis=-1)


def _reference(predictor: float, cutpoints: Any) -> Any:
    below = scipy_stats().norm.cdf(np.asarray(cutpoints) - predictor)
    weights = np.diff(np.concatenate([[0.0], below, [1.0]]))
    return scipy_stats().rv_discrete(values=(np.arange(len(weights)), weights))


DISTRIBUTIONS.register(
    Distribution(
        name="ordered_probit",
        doc="A level 0, 1, …, K: how many of the K `cutpoints` a normal with mean `predictor` and standard deviation 1 "
        "exceeds.",
        parameters=(Parameter("predictor"), Parameter("cutpoints", "ordered", "(k)")),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        examples=({"predictor": 0.4, "cutpoints": (-1.1, 0.2, 1.9)},),
        reference=_reference,
    )
)
