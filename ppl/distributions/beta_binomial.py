"""The beta-binomial distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import integers, log_choose, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("integer_interval", (0, parameters["total_count"]))


def _log_density(xp: Any, value: Any, total_count: Any, concentration1: Any, concentration0: Any) -> Any:
    betaln = xp.special.betaln
    posterior = betaln(value + concentration1, total_count - value + concentration0)
    return log_choose(xp, total_count, value) + posterior - betaln(concentration1, concentration0)


def _sample(
    rng: np.random.Generator, shape: tuple[int, ...], total_count: Any, concentration1: Any, concentration0: Any
) -> Any:
    return rng.binomial(integers(total_count), rng.beta(concentration1, concentration0, shape))


DISTRIBUTIONS.register(
    Distribution(
        name="beta_binomial",
        doc="Number of successes in `total_count` trials whose common probability is a beta of `concentration1`, "
        "`concentration0`.",
        parameters=(
            Parameter("total_count", "count"),
            Parameter("concentration1", "positive"),
            Parameter("concentration0", "positive"),
        ),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        examples=({"total_count": 7, "concentration1": 1.6, "concentration0": 2.4},),
        reference=lambda total_count, concentration1, concentration0: scipy_stats().betabinom(
            total_count, concentration1, concentration0
        ),
    )
)
