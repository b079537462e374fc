"""The Pareto distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import log1m_exp, log_positive, sampler, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("greater_than", (parameters["scale"],))


def _log_density(xp: Any, value: Any, scale: Any, alpha: Any) -> Any:
    """Minus infinity below `scale`, which may be latent and move past an observed value."""
    inside = xp.where(value >= scale, 0.0, -np.inf)
    return inside + xp.log(alpha) + alpha * xp.log(scale) - (alpha + 1.0) * xp.log(value)


def _log_survival(xp: Any, value: Any, scale: Any, alpha: Any) -> Any:
    return alpha * xp.minimum(xp.log(scale) - log_positive(xp, value), 0.0)


def _log_cdf(xp: Any, value: Any, scale: Any, alpha: Any) -> Any:
    gap = xp.log(scale) - log_positive(xp, value)
    above = gap < 0
    return xp.where(above, log1m_exp(xp, alpha * xp.where(above, gap, -1.0)), -np.inf)


def _log_base(xp: Any, value: Any, scale: Any) -> Any:
    return xp.where(value >= scale, 0.0, -np.inf) - xp.log(scale)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, scale, alpha: (-alpha - 1.0,),
    parameters=lambda xp, power, scale: {"scale": scale, "alpha": -power - 1.0},
    statistics=lambda xp, value, scale: (xp.log(value) - xp.log(scale),),
    mean_statistics=lambda xp, power, scale: (-1.0 / (power + 1.0),),
    log_normaliser=lambda xp, power, scale: -xp.log(-power - 1.0),
    log_base=_log_base,
    fixed=("scale",),
)

_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_exponential(shape), lambda xp, noise, scale, alpha: scale * xp.exp(noise / alpha)
)


DISTRIBUTIONS.register(
    Distribution(
        name="pareto",
        doc="Pareto above `scale` with tail index `alpha`: the chance to exceed x is `(scale / x) ^ alpha`.",
        parameters=(Parameter("scale", "positive"), Parameter("alpha", "positive")),
        support=_support,
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, scale, alpha: 1.0 + xp.log(scale) - xp.log(alpha) + 1.0 / alpha,
        exponential=_EXPONENTIAL,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"scale": 1.3, "alpha": 2.5},),
        reference=lambda scale, alpha: scipy_stats().pareto(alpha, scale=scale),
    )
)
