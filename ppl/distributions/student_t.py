"""Student's t distribution."""

from __future__ import annotations

from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_PI, scipy_stats
from ppl.distributions.implicit import radius_slope


def log_normaliser(xp: Any, df: Any, scale: Any) -> Any:
    """Log of the factor by which the kernel is divided to integrate to 1."""
    gammaln = xp.special.gammaln
    return gammaln(0.5 * df) - gammaln(0.5 * (df + 1.0)) + 0.5 * (LOG_PI + xp.log(df)) + xp.log(scale)


def log_density(xp: Any, value: Any, df: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return -0.5 * (df + 1.0) * xp.log1p(standard * standard / df) - log_normaliser(xp, df, scale)


def entropy(xp: Any, df: Any, loc: Any, scale: Any) -> Any:
    digamma = xp.special.digamma
    slope = digamma(0.5 * (df + 1.0)) - digamma(0.5 * df)
    return 0.5 * (df + 1.0) * slope + log_normaliser(xp, df, scale) + 0.0 * loc


def log_cdf(xp: Any, value: Any, df: Any, loc: Any, scale: Any) -> Any:
    return xp.special.log_student_t_cdf((value - loc) / scale, df)


def log_survival(xp: Any, value: Any, df: Any, loc: Any, scale: Any) -> Any:
    return xp.special.log_student_t_cdf((loc - value) / scale, df)


def _implicit(value: Any, cotangent: Any, df: Any, loc: Any, scale: Any) -> dict[str, Any]:
    standard = (value - loc) / scale
    growth = cotangent * (value - loc) * radius_slope(df, 1, abs(standard))
    return {"df": growth, "loc": cotangent, "scale": cotangent * standard}


DISTRIBUTIONS.register(
    Distribution(
        name="student_t",
        doc="Student's t with `df` degrees of freedom, median `loc` and scale `scale`.",
        parameters=(Parameter("df", "positive"), Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=log_density,
        sample=lambda rng, shape, df, loc, scale: loc + scale * rng.standard_t(df, shape),
        implicit=_implicit,
        location_scale=("loc", "scale"),
        entropy=entropy,
        log_cdf=log_cdf,
        log_survival=log_survival,
        examples=({"df": 5.5, "loc": 0.6, "scale": 1.4},),
        reference=lambda df, loc, scale: scipy_stats().t(df, loc, scale),
    )
)
