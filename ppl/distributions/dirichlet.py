"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
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


DISTRIBUTIONS.register(
    Distribution(
        name="dirichlet",
        doc="A vector of probabilities with mean proportional to `concentration`.",
        parameters=(Parameter("concentration", "positive", "(n)"),),
        support=fixed_support("simplex"),
        log_density=_log_density,
        sample=_sample,
        event="(n)",
        reparameterised="implicit",
        entropy=_entropy,
        examples=({"concentration": (1.3, 0.8, 2.4)},),
        reference=lambda concentration: scipy_stats().dirichlet(concentration),
    )
)
