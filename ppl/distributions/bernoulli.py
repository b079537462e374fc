"""The Bernoulli distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.stable import softplus
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import bernoulli_entropy, log_odds, probability, scipy_stats


def _log_density(xp: Any, value: Any, probs: Any = None, logits: Any = None) -> Any:
    if logits is not None:
        return value * logits - softplus(xp, logits)
    return xp.log(value * probs + (1.0 - value) * (1.0 - probs))


def _sample(rng: np.random.Generator, shape: tuple[int, ...], probs: Any = None, logits: Any = None) -> Any:
    return (rng.random(shape) < probability(probs, logits)).astype(np.int64)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, probs=None, logits=None: (log_odds(xp, probs, logits),),
    parameters=lambda xp, odds: {"probs": xp.special.expit(odds)},
    statistics=lambda xp, value: (1.0 * value,),
    mean_statistics=lambda xp, odds: (xp.special.expit(odds),),
    log_normaliser=lambda xp, odds: softplus(xp, odds),
    log_base=lambda xp, value: 0.0 * value,
)

DISTRIBUTIONS.register(
    Distribution(
        name="bernoulli",
        doc="1 with probability `probs`, else 0; or by `logits`, the log odds of 1.",
        parameters=(Parameter("probs", "unit_interval"), Parameter("logits", instead_of="probs")),
        support=fixed_support("boolean"),
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        entropy=bernoulli_entropy,
        exponential=_EXPONENTIAL,
        examples=({"probs": 0.3}, {"logits": 1.2}),
        reference=lambda probs=None, logits=None: scipy_stats().bernoulli(probability(probs, logits)),
    )
)
