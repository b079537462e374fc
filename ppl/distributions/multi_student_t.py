"""The multivariate Student's t distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, scipy_stats
from ppl.distributions.multi_normal import (
    COVARIANCE,
    FACTOR,
    LOC,
    SPREAD,
    covariance_factor,
    half_log_determinant,
    multiply,
    squared_distance,
)


def _log_density(xp: Any, value: Any, df: Any, loc: Any, **spread: Any) -> Any:
    size = xp.shape(value)[-1]
    gammaln = xp.special.gammaln
    normaliser = gammaln(0.5 * (df + size)) - gammaln(0.5 * df) - 0.5 * size * (LOG_PI + xp.log(df))
    kernel = 0.5 * (df + size) * xp.log1p(squared_distance(xp, value - loc, **spread) / df)
    return normaliser - half_log_determinant(xp, **spread) - kernel


def _sample(rng: np.random.Generator, shape: tuple[int, ...], df: Any, loc: Any, **spread: Any) -> Any:
    factor = covariance_factor(**spread)
    normal = multiply(np, factor, rng.standard_normal((*shape, factor.shape[-1])))
    return loc + normal * np.sqrt(df / rng.chisquare(df, shape))[..., None]


def _reference(df: float, loc: Any, **spread: Any) -> Any:
    factor = covariance_factor(**spread)
    return scipy_stats().multivariate_t(loc, factor @ factor.T, df)


DISTRIBUTIONS.register(
    Distribution(
        name="multi_student_t",
        doc="Multivariate Student's t around `loc` with scale matrix `cov`, its inverse `prec` or its Cholesky "
        "factor `chol`; the covariance is `cov * df / (df - 2)`.",
        parameters=(Parameter("df", "positive"), Parameter("loc", "real", "(n)"), *SPREAD),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(n)",
        reparameterised="implicit",
        examples=(
            {"df": 6.5, "loc": LOC, "cov": COVARIANCE},
            {"df": 6.5, "loc": LOC, "prec": COVARIANCE},
            {"df": 6.5, "loc": LOC, "chol": FACTOR},
        ),
        reference=_reference,
    )
)
