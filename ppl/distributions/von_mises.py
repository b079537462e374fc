"""The von Mises distribution of angles."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import scipy_stats


def _log_bessel(xp: Any, concentration: Any) -> Any:
    """Log of the modified Bessel function I0, less `concentration`."""
    return xp.log(xp.special.ive(0.0, concentration))


def _log_density(xp: Any, value: Any, loc: Any, concentration: Any) -> Any:
    fall = -2.0 * concentration * xp.square(xp.sin(0.5 * (value - loc)))
    return fall - math.log(2.0 * math.pi) - _log_bessel(xp, concentration)


def _entropy(xp: Any, loc: Any, concentration: Any) -> Any:
    mean_cosine = xp.special.ive(1.0, concentration) / xp.special.ive(0.0, concentration)
    fall = concentration * (1.0 - mean_cosine)
    return fall + math.log(2.0 * math.pi) + _log_bessel(xp, concentration) + 0.0 * loc


DISTRIBUTIONS.register(
    Distribution(
        name="von_mises",
        doc="Von Mises angle, in radians from -pi to pi, around `loc`; near normal with variance `1 / concentration`.",
        parameters=(Parameter("loc"), Parameter("concentration", "positive")),
        support=fixed_support("interval", -math.pi, math.pi),
        log_density=_log_density,
        sample=lambda rng, shape, loc, concentration: rng.vonmises(loc, concentration, shape),
        reparameterised="implicit",
        entropy=_entropy,
        examples=({"loc": 0.6, "concentration": 1.8},),
        reference=lambda loc, concentration: scipy_stats().vonmises(concentration, loc),
    )
)
