"""Whether chains agree, and how many independent draws they are worth (Vehtari, Gelman, Simpson, Carpenter and
Bürkner 2021, Rank-normalization, folding, and localization: an improved R-hat).
"""

from __future__ import annotations

import numpy as np


def nested_rhat(draws: np.ndarray, groups: int) -> np.ndarray:
    """R-hat of draws (iterations, chains, …) whose chains form `groups`, one after the other, each from one start: (…).

    Every group is cut into its earlier and its later half, so that a drift all chains share is seen too. With many
    short chains the means of groups tell what means of single ones are too noisy for (Margossian et al. 2024, Nested
    R-hat: assessing the convergence of Markov chain Monte Carlo when running many short chains).
    """
    half = len(draws) // 2
    if half < 2:
        return np.full(draws.shape[2:], np.inf)
    parts = np.stack([draws[:half], draws[len(draws) - half :]])
    parts = parts.reshape(2, half, groups, -1, *draws.shape[2:])
    chains = parts.mean(axis=1)
    within = parts.var(axis=1, ddof=1).mean(axis=(0, 1, 2))
    if parts.shape[3] > 1:
        within = within + chains.var(axis=2, ddof=1).mean(axis=(0, 1))
    between = chains.mean(axis=2).reshape(2 * groups, *draws.shape[2:]).var(axis=0, ddof=1)
    with np.errstate(all="ignore"):
        return np.where(within > 0, np.sqrt(1.0 + between / within), np.where(between > 0, np.inf, 1.0))


def effective_draws(draws: np.ndarray) -> np.ndarray:
    """The effective number of draws (iterations, chains, …) for their mean: (…).

    From the autocorrelations of all chains together, cut off by Geyer's initial positive sequence.
    """
    iterations, chains = draws.shape[:2]
    if iterations < 4:
        return np.zeros(draws.shape[2:])
    covariances = _autocovariance(draws)
    within = covariances[0].mean(axis=0) * iterations / (iterations - 1)
    total = within * (iterations - 1) / iterations + draws.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(all="ignore"):
        correlations = 1.0 - (within - covariances.mean(axis=1)) / total
    correlations[0] = 1.0
    even = iterations // 2
    pairs = correlations[: 2 * even].reshape(even, 2, *correlations.shape[1:]).sum(axis=1)
    pairs = np.where(np.logical_and.accumulate(pairs > 0, axis=0), pairs, 0.0)
    pairs = np.minimum.accumulate(pairs, axis=0)
    time = np.maximum(2.0 * pairs.sum(axis=0) - 1.0, 1.0 / np.log10(iterations * chains))
    return np.where(np.isfinite(time), iterations * chains / time, 0.0)


def worst_rhat(rows: np.ndarray, groups: int) -> float:
    """The largest R-hat, of the coordinates of rows (iterations, chains, dim) and of their squared deviations."""
    return max(float(nested_rhat(part, groups).max()) for part in (rows, _squares(rows)))


def worst_effective(rows: np.ndarray) -> float:
    """The smallest effective number of draws, of the coordinates of rows and of their squared deviations."""
    return min(float(effective_draws(part).min()) for part in (rows, _squares(rows)))


def _squares(rows: np.ndarray) -> np.ndarray:
    return (rows - rows.mean(axis=(0, 1))) ** 2


def _autocovariance(draws: np.ndarray) -> np.ndarray:
    """Of each chain, at every lag: the shape of the draws."""
    count = len(draws)
    transformed = np.fft.rfft(draws - draws.mean(axis=0), n=2 * count, axis=0)
    return np.fft.irfft(np.abs(transformed) ** 2, axis=0)[:count] / count
