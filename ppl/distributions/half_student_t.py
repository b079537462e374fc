"""The half-t distribution."""

from __future__ import annotations

import math
from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import LOG_TWO, on_positive
from ppl.distributions.implicit import radius_slope
from ppl.distributions.student_t import entropy, log_density, log_survival


def _log_cdf(xp: Any, value: Any, df: Any, scale: Any) -> Any:
    square = (value / scale) ** 2
    return xp.special.log_betainc(0.5, 0.5 * df, square / (df + square), df / (df + square))


def _log_survival(xp: Any, value: Any, df: Any, scale: Any) -> Any:
    return LOG_TWO + log_survival(xp, value, df, 0.0, scale)


def _implicit(value: Any, cotangent: Any, df: Any, scale: Any) -> dict[str, Any]:
    growth = cotangent * value
    return {"df": growth * radius_slope(df, 1, value / scale), "scale": growth / scale}


DISTRIBUTIONS.register(
    Distribution(
        name="half_student_t",
        doc="Absolute value of a Student's t with `df` degrees of freedom, median 0 and scale `scale`.",
        parameters=(Parameter("df", "positive"), Parameter("scale", "positive")),
        support=fixed_support("positive"),
        log_density=lambda xp, value, df, scale: LOG_TWO + log_density(xp, value, df, 0.0, scale),
        sample=lambda rng, shape, df, scale: abs(scale * rng.standard_t(df, shape)),
        entropy=lambda xp, df, scale: entropy(xp, df, 0.0, scale) - LOG_TWO,
        implicit=_implicit,
        log_cdf=on_positive(_log_cdf, -math.inf),
        log_survival=on_positive(_log_survival, 0.0),
        examples=({"df": 5.5, "scale": 1.4},),
    )
)
