"""The Gaussian random walk."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, ExponentialFamily, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, column, scipy_stats


def _squares(xp: Any, value: Any) -> Any:
    """Sum of the squared steps, the first from 0."""
    steps = value[..., 1:] - value[..., :-1]
    return xp.square(value[..., 0]) + xp.sum(steps * steps, axis=-1)


def _log_density(xp: Any, value: Any, scale: Any, num_steps: int) -> Any:
    return -0.5 * _squares(xp, value) / (scale * scale) - xp.shape(value)[-1] * (xp.log(scale) + HALF_LOG_TWO_PI)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], scale: Any, num_steps: int) -> Any:
    return _transform(np, rng.standard_normal((*shape, int(num_steps))), scale, num_steps)


def _reference(scale: float, num_steps: int) -> Any:
    time = np.arange(1, num_steps + 1)
    return scipy_stats().multivariate_normal(np.zeros(num_steps), scale**2 * np.minimum.outer(time, time))


_EXPONENTIAL = ExponentialFamily(
    ranks=(0,),
    natural=lambda xp, scale, num_steps: (-0.5 / (scale * scale),),
    parameters=lambda xp, square, num_steps: {"scale": xp.sqrt(-0.5 / square), "num_steps": num_steps},
    statistics=lambda xp, value, num_steps: (_squares(xp, value),),
    mean_statistics=lambda xp, square, num_steps: (-0.5 * num_steps / square,),
    log_normaliser=lambda xp, square, num_steps: -0.5 * num_steps * xp.log(-2.0 * square),
    log_base=lambda xp, value, num_steps: 0.0 * value[..., 0] - num_steps * HALF_LOG_TWO_PI,
    fixed=("num_steps",),
)


def _transform(xp: Any, noise: Any, scale: Any, num_steps: int) -> Any:
    return column(xp, scale) * xp.cumsum(noise, axis=-1)


_NOISE = NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform)


DISTRIBUTIONS.register(
    Distribution(
        name="gaussian_random_walk",
        doc="Running sum of `num_steps` independent normals with mean 0 and standard deviation `scale`.",
        parameters=(Parameter("scale", "positive"), Parameter("num_steps", "count", length_of="t")),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        noise=_NOISE,
        event="(t)",
        entropy=lambda xp, scale, num_steps: num_steps * (0.5 + HALF_LOG_TWO_PI + xp.log(scale)),
        exponential=_EXPONENTIAL,
        examples=({"scale": 1.3, "num_steps": 4},),
        reference=_reference,
    )
)
