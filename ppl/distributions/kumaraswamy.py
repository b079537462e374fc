"""The Kumaraswamy distribution (Kumaraswamy, 1980)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.constraints.scalar import BELOW_ONE
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import EULER, SMALLEST, log1m_exp, sampler


def _log_density(xp: Any, value: Any, concentration1: Any, concentration0: Any) -> Any:
    log_value = xp.log(value)
    rest = log1m_exp(xp, concentration1 * log_value)
    constant = xp.log(concentration1) + xp.log(concentration0)
    return constant + (concentration1 - 1.0) * log_value + (concentration0 - 1.0) * rest


def _log_survival(xp: Any, value: Any, concentration1: Any, concentration0: Any) -> Any:
    inside = (value > 0) & (value < 1)
    found = concentration0 * log1m_exp(xp, concentration1 * xp.log(xp.where(inside, value, 0.5)))
    return xp.where(inside, found, xp.where(value > 0, -np.inf, 0.0))


def _log_cdf(xp: Any, value: Any, concentration1: Any, concentration0: Any) -> Any:
    inside = (value > 0) & (value < 1)
    survival = _log_survival(xp, xp.where(inside, value, 0.5), concentration1, concentration0)
    return xp.where(inside, log1m_exp(xp, survival), xp.where(value > 0, 0.0, -np.inf))


def _transform(xp: Any, noise: Any, concentration1: Any, concentration0: Any) -> Any:
    """Kept off the ends, as draws of a small concentration round to them."""
    log_value = log1m_exp(xp, -noise / concentration0) / concentration1
    return xp.clip(xp.exp(log_value), SMALLEST, BELOW_ONE)


def _entropy(xp: Any, concentration1: Any, concentration0: Any) -> Any:
    harmonic = xp.special.digamma(concentration0 + 1.0) + EULER
    spread = (1.0 - 1.0 / concentration0) + (1.0 - 1.0 / concentration1) * harmonic
    return spread - xp.log(concentration1) - xp.log(concentration0)


_NOISE = NoiseForm(lambda rng, shape: rng.standard_exponential(shape), _transform)

DISTRIBUTIONS.register(
    Distribution(
        name="kumaraswamy",
        doc="Kumaraswamy: a beta's shapes with a closed distribution function, "
        "`1 - (1 - x^concentration1)^concentration0`.",
        parameters=(Parameter("concentration1", "positive"), Parameter("concentration0", "positive")),
        support=fixed_support("unit_interval"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        entropy=_entropy,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=({"concentration1": 2.3, "concentration0": 1.6},),
    )
)
