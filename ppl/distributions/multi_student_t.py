"""The multivariate Student's t distribution."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, scipy_stats
from ppl.distributions.implicit import radius_slope, spread
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


def _log_normaliser(xp: Any, df: Any, size: int) -> Any:
    gammaln = xp.special.gammaln
    return gammaln(0.5 * (df + size)) - gammaln(0.5 * df) - 0.5 * size * (LOG_PI + xp.log(df))


def _log_density(xp: Any, value: Any, df: Any, loc: Any, **given: Any) -> Any:
    size = xp.shape(value)[-1]
    kernel = 0.5 * (df + size) * xp.log1p(squared_distance(xp, value - loc, **given) / df)
    return _log_normaliser(xp, df, size) - half_log_determinant(xp, **given) - kernel


def _sample(rng: np.random.Generator, shape: tuple[int, ...], df: Any, loc: Any, **given: Any) -> Any:
    normal = multiply(np, covariance_factor(np, **given), rng.standard_normal((*shape, np.shape(loc)[-1])))
    return loc + normal * np.sqrt(df / rng.chisquare(df, shape))[..., None]


def _reference(df: float, loc: Any, **given: Any) -> Any:
    factor = np.asarray(covariance_factor(np, **given))
    return scipy_stats().multivariate_t(loc, factor @ factor.T, df)


def _implicit(value: Any, cotangent: Any, df: Any, loc: Any, **given: Any) -> dict[str, Any]:
    """The direction from `loc` is held, and the quantile of the distance from it, a root of an F draw."""
    found, radius = spread(value, cotangent, loc, **given)
    growth = np.sum(cotangent * (value - loc), axis=-1)
    return {"df": growth * radius_slope(df, np.shape(value)[-1], radius), **found}


def _entropy(xp: Any, df: Any, loc: Any, **given: Any) -> Any:
    size = xp.shape(loc)[-1]
    slope = xp.special.digamma(0.5 * (df + size)) - xp.special.digamma(0.5 * df)
    tail = 0.5 * (df + size) * slope + half_log_determinant(xp, **given) + 0.0 * xp.sum(loc, axis=-1)
    return tail - _log_normaliser(xp, df, size)


DISTRIBUTIONS.register(
    Distribution(
        name="multi_student_t",
        doc="Multivariate Student's t around `loc` with scale matrix `cov`, its inverse `prec` or its Cholesky "
        "factor `chol`; the covariance is `cov * df / (df - 2)`.",
        parameters=(Parameter("df", "positive"), Parameter("loc", "real", "(n)"), *SPREAD),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        implicit=_implicit,
        entropy=_entropy,
        event="(n)",
        examples=(
            {"df": 6.5, "loc": LOC, "cov": COVARIANCE},
            {"df": 6.5, "loc": LOC, "prec": COVARIANCE},
            {"df": 6.5, "loc": LOC, "chol": FACTOR},
        ),
        reference=_reference,
    )
)
