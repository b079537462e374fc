"""The multinomial distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, SupportUse
from ppl.distributions.formulas import integers, log_probabilities, probabilities, scipy_stats, x_log_y
from ppl.functions.reductions import log_sum_exp
from ppl.functions.vector import log_softmax


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("composition", (parameters["total_count"],))


def _log_density(xp: Any, value: Any, total_count: Any, probs: Any = None, logits: Any = None) -> Any:
    terms = x_log_y(xp, value, probs) if logits is None else value * log_softmax(xp, logits)
    gammaln = xp.special.gammaln
    return gammaln(total_count + 1.0) + xp.sum(terms - gammaln(value + 1.0), axis=-1)


def _sample(
    rng: np.random.Generator, shape: tuple[int, ...], total_count: Any, probs: Any = None, logits: Any = None
) -> Any:
    return rng.multinomial(integers(total_count), probabilities(probs, logits), shape)


def _parameters(xp: Any, weights: Any, total_count: Any) -> Any:
    return {"total_count": total_count, "probs": xp.exp(log_softmax(xp, weights))}


def _mean_statistics(xp: Any, weights: Any, total_count: Any) -> Any:
    return (np.asarray(total_count)[..., None] * xp.exp(log_softmax(xp, weights)),)


def _log_choices(xp: Any, value: Any, total_count: Any) -> Any:
    gammaln = xp.special.gammaln
    return gammaln(total_count + 1.0) - xp.sum(gammaln(value + 1.0), axis=-1)


_EXPONENTIAL = ExponentialFamily(
    ranks=(1,),
    natural=lambda xp, total_count, probs=None, logits=None: (log_probabilities(xp, probs, logits),),
    parameters=_parameters,
    statistics=lambda xp, value, total_count: (1.0 * value,),
    mean_statistics=_mean_statistics,
    log_normaliser=lambda xp, weights, total_count: total_count * log_sum_exp(xp, weights, (-1,)),
    log_base=_log_choices,
    fixed=("total_count",),
)

DISTRIBUTIONS.register(
    Distribution(
        name="multinomial",
        doc="How often each index comes up in `total_count` draws with probabilities `probs`, or proportional to "
        "`exp(logits)`.",
        parameters=(
            Parameter("total_count", "count"),
            Parameter("probs", "simplex", "(k)"),
            Parameter("logits", "real", "(k)", instead_of="probs"),
        ),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        event="(k)",
        discrete=True,
        exponential=_EXPONENTIAL,
        examples=(
            {"total_count": 5, "probs": (0.2, 0.5, 0.3)},
            {"total_count": 4, "logits": (0.4, -1.1, 0.2)},
        ),
        reference=lambda total_count, probs=None, logits=None: scipy_stats().multinomial(
            total_count, probabilities(probs, logits)
        ),
    )
)
