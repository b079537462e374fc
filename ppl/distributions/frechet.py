"""The Fréchet distribution of maxima."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import EULER, log1m_exp, on_positive, sampler, scipy_stats

_FAR = 30.0


def _standard(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    """The standard Gumbel that the value is made of."""
    return concentration * (xp.log(value) - xp.log(scale))


def _log_density(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    gumbel = _standard(xp, value, scale, concentration)
    return xp.log(concentration) - xp.log(value) - gumbel - xp.exp(-gumbel)


def _log_cdf(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    return -xp.exp(-_standard(xp, value, scale, concentration))


def _log_survival(xp: Any, value: Any, scale: Any, concentration: Any) -> Any:
    gumbel = _standard(xp, value, scale, concentration)
    near = log1m_exp(xp, -xp.exp(-xp.minimum(gumbel, _FAR)))
    return xp.where(gumbel < _FAR, near, -gumbel - 0.5 * xp.exp(-xp.maximum(gumbel, _FAR)))


_NOISE = NoiseForm(
    lambda rng, shape: rng.gumbel(size=shape),
    lambda xp, noise, scale, concentration: scale * xp.exp(noise / concentration),
)

DISTRIBUTIONS.register(
    Distribution(
        name="frechet",
        doc="Fréchet (inverse Weibull): the chance to stay below x is `exp(-(x / scale)^-concentration)`.",
        parameters=(Parameter("scale", "positive"), Parameter("concentration", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=lambda xp, scale, concentration: (
            1.0 + EULER + EULER / concentration + xp.log(scale) - xp.log(concentration)
        ),
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"scale": 1.7, "concentration": 2.4},),
        reference=lambda scale, concentration: scipy_stats().invweibull(concentration, scale=scale),
    )
)
