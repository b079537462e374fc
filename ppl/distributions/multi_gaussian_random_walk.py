"""The Gaussian random walk of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, scipy_stats
from ppl.distributions.multi_normal import (
    COVARIANCE,
    FACTOR,
    SPREAD,
    covariance_factor,
    half_log_determinant,
    squared_distance,
)


def _log_density(xp: Any, value: Any, num_steps: int, **spread: Any) -> Any:
    steps = xp.concatenate([value[..., :1, :], value[..., 1:, :] - value[..., :-1, :]], axis=-2)
    each = {name: matrix[..., None, :, :] for name, matrix in spread.items()}
    distance = xp.sum(squared_distance(xp, steps, **each), axis=-1)
    return -0.5 * distance - _log_volume(xp, xp.shape(value)[-2], **spread)


def _log_volume(xp: Any, steps: Any, **spread: Any) -> Any:
    """Minus the log density of a walk that stays at 0."""
    (matrix,) = spread.values()
    return steps * (half_log_determinant(xp, **spread) + xp.shape(matrix)[-1] * HALF_LOG_TWO_PI)


def _transform(xp: Any, noise: Any, num_steps: int, **spread: Any) -> Any:
    factor = xp.swapaxes(covariance_factor(xp, **spread), -1, -2)
    return xp.cumsum(xp.matmul(noise, factor), axis=-2)


def _sample(rng: np.random.Generator, shape: tuple[int, ...], num_steps: int, **spread: Any) -> Any:
    (matrix,) = spread.values()
    return _transform(np, rng.standard_normal((*shape, int(num_steps), np.shape(matrix)[-1])), num_steps, **spread)


def _entropy(xp: Any, num_steps: int, **spread: Any) -> Any:
    (matrix,) = spread.values()
    return _log_volume(xp, num_steps, **spread) + 0.5 * num_steps * xp.shape(matrix)[-1]


def _reference(num_steps: int, **spread: Any) -> Any:
    time = np.arange(1, num_steps + 1)
    factor = np.asarray(covariance_factor(np, **spread))
    return scipy_stats().matrix_normal(None, np.minimum.outer(time, time), factor @ factor.T)


DISTRIBUTIONS.register(
    Distribution(
        name="multi_gaussian_random_walk",
        doc="Running sum of `num_steps` independent vectors, normal with mean 0 and covariance `cov`; or its inverse "
        "`prec`; or its Cholesky factor `chol`.",
        parameters=(*SPREAD[:1], Parameter("num_steps", "count", length_of="t"), *SPREAD[1:]),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(t,n)",
        noise=NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform),
        entropy=_entropy,
        examples=(
            {"cov": COVARIANCE, "num_steps": 2},
            {"num_steps": 2, "prec": COVARIANCE},
            {"num_steps": 2, "chol": FACTOR},
        ),
        reference=_reference,
    )
)
