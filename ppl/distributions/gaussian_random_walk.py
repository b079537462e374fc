"""The Gaussian random walk."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, scipy_stats


def _log_density(xp: Any, value: Any, scale: Any, num_steps: int) -> Any:
    steps = value[..., 1:] - value[..., :-1]
    squares = xp.square(value[..., 0]) + xp.sum(steps * steps, axis=-1)
    return -0.5 * squares / (scale * scale) - xp.shape(value)[-1] * (xp.log(scale) + HALF_LOG_TWO_PI)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], scale: Any, num_steps: int) -> Any:
    return np.asarray(scale)[..., None] * np.cumsum(rng.standard_normal((*shape, int(num_steps))), axis=-1)


def _reference(scale: float, num_steps: int) -> Any:
    time = np.arange(1, num_steps + 1)
    return scipy_stats().multivariate_normal(np.zeros(num_steps), scale**2 * np.minimum.outer(time, time))


DISTRIBUTIONS.register(
    Distribution(
        name="gaussian_random_walk",
        doc="Running sum of `num_steps` independent normals with mean 0 and standard deviation `scale`.",
        parameters=(Parameter("scale", "positive"), Parameter("num_steps", "count", length_of="t")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(t)",
        reparameterised="pathwise",
        entropy=lambda xp, scale, num_steps: num_steps * (0.5 + HALF_LOG_TWO_PI + xp.log(scale)),
        examples=({"scale": 1.3, "num_steps": 4},),
        reference=_reference,
    )
)
