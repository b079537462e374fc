"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions import implicit
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import log_gamma_draw, probabilities, scipy_stats


def _log_normaliser(xp: Any, concentration: Any) -> Any:
    gammaln = xp.special.gammaln
    return xp.sum(gammaln(concentration), axis=-1) - gammaln(xp.sum(concentration, axis=-1))


def _log_density(xp: Any, value: Any, concentration: Any) -> Any:
    return xp.sum((concentration - 1.0) * xp.log(value), axis=-1) - _log_normaliser(xp, concentration)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], concentration: Any) -> Any:
    size = np.shape(concentration)[-1]
    return probabilities(None, log_gamma_draw(rng, (*shape, size), concentration))


def _entropy(xp: Any, concentration: Any) -> Any:
    digamma = xp.special.digamma
    total = xp.sum(concentration, axis=-1)
    excess = (total - xp.shape(concentration)[-1]) * digamma(total)
    return _log_normaliser(xp, concentration) + excess - xp.sum((concentration - 1.0) * digamma(concentration), axis=-1)


def _mean_statistics(xp: Any, power: Any) -> Any:
    concentration = power + 1.0
    total = xp.sum(concentration, axis=-1)
    return (xp.special.digamma(concentration) - xp.special.digamma(total)[..., None],)


_EXPONENTIAL = ExponentialFamily(
    ranks=(1,),
    natural=lambda xp, concentration: (concentration - 1.0,),
    parameters=lambda xp, power: {"concentration": power + 1.0},
    statistics=lambda xp, value: (xp.log(value),),
    mean_statistics=_mean_statistics,
    log_normaliser=lambda xp, power: _log_normaliser(xp, power + 1.0),
    log_base=lambda xp, value: 0.0 * xp.sum(value, axis=-1),
)

DISTRIBUTIONS.register(
    Distribution(
        name="dirichlet",
        doc="A vector of probabilities with mean proportional to `concentration`.",
        parameters=(Parameter("concentration", "positive", "(n)"),),
        support=fixed_support("simplex"),
        log_density=_log_density,
        sample=_sample,
        implicit=implicit.dirichlet,
        event="(n)",
        entropy=_entropy,
        exponential=_EXPONENTIAL,
        examples=({"concentration": (1.3, 0.8, 2.4)},),
        reference=lambda concentration: scipy_stats().dirichlet(concentration),
    )
)
