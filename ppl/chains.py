"""Hidden Markov chains: sums over all their paths, marginals and draws, in logarithms.

`log_weights` have the shape (steps, *batch, states before, states): the weight of each state at each step given the one
before. At the first step there is none before: those of the first state before are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any


_MANY = 1000
"""Elements of a step from which its sums are taken by way of exponentials: less work for each, but more calls."""


def filtered(log_weights: np.ndarray) -> np.ndarray:
    """For each step the log sum of the weights of all paths up to each of its states: (steps, *batch, states)."""
    log_weights = np.ascontiguousarray(log_weights)
    sums = np.empty((*log_weights.shape[:-2], log_weights.shape[-1]))
    sums[0] = log_weights[0][..., 0, :]
    add = _summing(log_weights)
    for t in range(1, len(sums)):
        sums[t] = add(sums[t - 1][..., :, None] + log_weights[t], -2)
    return sums


def total(log_weights: np.ndarray) -> np.ndarray:
    """The log sum of the weights of all paths: (*batch,)."""
    return log_sum(filtered(log_weights)[-1], -1)


def pairs(log_weights: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """The probability of each pair of states at a step and before, which are the slopes of `total`.

    `before` is what `filtered` gives, where that is known.
    """
    log_weights = np.ascontiguousarray(log_weights)
    before = filtered(log_weights) if before is None else before
    every = log_sum(before[-1], -1)
    base = np.where(np.isfinite(every), every, 0.0)[..., None, None]
    ahead = _ahead(log_weights)
    found = np.zeros(log_weights.shape)
    joined = log_weights[1:] + ahead[1:, ..., None, :]
    joined += before[:-1, ..., :, None]
    np.exp(np.subtract(joined, base, out=joined), out=found[1:])
    found[0][..., 0, :] = np.exp(before[0] + ahead[0] - base[..., 0])
    return found


def _ahead(log_weights: np.ndarray) -> np.ndarray:
    """For each step the log sum of the weights of all paths from each of its states on: (steps, *batch, states)."""
    ahead = np.zeros((*log_weights.shape[:-2], log_weights.shape[-1]))
    add = _summing(log_weights)
    for t in range(len(ahead) - 1, 0, -1):
        ahead[t - 1] = add(log_weights[t] + ahead[t][..., None, :], -1)
    return ahead


def _summing(log_weights: np.ndarray) -> Callable[[np.ndarray, int], np.ndarray]:
    """How the sums of one step are taken."""
    return log_sum if log_weights[0].size >= _MANY else np.logaddexp.reduce


def marginals(log_weights: np.ndarray) -> np.ndarray:
    """The probability of each state at each step: (steps, *batch, states)."""
    return pairs(log_weights).sum(axis=-2)


def drawn(rng: np.random.Generator, log_weights: np.ndarray) -> np.ndarray:
    """One path for each element of the batch, by its weight: positions of states, (steps, *batch)."""
    before = filtered(log_weights)
    uniform = rng.random(before.shape[:-1])
    path = np.empty(before.shape[:-1], np.int64)
    path[-1] = _picked(before[-1], uniform[-1])
    for t in range(len(path) - 2, -1, -1):
        taken = np.take_along_axis(log_weights[t + 1], path[t + 1][..., None, None], axis=-1)[..., 0]
        path[t] = _picked(before[t] + taken, uniform[t])
    return path


def log_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """log sum exp along an axis; minus infinity where all are."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x - top), axis=axis)) + np.squeeze(top, axis)


def _picked(log_weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Positions along the last axis, by inverting the running sum of the weights."""
    top = np.max(log_weights, axis=-1, keepdims=True)
    edges = np.cumsum(np.exp(log_weights - np.where(np.isfinite(top), top, 0.0)), axis=-1)
    return np.sum(edges[..., :-1] <= uniform[..., None] * edges[..., -1:], axis=-1)


def pair_changes(log_weights: np.ndarray, before: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How `pairs` change as the weights move in directions (directions, *shape of the weights), of the same shape.

    This is the product of the Hessian of `total` with each direction, which is symmetric. `before` is what `filtered`
    gives.
    """
    moves = np.moveaxis(np.asarray(directions), 0, 1)  # steps first
    ahead = _ahead(log_weights)
    upward, downward = np.zeros(_without(moves.shape, -2)), np.zeros(_without(moves.shape, -2))
    upward[0] = moves[0][..., 0, :]
    for t in range(1, len(before)):
        share = _share(before[t - 1][..., :, None] + log_weights[t], before[t][..., None, :])
        upward[t] = np.sum(share * (upward[t - 1][..., :, None] + moves[t]), axis=-2)
    for t in range(len(before) - 1, 0, -1):
        share = _share(log_weights[t] + ahead[t][..., None, :], ahead[t - 1][..., :, None])
        downward[t - 1] = np.sum(share * (moves[t] + downward[t][..., None, :]), axis=-1)
    every = log_sum(before[-1], -1)
    total = np.sum(_share(before[-1], every[..., None]) * upward[-1], axis=-1)[..., None, None]
    changes = moves + downward[..., None, :] - total
    changes[1:] += upward[:-1][..., :, None]
    return np.moveaxis(pairs(log_weights, before)[:, None] * changes, 0, 1)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """exp(part - whole), 0 where the part has no weight."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(part), np.exp(part - whole), 0.0)


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(np.delete(shape, axis))
