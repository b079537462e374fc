"""The discrete Weibull distribution (Nakagawa and Osaki, 1975)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import log1m_exp, on_counts


def _raised(xp: Any, value: Any, concentration: Any) -> Any:
    """`value ^ concentration`, 0 for 0."""
    zero = value == 0
    return xp.where(zero, 0.0, xp.where(zero, 1.0, 1.0 * value) ** concentration)


def _log_survival(xp: Any, value: Any, q: Any, concentration: Any) -> Any:
    return _raised(xp, value + 1.0, concentration) * xp.log(q)


def _log_cdf(xp: Any, value: Any, q: Any, concentration: Any) -> Any:
    return log1m_exp(xp, _log_survival(xp, value, q, concentration))


def _log_density(xp: Any, value: Any, q: Any, concentration: Any) -> Any:
    start, end = _raised(xp, value, concentration), _raised(xp, value + 1.0, concentration)
    log_q = xp.log(q)
    return start * log_q + log1m_exp(xp, (end - start) * log_q)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], q: Any, concentration: Any) -> Any:
    """By inversion; draws of more than 2^52, beyond which floats have no units, stay there."""
    time = (rng.standard_exponential(shape) / -np.log(q)) ** (1.0 / np.asarray(concentration))
    return np.floor(np.minimum(time, 2.0**52)).astype(np.int64)


DISTRIBUTIONS.register(
    Distribution(
        name="discrete_weibull",
        doc="A count that is at least x with probability `q^(x^concentration)`.",
        parameters=(Parameter("q", "unit_interval"), Parameter("concentration", "positive")),
        support=fixed_support("count"),
        log_density=_log_density,
        sample=_sample,
        discrete=True,
        log_cdf=on_counts(_log_cdf, -math.inf),
        log_survival=on_counts(_log_survival, 0.0),
        examples=({"q": 0.7, "concentration": 1.4},),
    )
)
