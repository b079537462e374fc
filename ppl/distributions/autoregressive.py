"""Gaussian autoregressive series."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.distributions.base import DISTRIBUTIONS, Distribution, NoiseForm, Parameter, fixed_support
from ppl.distributions.formulas import HALF_LOG_TWO_PI, column, scipy_stats


def _filter(xp: Any, coefficients: Any, size: int) -> Any:
    """The triangular matrix that takes a series to its innovations."""
    lags = min(xp.shape(coefficients)[-1], size - 1)
    shifts = np.stack([np.eye(size, k=-lag) for lag in range(1, lags + 1)]) if lags else np.zeros((0, size, size))
    return np.eye(size) - xp.sum(coefficients[..., :lags, None, None] * shifts, axis=-3)


def _log_density(xp: Any, value: Any, coefficients: Any, scale: Any, num_steps: int) -> Any:
    size = xp.shape(value)[-1]
    innovations = value
    for lag in range(1, min(xp.shape(coefficients)[-1], size - 1) + 1):
        zeros = 0.0 * value[..., :lag]
        earlier = xp.concatenate([zeros, value[..., :-lag]], axis=-1)
        innovations = innovations - coefficients[..., lag - 1, None] * earlier
    squares = xp.sum(innovations * innovations, axis=-1)
    return -0.5 * squares / (scale * scale) - size * (xp.log(scale) + HALF_LOG_TWO_PI)


def _transform(xp: Any, noise: Any, coefficients: Any, scale: Any, num_steps: int) -> Any:
    size = xp.shape(noise)[-1]
    right = column(xp, scale) * noise
    whitener = _filter(xp, coefficients, size) + xp.zeros((*xp.shape(right)[:-1], 1, 1))
    return xp.solve_triangular(whitener, right[..., None], True)[..., 0]


def _sample(rng: np.random.Generator, shape: tuple[int, ...], coefficients: Any, scale: Any, num_steps: int) -> Any:
    """By the recurrence."""
    size, order = int(num_steps), np.shape(coefficients)[-1]
    weights = np.broadcast_to(coefficients, (*shape, order))[..., ::-1]
    series = np.zeros((*shape, order + size))
    series[..., order:] = column(np, scale) * rng.standard_normal((*shape, size))
    for step in range(order, order + size):
        series[..., step] += np.sum(weights * series[..., step - order : step], axis=-1)
    return series[..., order:]


def _reference(coefficients: Any, scale: float, num_steps: int) -> Any:
    inverse = np.linalg.inv(_filter(np, np.asarray(coefficients, dtype=float), num_steps))
    return scipy_stats().multivariate_normal(np.zeros(num_steps), scale**2 * inverse @ inverse.T)


DISTRIBUTIONS.register(
    Distribution(
        name="autoregressive",
        doc="`num_steps` values, each `coefficients` times the values before it (the latest first; 0 before the start) "
        "and a normal with standard deviation `scale`.",
        parameters=(
            Parameter("coefficients", "real", "(p)"),
            Parameter("scale", "positive"),
            Parameter("num_steps", "count", length_of="t"),
        ),
        support=fixed_support("real"),
        log_density=_log_density,
        sample=_sample,
        event="(t)",
        noise=NoiseForm(lambda rng, shape: rng.standard_normal(shape), _transform),
        entropy=lambda xp, coefficients, scale, num_steps: (
            num_steps * (0.5 + HALF_LOG_TWO_PI + xp.log(scale)) + 0.0 * xp.sum(coefficients, axis=-1)
        ),
        examples=(
            {"coefficients": (0.6, -0.3), "scale": 1.3, "num_steps": 4},
            {"coefficients": (0.9, 0.2, 0.1), "scale": 0.7, "num_steps": 2},
        ),
        reference=_reference,
    )
)
