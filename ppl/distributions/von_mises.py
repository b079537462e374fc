"""The von Mises distribution of angles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import scipy_stats
from ppl.numeric import NUMPY


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


def _length(xp: Any, cosine: Any, sine: Any) -> Any:
    return xp.sqrt(cosine * cosine + sine * sine)


def _parameters(xp: Any, cosine: Any, sine: Any) -> Any:
    return {"loc": xp.arctan2(sine, cosine), "concentration": _length(xp, cosine, sine)}


def _mean_statistics(xp: Any, cosine: Any, sine: Any) -> Any:
    length = _length(xp, cosine, sine)
    share = xp.special.ive(1.0, length) / (xp.special.ive(0.0, length) * length)
    return share * cosine, share * sine


def _log_normaliser(xp: Any, cosine: Any, sine: Any) -> Any:
    length = _length(xp, cosine, sine)
    return length + _log_bessel(xp, length)


_EXPONENTIAL = ExponentialFamily(
    ranks=(0, 0),
    natural=lambda xp, loc, concentration: (concentration * xp.cos(loc), concentration * xp.sin(loc)),
    parameters=_parameters,
    statistics=lambda xp, value: (xp.cos(value), xp.sin(value)),
    mean_statistics=_mean_statistics,
    log_normaliser=_log_normaliser,
    log_base=lambda xp, value: 0.0 * value - math.log(2.0 * math.pi),
)


def _implicit(value: Any, cotangent: Any, loc: Any, concentration: Any) -> dict[str, Any]:
    """The angle turns with `loc` and closes up to it as `concentration` grows, the chance between the two being held.

    It may turn past pi, so this is unbiased for functions that agree at -pi and pi. For another function the mean
    slope by `loc` is off by its step from -pi to pi, times the density there.
    """
    angle = np.remainder(value - loc + math.pi, 2.0 * math.pi) - math.pi
    slope = cotangent * NUMPY.special.von_mises_quantile_slope(angle, concentration)
    return {"loc": cotangent, "concentration": slope}


DISTRIBUTIONS.register(
    Distribution(
        name="von_mises",
        doc="Von Mises angle, in radians from -pi to pi, around `loc`; near normal with variance `1 / concentration`.",
        parameters=(Parameter("loc"), Parameter("concentration", "positive")),
        support=fixed_support("interval", -math.pi, math.pi),
        log_density=_log_density,
        sample=lambda rng, shape, loc, concentration: rng.vonmises(loc, concentration, shape),
        implicit=_implicit,
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        examples=({"loc": 0.6, "concentration": 1.8},),
        reference=lambda loc, concentration: scipy_stats().vonmises(concentration, loc),
    )
)
