"""The improper uniform distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    bounds = tuple(parameters[name] for name in ("lower", "upper") if name in parameters)
    if len(bounds) == 2:
        return SupportUse("interval", bounds)
    if "lower" in parameters:
        return SupportUse("greater_than", bounds)
    return SupportUse("less_than", bounds) if bounds else SupportUse("real")


def _sample(rng: np.random.Generator, shape: tuple[int, ...], **bounds: Any) -> Any:
    raise ValueError("`flat` is improper: there is nothing to draw from")


DISTRIBUTIONS.register(
    Distribution(
        name="flat",
        doc="Improper uniform: log density 0 between `lower` and `upper`, either of which may be left out.",
        parameters=(Parameter("lower", optional=True), Parameter("upper", optional=True)),
        support=_support,
        log_density=lambda xp, value, **bounds: 0.0 * value,
        sample=_sample,
        proper=False,
        examples=({}, {"lower": 0.5}, {"upper": 1.5}, {"lower": -0.5, "upper": 2.5}),
    )
)
