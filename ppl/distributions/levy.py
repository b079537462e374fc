"""The Lévy distribution."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, SupportUse
from ppl.distributions.formulas import EULER, HALF_LOG_TWO_PI, LOG_PI, LOG_TWO, sampler, scipy_stats


def _support(parameters: Mapping[str, Any], sizes: Mapping[str, int]) -> SupportUse:
    return SupportUse("greater_than", (parameters["loc"],))


def _above(formula: Callable[..., Any], outside: float) -> Callable[..., Any]:
    """The formula of `scale / (value - loc)` where the value lies above `loc`, which may be latent; else `outside`."""

    def log_chance(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
        inside = value > loc
        return xp.where(inside, formula(xp, scale / xp.where(inside, value - loc, 1.0), scale), outside)

    return log_chance


def _log_density(xp: Any, ratio: Any, scale: Any) -> Any:
    return 1.5 * xp.log(ratio) - 0.5 * ratio - xp.log(scale) - HALF_LOG_TWO_PI


def _log_cdf(xp: Any, ratio: Any, scale: Any) -> Any:
    return LOG_TWO + log_normal_cdf(xp, -xp.sqrt(ratio))


def _log_survival(xp: Any, ratio: Any, scale: Any) -> Any:
    """By `erf` far out and by `erfc` near `loc`, neither of which cancels there."""
    root = xp.sqrt(0.5 * ratio)
    near, far = xp.log1p(-xp.special.erfc(xp.maximum(root, 1.0))), xp.log(xp.special.erf(xp.minimum(root, 1.0)))
    return xp.where(root < 1.0, far, near)


_NOISE = NoiseForm(
    lambda rng, shape: rng.standard_normal(shape) ** -2.0, lambda xp, noise, loc, scale: loc + scale * noise
)

DISTRIBUTIONS.register(
    Distribution(
        name="levy",
        doc="Lévy above `loc`: `scale` over the square of a standard normal; it has no mean.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=_support,
        log_density=_above(_log_density, -math.inf),
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, loc, scale: 0.5 * (1.0 + 3.0 * EULER + LOG_PI) + 2.0 * LOG_TWO + xp.log(scale) + 0.0 * loc,
        log_cdf=_above(_log_cdf, -math.inf),
        log_survival=_above(_log_survival, 0.0),
        examples=({"loc": 0.4, "scale": 1.3},),
        reference=lambda loc, scale: scipy_stats().levy(loc, scale),
    )
)
