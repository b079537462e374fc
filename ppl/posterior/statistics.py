"""Weighted moments and quantiles along the first axis. Weights are normalised; None stands for equal ones."""

from __future__ import annotations

from typing import Any

import numpy as np

_quiet = np.errstate(invalid="ignore", over="ignore")  # a fit that ran away has infinite draws, and says so itself


@_quiet
def mean(draws: np.ndarray, weights: np.ndarray | None) -> Any:
    return draws.mean(axis=0) if weights is None else np.tensordot(weights, draws, axes=1)


@_quiet
def sd(draws: np.ndarray, weights: np.ndarray | None) -> Any:
    """Standard deviation, unbiased for the variance where weights are equal; 0 for one draw, or one seen many times."""
    if draws.strides[0] == 0:
        return np.zeros(draws.shape[1:])[()]
    if weights is None:
        weights = np.full(len(draws), 1.0 / len(draws))
    centred = draws - mean(draws, weights)
    left = 1.0 - weights @ weights
    if left < 1e-12:
        return np.zeros(draws.shape[1:])[()]
    return np.sqrt(np.tensordot(weights, centred * centred, axes=1) / left)


@_quiet
def quantile(draws: np.ndarray, weights: np.ndarray | None, q: Any) -> np.ndarray:
    """Quantiles `q` (…) of draws (draws, *shape), truth values as 0 and 1: (…, *shape). NaN where a draw is NaN.

    With weights, linear between the draws, each standing at the middle of its share of the distribution.
    """
    if weights is None:
        return np.quantile(np.asarray(draws, float), q, axis=0)
    flat = draws.reshape(len(draws), -1)
    order = np.argsort(flat, axis=0)
    values = np.take_along_axis(flat, order, axis=0).astype(float)
    shares = weights[order]
    middles = np.cumsum(shares, axis=0) - 0.5 * shares
    wanted = np.atleast_1d(np.asarray(q, float))
    columns = [_interpolated(wanted.ravel(), middles[:, i], values[:, i]) for i in range(flat.shape[1])]
    return np.reshape(np.transpose(columns), np.shape(q) + draws.shape[1:])


def _interpolated(q: np.ndarray, middles: np.ndarray, values: np.ndarray) -> np.ndarray:
    # NaN sorts last
    return np.full(len(q), np.nan) if np.isnan(values[-1]) else np.interp(q, middles, values)
