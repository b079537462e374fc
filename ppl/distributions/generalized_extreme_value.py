"""The generalized extreme value distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.constraints.stable import power, power_inverse
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import EULER, log1m_exp, sampler, scipy_stats

_FAR = 30.0


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("extreme_range", (parameters["loc"], parameters["scale"], parameters["concentration"]))


def _gumbel(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> tuple[Any, Any]:
    """Whether the value lies in the range, and the standard Gumbel it is made of (0 outside)."""
    standard = (value - loc) / scale
    inside = 1.0 + concentration * standard > 0
    return inside, power_inverse(xp, xp.where(inside, standard, 0.0), concentration)


def _log_density(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> Any:
    """Minus infinity outside the range, which may be latent and move past an observed value."""
    inside, gumbel = _gumbel(xp, value, loc, scale, concentration)
    return xp.where(inside, -(1.0 + concentration) * gumbel - xp.exp(-gumbel) - xp.log(scale), -np.inf)


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> Any:
    inside, gumbel = _gumbel(xp, value, loc, scale, concentration)
    return xp.where(inside, -xp.exp(-gumbel), xp.where(concentration > 0, -np.inf, 0.0))


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any, concentration: Any) -> Any:
    inside, gumbel = _gumbel(xp, value, loc, scale, concentration)
    near = log1m_exp(xp, -xp.exp(-xp.minimum(gumbel, _FAR)))
    found = xp.where(gumbel < _FAR, near, -gumbel - 0.5 * xp.exp(-xp.maximum(gumbel, _FAR)))
    return xp.where(inside, found, xp.where(concentration > 0, 0.0, -np.inf))


_NOISE = NoiseForm(
    lambda rng, shape: rng.gumbel(size=shape),
    lambda xp, noise, loc, scale, concentration: loc + scale * power(xp, noise, concentration),
)

DISTRIBUTIONS.register(
    Distribution(
        name="generalized_extreme_value",
        doc="Generalized extreme value (of maxima); `concentration` 0 is the Gumbel, above 0 has a heavy right tail, "
        "below 0 an upper end.",
        parameters=(Parameter("loc"), Parameter("scale", "positive"), Parameter("concentration")),
        support=_support,
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, loc, scale, concentration: xp.log(scale) + EULER * concentration + EULER + 1.0 + 0.0 * loc,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=(
            {"loc": 0.4, "scale": 1.3, "concentration": 0.2},
            {"loc": 0.4, "scale": 1.3, "concentration": -0.3},
            {"loc": 0.4, "scale": 1.3, "concentration": 0.0},
        ),
        reference=lambda loc, scale, concentration: scipy_stats().genextreme(-concentration, loc, scale),
    )
)
