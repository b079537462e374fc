"""The Laplace distribution."""

from __future__ import annotations

from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_TWO, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return -xp.abs(value - loc) / scale - xp.log(scale) - LOG_TWO


def _log_lower(xp: Any, standard: Any) -> Any:
    """Log of the chance of at most `standard` under location 0 and scale 1."""
    below = xp.minimum(standard, 0.0) - LOG_TWO
    above = xp.log1p(-0.5 * xp.exp(-xp.maximum(standard, 0.0)))
    return xp.where(standard < 0, below, above)


DISTRIBUTIONS.register(
    Distribution(
        name="laplace",
        doc="Laplace with mean `loc` and mean absolute deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=lambda rng, shape, loc, scale: rng.laplace(loc, scale, shape),
        reparameterised="pathwise",
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 1.0 + LOG_TWO + xp.log(scale) + 0.0 * loc,
        log_cdf=lambda xp, value, loc, scale: _log_lower(xp, (value - loc) / scale),
        log_survival=lambda xp, value, loc, scale: _log_lower(xp, (loc - value) / scale),
        examples=({"loc": 0.4, "scale": 1.7},),
        reference=lambda loc, scale: scipy_stats().laplace(loc, scale),
    )
)
