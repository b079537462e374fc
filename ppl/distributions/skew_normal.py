"""The skew-normal distribution (Azzalini, 1985)."""

from __future__ import annotations

from typing import Any

from ppl.constraints.stable import log_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, LOG_TWO, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any, skewness: Any) -> Any:
    standard = (value - loc) / scale
    normal = -0.5 * standard * standard - xp.log(scale) - HALF_LOG_TWO_PI
    return LOG_TWO + normal + log_normal_cdf(xp, skewness * standard)


def _transform(xp: Any, noise: Any, loc: Any, scale: Any, skewness: Any) -> Any:
    """From two normals, one of which is folded (Henze, 1986)."""
    length = xp.sqrt(1.0 + skewness * skewness)
    return loc + scale * ((skewness / length) * xp.abs(noise[..., 0]) + noise[..., 1] / length)


_NOISE = NoiseForm(lambda rng, shape: rng.standard_normal((*shape, 2)), _transform)


DISTRIBUTIONS.register(
    Distribution(
        name="skew_normal",
        doc="Skew-normal with shape `skewness` (0 is the normal) around `loc`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive"), Parameter("skewness")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        examples=({"loc": 0.4, "scale": 1.7, "skewness": -2.5},),
        reference=lambda loc, scale, skewness: scipy_stats().skewnorm(skewness, loc, scale),
    )
)
