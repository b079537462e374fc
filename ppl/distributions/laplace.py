"""The Laplace distribution."""

from __future__ import annotations

from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import LOG_TWO, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return -xp.abs(value - loc) / scale - xp.log(scale) - LOG_TWO


def _log_lower(xp: Any, standard: Any) -> Any:
    """Log of the chance of at most `standard` under location 0 and scale 1."""
    below = xp.minimum(standard, 0.0) - LOG_TWO
    above = xp.log1p(-0.5 * xp.exp(-xp.maximum(standard, 0.0)))
    return xp.where(standard < 0, below, above)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, loc, scale: (-1.0 / scale,),
    parameters=lambda xp, slope, loc: {"loc": loc, "scale": -1.0 / slope},
    statistics=lambda xp, value, loc: (xp.abs(value - loc),),
    mean_statistics=lambda xp, slope, loc: (-1.0 / slope,),
    log_normaliser=lambda xp, slope, loc: -xp.log(-slope),
    log_base=lambda xp, value, loc: 0.0 * value - LOG_TWO,
    fixed=("loc",),
)

_NOISE = NoiseForm(lambda rng, shape: rng.laplace(size=shape), lambda xp, noise, loc, scale: loc + scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="laplace",
        doc="Laplace with mean `loc` and mean absolute deviation `scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 1.0 + LOG_TWO + xp.log(scale) + 0.0 * loc,
        exponential=_EXPONENTIAL,
        log_cdf=lambda xp, value, loc, scale: _log_lower(xp, (value - loc) / scale),
        log_survival=lambda xp, value, loc, scale: _log_lower(xp, (loc - value) / scale),
        examples=({"loc": 0.4, "scale": 1.7},),
        reference=lambda loc, scale: scipy_stats().laplace(loc, scale),
    )
)
