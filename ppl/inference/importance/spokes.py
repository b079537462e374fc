"""Tails along single coordinates: independent Student-t, where a multivariate one has its mass in all at once.

Independent unknowns with heavy tails have mass far out where one of them is far out and the others are not. A
multivariate Student-t hardly goes there, however wide, and weights of draws that never went there do not tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

TAIL_DF = 1.5
_IQR = 1.349
"""The interquartile range of a standard normal."""


@dataclass(frozen=True)
class Spokes:
    """`mean + factor t` with independent Student-t coordinates t."""

    mean: np.ndarray
    factor: np.ndarray
    df: float = TAIL_DF

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Antithetic pairs: (draws, dim), `draws` even."""
        half = rng.standard_t(self.df, (draws // 2, len(self.mean)))
        return self.mean + np.concatenate([half, -half]) @ self.factor.T

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        standard, half = np.linalg.solve(self.factor, (rows - self.mean).T), 0.5 * (self.df + 1.0)
        one = math.lgamma(half) - math.lgamma(0.5 * self.df) - 0.5 * math.log(self.df * math.pi)
        log_det = np.linalg.slogdet(self.factor)[1]
        return len(self.mean) * one - log_det - half * np.sum(np.log1p(standard**2 / self.df), axis=0)


def spokes(rows: np.ndarray, weights: np.ndarray, covariance: np.ndarray) -> Spokes:
    """Around weighted rows (draws, dim), with their correlations.

    The scales are those of the quartiles where these are narrower than the sds (dim,), which far tails stretch.
    """
    low, middle, high = _quartiles(rows, weights)
    sd = np.sqrt(np.diag(covariance))
    scale = np.minimum((high - low) / _IQR, sd)
    scale = np.where(scale > 0.0, scale, sd)
    return Spokes(middle, scale[:, None] * np.linalg.cholesky(covariance / np.outer(sd, sd)))


def _quartiles(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3, dim)."""
    order = np.argsort(rows, axis=0)
    heights = np.cumsum(weights[order], axis=0)
    levels = (0.25, 0.5, 0.75)
    sorted_rows = np.take_along_axis(rows, order, axis=0)
    return np.array([np.interp(levels, heights[:, k], sorted_rows[:, k]) for k in range(rows.shape[1])]).T
