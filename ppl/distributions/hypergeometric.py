"""The hypergeometric distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import integers, log_choose, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    """What the density leaves of it (at most `successes`, at least `draws - failures`) depends on three counts."""
    return SupportUse("integer_interval", (0, parameters["draws"]))


def _log_density(xp: Any, value: Any, population: Any, successes: Any, draws: Any) -> Any:
    return (
        log_choose(xp, successes, value)
        + log_choose(xp, population - successes, draws - value)
        - log_choose(xp, population, draws)
    )


def _sample(rng: np.random.Generator, shape: tuple[int, ...], population: Any, successes: Any, draws: Any) -> Any:
    good = integers(successes)
    return rng.hypergeometric(good, integers(population) - good, integers(draws), shape)


DISTRIBUTIONS.register(
    Distribution(
        name="hypergeometric",
        doc="Successes among `draws` items taken without replacement from `population`, of which `successes` are.",
        parameters=(Parameter("population", "count"), Parameter("successes", "count"), Parameter("draws", "count")),
        support=_support,
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        examples=({"population": 12, "successes": 5, "draws": 6},),
        reference=lambda population, successes, draws: scipy_stats().hypergeom(population, successes, draws),
    )
)
