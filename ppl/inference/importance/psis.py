"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao, Gabry 2024, JMLR 25:72).

The largest importance weights are replaced by the quantiles of a generalised Pareto distribution fitted to
them (Zhang & Stephens 2009); its shape, k-hat, says how far the weights can be trusted.
"""

from __future__ import annotations

import math

import numpy as np

FEWEST_TAIL_DRAWS = 5
_PRIOR_DRAWS, _PRIOR_SHAPE = 10, 0.5  # what the fitted shape is pulled to, and how strongly
_EQUAL = 1e-10  # log weights this close are equal: rounding, not a tail


def threshold(draws: int) -> float:
    """The k-hat up to which this many draws give a reliable estimate."""
    return min(1.0 - 1.0 / math.log10(draws), 0.7) if draws > 1 else -math.inf


def log_mean_weight(log_weights: np.ndarray) -> float:
    """The log of the mean weight: of the evidence, an estimate whose exponential is unbiased."""
    top = log_weights.max()
    return float(top + np.log(np.mean(np.exp(log_weights - top))))


def log_ratios(log_p: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """log p - log q at draws of q: (draws,). Where p is not a number the weight is zero."""
    ratios = log_p - log_q
    return np.where(np.isnan(ratios), -np.inf, ratios)


def psis(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Smoothed, self-normalised log weights (draws,), and k-hat.

    k-hat is -inf where the largest weights are all equal (there is no tail), and +inf where it cannot be told: too few
    draws, or weights that are NaN or infinite. Those count as zero; if none is left, all are equal.
    """
    unusable = np.isnan(log_weights) | (log_weights == np.inf)
    weights = np.where(unusable, -np.inf, log_weights)
    top = weights.max(initial=-np.inf)
    if top == -np.inf:
        return np.full(len(weights), -math.log(max(len(weights), 1))), math.inf
    weights = weights - top
    khat = _smooth_tail(weights)
    return weights - math.log(np.exp(weights).sum()), math.inf if unusable.any() else khat


def tail_size(draws: int) -> int:
    """How many of the largest weights are smoothed: ceil(min(0.2 S, 3 sqrt(S)))."""
    return math.ceil(min(draws / 5, 3 * math.sqrt(draws)))


def _smooth_tail(weights: np.ndarray) -> float:
    """Smooth, in place, the largest of log weights whose maximum is 0; k-hat."""
    size = tail_size(len(weights))
    if size < FEWEST_TAIL_DRAWS:
        return math.inf
    order = np.argsort(weights)
    tail = order[-size:]
    if weights[tail[-1]] - weights[tail[0]] < _EQUAL:
        return -math.inf
    cutoff = np.exp(weights[order[-size - 1]])
    with np.errstate(all="ignore"):
        shape, scale = _fit_generalised_pareto(np.exp(weights[tail]) - cutoff)
        if not (np.isfinite(shape) and scale > 0.0):
            return math.inf
        survival = -np.log1p(-(np.arange(size) + 0.5) / size)
        excess = scale * (np.expm1(shape * survival) / shape if shape else survival)
        weights[tail] = np.minimum(np.log(cutoff + excess), 0.0)
    return float(shape)


def _fit_generalised_pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale for ascending excesses: the estimator of Zhang & Stephens, with a weak prior on the shape."""
    count = len(excess)
    points = 30 + math.isqrt(count)
    quartile = excess[int(count / 4 + 0.5) - 1]
    theta = (1.0 - np.sqrt(points / (np.arange(points) + 0.5))) / (3.0 * quartile) + 1.0 / excess[-1]
    shapes = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = count * (np.log(-theta / shapes) - shapes - 1.0)
    weights = np.exp(profile - profile.max())
    weights /= weights.sum()
    weights[weights < 10 * np.finfo(float).eps] = 0.0
    best = float(theta @ weights / weights.sum())
    shape = float(np.log1p(-best * excess).mean())
    pulled = (count * shape + _PRIOR_DRAWS * _PRIOR_SHAPE) / (count + _PRIOR_DRAWS)
    return pulled, -shape / best
