"""The inverse gamma distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import SMALLEST, on_positive, scipy_stats
from ppl.distributions.implicit import gamma_slope


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


def _mean_statistics(xp: Any, power: Any, slope: Any) -> Any:
    concentration = -power - 1.0
    return xp.log(-slope) - xp.special.digamma(concentration), -concentration / slope


_EXPONENTIAL = ExponentialFamily(
    ranks=(0, 0),
    natural=lambda xp, concentration, scale: (-concentration - 1.0, -scale),
    parameters=lambda xp, power, slope: {"concentration": -power - 1.0, "scale": -slope},
    statistics=lambda xp, value: (xp.log(value), 1.0 / value),
    mean_statistics=_mean_statistics,
    log_normaliser=lambda xp, power, slope: xp.special.gammaln(-power - 1.0) + (power + 1.0) * xp.log(-slope),
    log_base=lambda xp, value: 0.0 * value,
)


def _implicit(value: Any, cotangent: Any, concentration: Any, scale: Any) -> dict[str, Any]:
    growth = cotangent * value
    return {"concentration": -growth * gamma_slope(concentration, scale / value), "scale": growth / scale}


DISTRIBUTIONS.register(
    Distribution(
        name="inverse_gamma",
        doc="Reciprocal of a gamma with rate `scale`; its mean is `scale / (concentration - 1)`.",
        parameters=(Parameter("concentration", "positive"), Parameter("scale", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=_sample,
        implicit=_implicit,
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"concentration": 6.5, "scale": 2.2},),
        reference=lambda concentration, scale: scipy_stats().invgamma(concentration, scale=scale),
    )
)
