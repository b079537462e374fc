"""The logistic distribution."""

from __future__ import annotations

from typing import Any

from ppl.constraints.stable import log_expit, log_expit_slope
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return log_expit_slope(xp, (value - loc) / scale) - xp.log(scale)


_NOISE = NoiseForm(lambda rng, shape: rng.logistic(size=shape), lambda xp, noise, loc, scale: loc + scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="logistic",
        doc="Logistic with mean `loc` and standard deviation `scale * pi / sqrt(3)`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 2.0 + xp.log(scale) + 0.0 * loc,
        log_cdf=lambda xp, value, loc, scale: log_expit(xp, (value - loc) / scale),
        log_survival=lambda xp, value, loc, scale: log_expit(xp, (loc - value) / scale),
        examples=({"loc": 0.4, "scale": 1.7},),
        reference=lambda loc, scale: scipy_stats().logistic(loc, scale),
    )
)
