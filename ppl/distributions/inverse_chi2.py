"""The inverse chi-squared distributions."""

from __future__ import annotations

from typing import Any

from ppl.distributions import inverse_gamma as _registered  # noqa: F401
from ppl.distributions.base import DISTRIBUTIONS, Parameter
from ppl.distributions.combinators import rewritten
from ppl.distributions.formulas import scipy_stats

_INVERSE_GAMMA = DISTRIBUTIONS["inverse_gamma"]

DISTRIBUTIONS.register(
    rewritten(
        _INVERSE_GAMMA,
        lambda df: {"concentration": 0.5 * df, "scale": 0.5},
        lambda found, df: {"df": 0.5 * found["concentration"]},
        name="inverse_chi2",
        doc="Reciprocal of a chi-squared with `df` degrees of freedom.",
        parameters=(Parameter("df", "positive"),),
        examples=({"df": 6.5},),
        reference=lambda df: scipy_stats().invgamma(0.5 * df, scale=0.5),
    )
)


def _gamma(df: Any, scale: Any) -> dict[str, Any]:
    return {"concentration": 0.5 * df, "scale": 0.5 * df * scale * scale}


def _slopes(found: dict[str, Any], df: Any, scale: Any) -> dict[str, Any]:
    by_shape, by_scale = found["concentration"], found["scale"]
    return {"df": 0.5 * (by_shape + scale * scale * by_scale), "scale": df * scale * by_scale}


DISTRIBUTIONS.register(
    rewritten(
        _INVERSE_GAMMA,
        _gamma,
        _slopes,
        name="scaled_inverse_chi2",
        doc="`df * scale^2` over a chi-squared with `df` degrees of freedom: a variance of which `scale` is the guess.",
        parameters=(Parameter("df", "positive"), Parameter("scale", "positive")),
        examples=({"df": 6.5, "scale": 1.3},),
        reference=lambda df, scale: scipy_stats().invgamma(0.5 * df, scale=0.5 * df * scale**2),
    )
)
