"""The Dirichlet-multinomial distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import integers, log_gamma_draw, probabilities, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("composition", (parameters["total_count"],))


def _log_density(xp: Any, value: Any, total_count: Any, concentration: Any) -> Any:
    gammaln = xp.special.gammaln
    total = xp.sum(concentration, axis=-1)
    each = gammaln(value + concentration) - gammaln(concentration) - gammaln(value + 1.0)
    return gammaln(total) + gammaln(total_count + 1.0) - gammaln(total_count + total) + xp.sum(each, axis=-1)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], total_count: Any, concentration: Any) -> Any:
    logits = log_gamma_draw(rng, (*shape, np.shape(concentration)[-1]), concentration)
    return rng.multinomial(integers(total_count), probabilities(None, logits), shape)


DISTRIBUTIONS.register(
    Distribution(
        name="dirichlet_multinomial",
        doc="How often each index comes up in `total_count` draws whose probabilities are one draw of a Dirichlet.",
        parameters=(Parameter("total_count", "count"), Parameter("concentration", "positive", "(k)")),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        event="(k)",
        discrete=True,
        examples=({"total_count": 5, "concentration": (1.3, 0.8, 2.4)},),
        reference=lambda total_count, concentration: scipy_stats().dirichlet_multinomial(concentration, total_count),
    )
)
