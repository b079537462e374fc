"""The chi-square distribution."""

from __future__ import annotations

from ppl.distributions import gamma
from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import scipy_stats

DISTRIBUTIONS.register(
    Distribution(
        name="chi2",
        doc="Chi-square with `df` degrees of freedom, its mean.",
        parameters=(Parameter("df", "positive"),),
        support=fixed_support("positive"),
        log_density=lambda xp, value, df: gamma.log_density(xp, value, 0.5 * df, 0.5),
        sample=lambda rng, shape, df: gamma.sample(rng, shape, 0.5 * df, 0.5),
        reparameterised="implicit",
        entropy=lambda xp, df: gamma.entropy(xp, 0.5 * df, 0.5),
        log_cdf=lambda xp, value, df: gamma.log_cdf(xp, value, concentration=0.5 * df, rate=0.5),
        log_survival=lambda xp, value, df: gamma.log_survival(xp, value, concentration=0.5 * df, rate=0.5),
        examples=({"df": 3.4},),
        reference=lambda df: scipy_stats().chi2(df),
    )
)
