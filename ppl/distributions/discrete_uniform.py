"""The discrete uniform distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import integers, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("integer_interval", (parameters["low"], parameters["high"]))


def _log_density(xp: Any, value: Any, low: Any, high: Any) -> Any:
    inside = (value >= low) & (value <= high)
    return xp.where(inside, 0.0, -np.inf) - xp.log(high - low + 1.0)


def _log_share(xp: Any, number: Any, low: Any, high: Any) -> Any:
    """Of that number of values, cut off at none and at all of them."""
    total = high - low + 1.0
    inside = xp.where(number > 0, xp.minimum(number, total), total)
    return xp.where(number > 0, xp.log(inside) - xp.log(total), -np.inf)


DISTRIBUTIONS.register(
    Distribution(
        name="discrete_uniform",
        doc="A whole number from `low` to `high`, both included, all equally likely.",
        parameters=(Parameter("low", "integer"), Parameter("high", "integer")),
        support=_support,
        log_density=_log_density,
        sample=lambda rng, shape, low, high: rng.integers(integers(low), integers(high) + 1, shape),
        discrete=True,
        entropy=lambda xp, low, high: xp.log(high - low + 1.0),
        log_cdf=lambda xp, value, low, high: _log_share(xp, value - low + 1.0, low, high),
        log_survival=lambda xp, value, low, high: _log_share(xp, high - value, low, high),
        examples=({"low": -1, "high": 3},),
        reference=lambda low, high: scipy_stats().randint(low, high + 1),
    )
)
