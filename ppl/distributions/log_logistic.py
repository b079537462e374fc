"""The log-logistic distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.constraints.stable import log_expit, log_expit_slope
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import on_positive, sampler, scipy_stats


def _standard(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    return concentration * (xp.log(value) - xp.log(scale))


def _log_density(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    slope = log_expit_slope(xp, _standard(xp, value, scale, concentration))
    return slope + xp.log(concentration) - xp.log(value)


def _log_cdf(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    return log_expit(xp, _standard(xp, value, scale, concentration))


def _log_survival(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    return log_expit(xp, -_standard(xp, value, scale, concentration))


_NOISE = NoiseForm(
    lambda rng, shape: rng.logistic(size=shape),
    lambda xp, noise, scale, concentration: scale * xp.exp(noise / concentration),
)

DISTRIBUTIONS.register(
    Distribution(
        name="log_logistic",
        doc="Log-logistic with median `scale`: `concentration * log(x / scale)` is a standard logistic.",
        parameters=(Parameter("scale", "positive"), Parameter("concentration", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, scale, concentration: 2.0 + xp.log(scale) - xp.log(concentration),
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"scale": 1.7, "concentration": 2.4},),
        reference=lambda scale, concentration: scipy_stats().fisk(concentration, scale=scale),
    )
)
