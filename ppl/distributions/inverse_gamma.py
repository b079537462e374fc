"""The inverse gamma distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import SMALLEST, on_positive, scipy_stats


def _log_density(xp: Any, value: Any, concentration: Any, scale: Any) -> Any:
    return (
        concentration * xp.log(scale)
        - (concentration + 1.0) * xp.log(value)
        - scale / value
        - xp.special.gammaln(concentration)
    )


def _sample(rng: np.random.Generator, shape: tuple[int, ...], concentration: Any, scale: Any) -> Any:
    return scale / np.maximum(rng.standard_gamma(concentration, shape), SMALLEST)


def _entropy(xp: Any, concentration: Any, scale: Any) -> Any:
    tail = (1.0 + concentration) * xp.special.digamma(concentration)
    return concentration + xp.log(scale) + xp.special.gammaln(concentration) - tail


def _log_cdf(xp: Any, value: Any, concentration: Any, scale: Any) -> Any:
    return xp.special.log_gammaincc(concentration, scale / value)


def _log_survival(xp: Any, value: Any, concentration: Any, scale: Any) -> Any:
    return xp.special.log_gammainc(concentration, scale / value)


DISTRIBUTIONS.register(
    Distribution(
        name="inverse_gamma",
        doc="Reciprocal of a gamma with rate `scale`; its mean is `scale / (concentration - 1)`.",
        parameters=(Parameter("concentration", "positive"), Parameter("scale", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=_sample,
        reparameterised="implicit",
        entropy=_entropy,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"concentration": 6.5, "scale": 2.2},),
        reference=lambda concentration, scale: scipy_stats().invgamma(concentration, scale=scale),
    )
)
