"""The Rice distribution."""

from __future__ import annotations

from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, sampler, scipy_stats

_FAR = 1e4


def _log_bessel(xp: Any, x: Any) -> Any:
    """Log of the modified Bessel function I0, less `x`; by its asymptotic series far out."""
    near, far = xp.minimum(x, _FAR), xp.maximum(x, _FAR)
    series = xp.log1p((1.0 + 9.0 / (16.0 * far)) / (8.0 * far)) - 0.5 * xp.log(far) - HALF_LOG_TWO_PI
    return xp.where(x < _FAR, xp.log(xp.special.ive(0.0, near)), series)


def _log_density(xp: Any, value: Any, nu: Any, scale: Any) -> Any:
    standard, centre = value / scale, nu / scale
    fall = -0.5 * xp.square(standard - centre)
    return fall + _log_bessel(xp, standard * centre) + xp.log(standard) - xp.log(scale)


def _transform(xp: Any, noise: Any, nu: Any, scale: Any) -> Any:
    return xp.sqrt(xp.square(nu + scale * noise[..., 0]) + xp.square(scale * noise[..., 1]))


_NOISE = NoiseForm(lambda rng, shape: rng.standard_normal((*shape, 2)), _transform)

DISTRIBUTIONS.register(
    Distribution(
        name="rice",
        doc="Distance from the origin of a point in the plane at distance `nu` with normal errors of standard "
        "deviation `scale` in each coordinate.",
        parameters=(Parameter("nu", "nonnegative"), Parameter("scale", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        examples=({"nu": 2.1, "scale": 1.3},),
        reference=lambda nu, scale: scipy_stats().rice(nu / scale, scale=scale),
    )
)
