"""The inverse Gaussian distribution, also called Wald's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.constraints.stable import HALF_LOG_TWO_PI, LOG_TWO, log_normal_cdf, log_scaled_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import SMALLEST, log1m_exp, log_diff_exp, on_positive, scipy_stats
from ppl.numeric import NUMPY


def _log_density(xp: Any, value: Any, mean: Any, concentration: Any) -> Any:
    away = (value - mean) / mean
    return 0.5 * (xp.log(concentration) - 3.0 * xp.log(value) - concentration * away * away / value) - HALF_LOG_TWO_PI


def _standard(xp: Any, value: Any, mean: Any, concentration: Any) -> tuple[Any, Any]:
    """The two arguments of the normal's distribution function of which that of this one is made."""
    root = xp.sqrt(concentration / value)
    return root * (value - mean) / mean, root * (value + mean) / mean


def _log_lower(xp: Any, near: Any, far: Any) -> Any:
    """Both terms, the second relative to the normal's density at `near`."""
    return xp.logaddexp(log_normal_cdf(xp, near), log_scaled_normal_cdf(xp, -far) - 0.5 * near * near)


def _log_cdf(xp: Any, value: Any, mean: Any, concentration: Any) -> Any:
    near, far = _standard(xp, xp.minimum(value, mean), mean, concentration)
    return xp.where(value < mean, _log_lower(xp, near, far), log1m_exp(xp, _upper(xp, value, mean, concentration)))


def _log_survival(xp: Any, value: Any, mean: Any, concentration: Any) -> Any:
    near, far = _standard(xp, xp.minimum(value, mean), mean, concentration)
    lower = log1m_exp(xp, _log_lower(xp, near, far))
    return xp.where(value < mean, lower, _upper(xp, value, mean, concentration))


def _upper(xp: Any, value: Any, mean: Any, concentration: Any) -> Any:
    """Log chance of more than `value`, or than the mean where that is larger, as a difference of Mills ratios."""
    near, far = _standard(xp, xp.maximum(value, mean), mean, concentration)
    return log_diff_exp(xp, log_scaled_normal_cdf(xp, -near), log_scaled_normal_cdf(xp, -far)) - 0.5 * near * near


def _implicit(value: Any, cotangent: Any, mean: Any, concentration: Any) -> dict[str, Any]:
    """Derivatives of the distribution function over the density, in which the exponentials cancel."""
    _, far = _standard(np, value, mean, concentration)
    mills = np.exp(log_scaled_normal_cdf(NUMPY, -far) + HALF_LOG_TWO_PI)
    root = np.sqrt(concentration / value) / value
    by_mean = 2.0 * concentration / (mean * mean) * mills / root
    by_concentration = (root * value / concentration - 2.0 / mean * mills) / root
    return {"mean": cotangent * by_mean, "concentration": cotangent * by_concentration}


_EXPONENTIAL = ExponentialFamily(
    ranks=(0, 0),
    natural=lambda xp, mean, concentration: (-0.5 * concentration / (mean * mean), -0.5 * concentration),
    parameters=lambda xp, slope, inverse: {"mean": xp.sqrt(inverse / slope), "concentration": -2.0 * inverse},
    statistics=lambda xp, value: (value, 1.0 / value),
    mean_statistics=lambda xp, slope, inverse: (xp.sqrt(inverse / slope), xp.sqrt(slope / inverse) - 0.5 / inverse),
    log_normaliser=lambda xp, slope, inverse: -2.0 * xp.sqrt(slope * inverse) - 0.5 * (LOG_TWO + xp.log(-inverse)),
    log_base=lambda xp, value: -1.5 * xp.log(value) - HALF_LOG_TWO_PI,
)

DISTRIBUTIONS.register(
    Distribution(
        name="inverse_gaussian",
        doc="Inverse Gaussian (Wald) with mean `mean` and variance `mean^3 / concentration`.",
        parameters=(Parameter("mean", "positive"), Parameter("concentration", "positive")),
        support=fixed_support("positive"),
        log_density=_log_density,
        sample=lambda rng, shape, mean, concentration: np.maximum(rng.wald(mean, concentration, shape), SMALLEST),
        implicit=_implicit,
        exponential=_EXPONENTIAL,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"mean": 1.7, "concentration": 2.3},),
        reference=lambda mean, concentration: scipy_stats().invgauss(mean / concentration, scale=concentration),
    )
)
