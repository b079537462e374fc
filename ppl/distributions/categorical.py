"""The categorical distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, SupportUse
from ppl.distributions.formulas import choose_index, integers, log_probabilities, probabilities, scipy_stats
from ppl.functions.gather import take_last
from ppl.functions.reductions import log_sum_exp
from ppl.functions.vector import log_softmax


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("integer_interval", (0, sizes["k"] - 1))


def _log_density(xp: Any, value: Any, probs: Any = None, logits: Any = None) -> Any:
    if logits is not None:
        return take_last(xp, log_softmax(xp, logits), integers(value))
    return xp.log(take_last(xp, probs, integers(value)))


def _sample(rng: np.random.Generator, shape: tuple[int, ...], probs: Any = None, logits: Any = None) -> Any:
    return choose_index(rng, shape, probabilities(probs, logits))


def _entropy(xp: Any, probs: Any = None, logits: Any = None) -> Any:
    if logits is not None:
        log_probs = log_softmax(xp, logits)
        return -xp.sum(xp.exp(log_probs) * log_probs, axis=-1)
    return -xp.sum(probs * xp.log(probs + (probs == 0)), axis=-1)


def _reference(probs: Any = None, logits: Any = None) -> Any:
    weights = probabilities(probs, logits)
    return scipy_stats().rv_discrete(values=(np.arange(len(weights)), weights))


def _one_hot(xp: Any, value: Any, k: int) -> Any:
    return (1.0 * (np.asarray(value)[..., None] == np.arange(k)),)


_EXPONENTIAL = ExponentialFamily(
    ranks=(1,),
    natural=lambda xp, k, probs=None, logits=None: (log_probabilities(xp, probs, logits),),
    parameters=lambda xp, weights, k: {"probs": xp.exp(log_softmax(xp, weights))},
    statistics=_one_hot,
    mean_statistics=lambda xp, weights, k: (xp.exp(log_softmax(xp, weights)),),
    log_normaliser=lambda xp, weights, k: log_sum_exp(xp, weights, (-1,)),
    log_base=lambda xp, value, k: 0.0 * value,
    fixed=("k",),
)

DISTRIBUTIONS.register(
    Distribution(
        name="categorical",
        doc="An index 0, 1, … with probabilities `probs`, or proportional to `exp(logits)`.",
        parameters=(Parameter("probs", "simplex", "(k)"), Parameter("logits", "real", "(k)", instead_of="probs")),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        examples=({"probs": (0.2, 0.5, 0.3)}, {"logits": (0.4, -1.1, 2.0)}),
        reference=_reference,
    )
)
