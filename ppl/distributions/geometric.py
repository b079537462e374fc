"""The geometric distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.constraints.scalar import BELOW_ONE
from ppl.constraints.stable import log_expit, softplus
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import bernoulli_entropy, log1m_exp, on_counts, probability, scipy_stats, x_log1p_y


def _log_density(xp: Any, value: Any, probs: Any = None, logits: Any = None) -> Any:
    if logits is not None:
        return log_expit(xp, logits) - value * softplus(xp, logits)
    return xp.log(probs) + x_log1p_y(xp, value, -probs)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], probs: Any = None, logits: Any = None) -> Any:
    return rng.geometric(probability(probs, logits), shape) - 1


def _entropy(xp: Any, probs: Any = None, logits: Any = None) -> Any:
    chance = probs if logits is None else xp.special.expit(logits)
    return bernoulli_entropy(xp, probs, logits) / chance


def _log_survival(xp: Any, value: Any, probs: Any = None, logits: Any = None) -> Any:
    return (value + 1.0) * (xp.log1p(-probs) if logits is None else -softplus(xp, logits))


def _log_cdf(xp: Any, value: Any, probs: Any = None, logits: Any = None) -> Any:
    return log1m_exp(xp, _log_survival(xp, value, probs, logits))


def _log_failure(xp: Any, probs: Any = None, logits: Any = None) -> Any:
    return (xp.log1p(-xp.minimum(probs, BELOW_ONE)) if logits is None else -softplus(xp, logits),)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=_log_failure,
    parameters=lambda xp, log_failure: {"probs": -xp.expm1(log_failure)},
    statistics=lambda xp, value: (1.0 * value,),
    mean_statistics=lambda xp, log_failure: (-xp.exp(log_failure) / xp.expm1(log_failure),),
    log_normaliser=lambda xp, log_failure: -log1m_exp(xp, log_failure),
    log_base=lambda xp, value: 0.0 * value,
)

DISTRIBUTIONS.register(
    Distribution(
        name="geometric",
        doc="Number of failures before the first success, of probability `probs` or log odds `logits`.",
        parameters=(Parameter("probs", "unit_interval"), Parameter("logits", instead_of="probs")),
        support=fixed_support("count"),
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        log_cdf=on_counts(_log_cdf, -math.inf),
        log_survival=on_counts(_log_survival, 0.0),
        examples=({"probs": 0.3}, {"logits": 0.4}),
        reference=lambda probs=None, logits=None: scipy_stats().geom(probability(probs, logits), loc=-1),
    )
)
