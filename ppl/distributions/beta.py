"""The beta distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.scalar import BELOW_ONE
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import SMALLEST, scipy_stats
from ppl.distributions.implicit import beta_slopes


def log_density(xp: Any, value: Any, concentration1: Any, concentration0: Any) -> Any:
    return (
        (concentration1 - 1.0) * xp.log(value)
        + (concentration0 - 1.0) * xp.log1p(-value)
        - xp.special.betaln(concentration1, concentration0)
    )


def _sample(rng: np.random.Generator, shape: tuple[int, ...], concentration1: Any, concentration0: Any) -> Any:
    return np.clip(rng.beta(concentration1, concentration0, shape), SMALLEST, BELOW_ONE)


def _entropy(xp: Any, concentration1: Any, concentration0: Any) -> Any:
    digamma = xp.special.digamma
    total = concentration1 + concentration0
    return (
        xp.special.betaln(concentration1, concentration0)
        - (concentration1 - 1.0) * digamma(concentration1)
        - (concentration0 - 1.0) * digamma(concentration0)
        + (total - 2.0) * digamma(total)
    )


def _log_lower(xp: Any, value: Any, other: Any, a: Any, b: Any) -> Any:
    """Log of I_value(a, b), where `other = 1 - value`; 0 and 1 outside the unit interval."""
    inside = (value > 0) & (other > 0)
    found = xp.special.log_betainc(a, b, xp.where(inside, value, 0.5), xp.where(inside, other, 0.5))
    return xp.where(inside, found, xp.where(value > 0, 0.0, -np.inf))


def _log_cdf(xp: Any, value: Any, concentration1: Any, concentration0: Any) -> Any:
    return _log_lower(xp, value, 1.0 - value, concentration1, concentration0)


def _log_survival(xp: Any, value: Any, concentration1: Any, concentration0: Any) -> Any:
    return _log_lower(xp, 1.0 - value, value, concentration0, concentration1)


def _mean_statistics(xp: Any, power1: Any, power0: Any) -> Any:
    digamma = xp.special.digamma
    total = digamma(power1 + power0 + 2.0)
    return digamma(power1 + 1.0) - total, digamma(power0 + 1.0) - total


_EXPONENTIAL = ExponentialFamily(
    ranks=(0, 0),
    natural=lambda xp, concentration1, concentration0: (concentration1 - 1.0, concentration0 - 1.0),
    parameters=lambda xp, power1, power0: {"concentration1": power1 + 1.0, "concentration0": power0 + 1.0},
    statistics=lambda xp, value: (xp.log(value), xp.log1p(-value)),
    mean_statistics=_mean_statistics,
    log_normaliser=lambda xp, power1, power0: xp.special.betaln(power1 + 1.0, power0 + 1.0),
    log_base=lambda xp, value: 0.0 * value,
)


def _implicit(value: Any, cotangent: Any, concentration1: Any, concentration0: Any) -> dict[str, Any]:
    growth = cotangent * value * (1.0 - value)
    slope1, slope0 = beta_slopes(concentration1, concentration0, value, 1.0 - value)
    return {"concentration1": growth * slope1, "concentration0": growth * slope0}


DISTRIBUTIONS.register(
    Distribution(
        name="beta",
        doc="Beta with mean `concentration1 / (concentration1 + concentration0)`.",
        parameters=(Parameter("concentration1", "positive"), Parameter("concentration0", "positive")),
        support=fixed_support("unit_interval"),
        log_density=log_density,
        sample=_sample,
        implicit=_implicit,
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"concentration1": 2.3, "concentration0": 1.6},),
        reference=lambda concentration1, concentration0: scipy_stats().beta(concentration1, concentration0),
    )
)
