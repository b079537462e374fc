"""The generalized Pareto distribution of exceedances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.constraints.stable import power, power_inverse
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import log1m_exp, sampler, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("exceedance_range", (parameters["loc"], parameters["scale"], parameters["concentration"]))


def _exponential(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> tuple[Any, Any]:
    """Whether the value lies in the range, and the standard exponential it is made of (1 outside)."""
    standard = (value - loc) / scale
    inside = (standard >= 0) & (1.0 + concentration * standard > 0)
    return inside, power_inverse(xp, xp.where(inside, standard, power(xp, 1.0, concentration)), concentration)


def _log_density(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> Any:
    """Minus infinity outside the range, which may be latent and move past an observed value."""
    inside, steps = _exponential(xp, value, loc, scale, concentration)
    return xp.where(inside, -(1.0 + concentration) * steps - xp.log(scale), -np.inf)


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> Any:
    inside, steps = _exponential(xp, value, loc, scale, concentration)
    positive = steps > 0
    found = log1m_exp(xp, -xp.where(positive, steps, 1.0))
    return xp.where(inside & positive, found, xp.where(value > loc, 0.0, -np.inf))


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> Any:
    inside, steps = _exponential(xp, value, loc, scale, concentration)
    return xp.where(inside, -steps, xp.where(value > loc, -np.inf, 0.0))


_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_exponential(shape),
    lambda xp, noise, loc, scale, concentration: loc + scale * power(xp, noise, concentration),
)

DISTRIBUTIONS.register(
    Distribution(
        name="generalized_pareto",
        doc="Generalized Pareto from `loc` on; `concentration` 0 is the exponential, above 0 has a heavy tail, below 0 "
        "an upper end.",
        parameters=(Parameter("loc"), Parameter("scale", "positive"), Parameter("concentration")),
        support=_support,
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, loc, scale, concentration: xp.log(scale) + concentration + 1.0 + 0.0 * loc,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=(
            {"loc": 0.4, "scale": 1.3, "concentration": 0.2},
            {"loc": 0.4, "scale": 1.3, "concentration": -0.3},
            {"loc": 0.4, "scale": 1.3, "concentration": 0.0},
        ),
        reference=lambda loc, scale, concentration: scipy_stats().genpareto(concentration, loc, scale),
    )
)
