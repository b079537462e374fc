"""The beta distribution by its mean."""

from __future__ import annotations

from typing import Any

from ppl.distributions import beta as _registered  # noqa: F401
from ppl.distributions.base import DISTRIBUTIONS, Parameter
from ppl.distributions.combinators import rewritten
from ppl.distributions.formulas import scipy_stats


def _shapes(mean: Any, concentration: Any) -> dict[str, Any]:
    return {"concentration1": mean * concentration, "concentration0": (1.0 - mean) * concentration}


def _slopes(found: dict[str, Any], mean: Any, concentration: Any) -> dict[str, Any]:
    one, zero = found["concentration1"], found["concentration0"]
    return {"mean": concentration * (one - zero), "concentration": mean * one + (1.0 - mean) * zero}


DISTRIBUTIONS.register(
    rewritten(
        DISTRIBUTIONS["beta"],
        _shapes,
        _slopes,
        name="beta_proportion",
        doc="Beta with mean `mean` and variance `mean * (1 - mean) / (1 + concentration)`.",
        parameters=(Parameter("mean", "unit_interval"), Parameter("concentration", "positive")),
        examples=({"mean": 0.6, "concentration": 3.9},),
        reference=lambda mean, concentration: scipy_stats().beta(mean * concentration, (1.0 - mean) * concentration),
    )
)
