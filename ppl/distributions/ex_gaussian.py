"""The exponentially modified Gaussian distribution (Grushka, 1972)."""

from __future__ import annotations

from typing import Any

from ppl.constraints.stable import log_normal_cdf, log_scaled_normal_cdf
from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import log1m_exp, log_diff_exp, sampler, scipy_stats


def _log_overlap(xp: Any, standard: Any, steepness: Any) -> Any:
    """Log of density over rate: `steepness` is `rate * scale`.

    Far below, the exponential's factor cancels against the normal's tail, which is then taken relative to its density.
    """
    shifted = standard - steepness
    below = xp.minimum(shifted, 0.0)
    above = xp.maximum(shifted, 0.0)
    near = log_normal_cdf(xp, above) - steepness * (above + 0.5 * steepness)
    far = log_scaled_normal_cdf(xp, below) - 0.5 * xp.square(below + steepness)
    return xp.where(shifted < 0, far, near)


def _log_density(xp: Any, value: Any, loc: Any, scale: Any, rate: Any) -> Any:
    return xp.log(rate) + _log_overlap(xp, (value - loc) / scale, rate * scale)


def _log_survival(xp: Any, value: Any, loc: Any, scale: Any, rate: Any) -> Any:
    standard = (value - loc) / scale
    return xp.logaddexp(log_normal_cdf(xp, -standard), _log_overlap(xp, standard, rate * scale))


def _log_cdf(xp: Any, value: Any, loc: Any, scale: Any, rate: Any) -> Any:
    """Below `loc` as a difference of Mills ratios, above it from the other side."""
    standard, steepness = (value - loc) / scale, rate * scale
    below = xp.minimum(standard, 0.0)
    ratios = log_diff_exp(xp, log_scaled_normal_cdf(xp, below), log_scaled_normal_cdf(xp, below - steepness))
    survival = _log_survival(xp, xp.maximum(value, loc), loc, scale, rate)
    return xp.where(standard < 0, ratios - 0.5 * below * below, log1m_exp(xp, survival))


def _transform(xp: Any, noise: Any, loc: Any, scale: Any, rate: Any) -> Any:
    """From a normal and the standard exponential that is half the square sum of two more."""
    delay = 0.5 * (xp.square(noise[..., 1]) + xp.square(noise[..., 2]))
    return loc + scale * noise[..., 0] + delay / rate


_NOISE = NoiseForm(lambda rng, shape: rng.standard_normal((*shape, 3)), _transform)

DISTRIBUTIONS.register(
    Distribution(
        name="ex_gaussian",
        doc="Sum of a normal with mean `loc` and standard deviation `scale` and an exponential with rate `rate`.",
        parameters=(Parameter("loc"), Parameter("scale", "positive"), Parameter("rate", "positive")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=sampler(_NOISE),
        noise=_NOISE,
        log_cdf=_log_cdf,
        log_survival=_log_survival,
        examples=(
            {"loc": 0.4, "scale": 1.3, "rate": 0.7},
            {"loc": -0.2, "scale": 0.5, "rate": 4.0},
        ),
        reference=lambda loc, scale, rate: scipy_stats().exponnorm(1.0 / (scale * rate), loc, scale),
    )
)
