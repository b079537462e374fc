"""The Pareto distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, SupportUse
from ppl.distributions.formulas import SMALLEST, log1m_exp, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("greater_than", (parameters["scale"],))


def _log_density(xp: Any, value: Any, scale: Any, alpha: Any) -> Any:
    """Minus infinity below `scale`, which may be latent and move past an observed value."""
    inside = xp.where(value >= scale, 0.0, -np.inf)
    return inside + xp.log(alpha) + alpha * xp.log(scale) - (alpha + 1.0) * xp.log(value)


def _log_survival(xp: Any, value: Any, scale: Any, alpha: Any) -> Any:
    return alpha * xp.minimum(xp.log(scale) - _log_positive(xp, value), 0.0)


def _log_cdf(xp: Any, value: Any, scale: Any, alpha: Any) -> Any:
    gap = xp.log(scale) - _log_positive(xp, value)
    above = gap < 0
    return xp.where(above, log1m_exp(xp, alpha * xp.where(above, gap, -1.0)), -np.inf)


def _log_positive(xp: Any, value: Any) -> Any:
    return xp.log(xp.maximum(value, SMALLEST))


DISTRIBUTIONS.register(
    Distribution(
        name="pareto",
        doc="Pareto above `scale` with tail index `alpha`: the chance to exceed x is `(scale / x) ^ alpha`.",
        parameters=(Parameter("scale", "positive"), Parameter("alpha", "positive")),
        support=_support,
        log_density=_log_density,
        sample=lambda rng, shape, scale, alpha: scale * np.exp(rng.standard_exponential(shape) / alpha),
        reparameterised="pathwise",
        entropy=lambda xp, scale, alpha: 1.0 + xp.log(scale) - xp.log(alpha) + 1.0 / alpha,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"scale": 1.3, "alpha": 2.5},),
        reference=lambda scale, alpha: scipy_stats().pareto(alpha, scale=scale),
    )
)
