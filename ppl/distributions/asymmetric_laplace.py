"""The asymmetric Laplace distribution."""

from __future__ import annotations

from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import SMALLEST, log1m_exp, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any, asymmetry: Any) -> Any:
    away = (value - loc) / scale
    fall = xp.where(away < 0, away / asymmetry, -away * asymmetry)
    return fall - xp.log(scale) - xp.log(asymmetry + 1.0 / asymmetry)


def _log_side(xp: Any, away: Any, fall: Any) -> Any:
    """Log chance of the side on which `away` is negative, beyond a distance; `fall` squared is its odds."""
    share = 2.0 * xp.log(fall) - xp.log1p(fall * fall)
    inner = log1m_exp(xp, -xp.log1p(fall * fall) - xp.maximum(away, 0.0) * fall)
    return xp.where(away < 0, share + away / fall, inner)


def _transform(xp: Any, noise: Any, loc: Any, scale: Any, asymmetry: Any) -> Any:
    """The quantile at the chance `noise`."""
    share = asymmetry * asymmetry / (1.0 + asymmetry * asymmetry)
    left = asymmetry * xp.log(xp.minimum(noise / share, 1.0))
    right = xp.log(xp.minimum((1.0 - noise) / (1.0 - share), 1.0)) / asymmetry
    return loc + scale * (left - right)


_NOISE = NoiseForm(lambda rng, shape: rng.uniform(SMALLEST, 1.0, shape), _transform)

DISTRIBUTIONS.register(
    Distribution(
        name="asymmetric_laplace",
        doc="Two exponentials back to back at `loc`, of scale `scale * asymmetry` below and `scale / asymmetry` above.",
        parameters=(Parameter("loc"), Parameter("scale", "positive"), Parameter("asymmetry", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale, asymmetry: 1.0 + xp.log(scale) + xp.log(asymmetry + 1.0 / asymmetry) + 0.0 * loc,
        log_cdf=lambda xp, value, loc, scale, asymmetry: _log_side(xp, (value - loc) / scale, asymmetry),
        log_survival=lambda xp, value, loc, scale, asymmetry: _log_side(xp, (loc - value) / scale, 1.0 / asymmetry),
        examples=({"loc": 0.4, "scale": 1.3, "asymmetry": 0.7},),
        reference=lambda loc, scale, asymmetry: scipy_stats().laplace_asymmetric(asymmetry, loc, scale),
    )
)
