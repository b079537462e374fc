"""The Gumbel distribution of maxima."""

from __future__ import annotations

from typing import Any

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import EULER, log1m_exp, sampler, scipy_stats


def _log_density(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    standard = (value - loc) / scale
    return -standard - xp.exp(-standard) - xp.log(scale)


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any) -> Any:
    return -xp.exp((loc - value) / scale)


_NOISE = NoiseForm(lambda rng, shape: rng.gumbel(size=shape), lambda xp, noise, loc, scale: loc + scale * noise)


DISTRIBUTIONS.register(
    Distribution(
        name="gumbel",
        doc="Gumbel (of maxima) with mode `loc`; its mean is `loc + 0.5772 * scale`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        location_scale=("loc", "scale"),
        entropy=lambda xp, loc, scale: 1.0 + EULER + xp.log(scale) + 0.0 * loc,
        log_cdf=_log_cdf,
        log_survival=lambda xp, value, loc, scale: log1m_exp(xp, _log_cdf(xp, value, loc, scale)),
        examples=({"loc": 0.4, "scale": 1.7},),
        reference=lambda loc, scale: scipy_stats().gumbel_r(loc, scale),
    )
)
