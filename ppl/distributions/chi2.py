"""The chi-square distribution."""

from __future__ import annotations

from typing import Any

from ppl.distributions import gamma
from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, Parameter, fixed_support
from ppl.distributions.formulas import LOG_TWO, scipy_stats

_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, df: (0.5 * df - 1.0,),
    parameters=lambda xp, power: {"df": 2.0 * (power + 1.0)},
    statistics=lambda xp, value: (xp.log(value),),
    mean_statistics=lambda xp, power: (xp.special.digamma(power + 1.0) + LOG_TWO,),
    log_normaliser=lambda xp, power: xp.special.gammaln(power + 1.0) + (power + 1.0) * LOG_TWO,
    log_base=lambda xp, value: -0.5 * value,
)


def _implicit(value: Any, cotangent: Any, df: Any) -> dict[str, Any]:
    return {"df": 0.5 * gamma.implicit(value, cotangent, 0.5 * df, 0.5)["concentration"]}


DISTRIBUTIONS.register(
    Distribution(
        name="chi2",
        doc="Chi-square with `df` degrees of freedom, its mean.",
        parameters=(Parameter("df", "positive"),),
        support=fixed_support("positive"),
        log_density=lambda xp, value, df: gamma.log_density(xp, value, 0.5 * df, 0.5),
        sample=lambda rng, shape, df: gamma.sample(rng, shape, 0.5 * df, 0.5),
        implicit=_implicit,
        entropy=lambda xp, df: gamma.entropy(xp, 0.5 * df, 0.5),
        exponential=_EXPONENTIAL,
        log_cdf=lambda xp, value, df: gamma.log_cdf(xp, value, concentration=0.5 * df, rate=0.5),
        log_survival=lambda xp, value, df: gamma.log_survival(xp, value, concentration=0.5 * df, rate=0.5),
        examples=({"df": 3.4},),
        reference=lambda df: scipy_stats().chi2(df),
    )
)
