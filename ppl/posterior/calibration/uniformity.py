"""Are numbers uniform on [0, 1]? An exact test with simultaneous bands around the empirical distribution function.

Säilynoja, Bürkner and Vehtari (2022), Graphical test for discrete uniformity and its applications in goodness-of-fit
evaluation and multiple sample comparison. At each of a grid of points the number of values below it is binomial; the
statistic is the smallest of the two-sided tail probabilities, and its distribution is computed, not simulated. Chosen
over a chi-square of binned ranks: no bins to choose, and sensitive to bias and to too narrow or too wide alike.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

MOST_POINTS = 100
"""The grid is as fine as there are values, up to this."""


def p_value(values: np.ndarray) -> float:
    """The probability that as many uniform numbers stray as far from the diagonal as these (n,)."""
    count = len(values)
    below = np.searchsorted(np.sort(values), grid(count), side="right")
    tails = _tails(count)
    return max(0.0, 1.0 - _inside(count, float(tails[np.arange(len(tails)), below].min())))


def grid(count: int) -> np.ndarray:
    """The points strictly between 0 and 1 at which `count` values are counted."""
    points = max(2, min(count, MOST_POINTS))
    return np.arange(1, points) / points


def band(count: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest share of `count` values below each point of the grid that the test at `alpha` accepts."""
    low, high = alpha / (2.0 * MOST_POINTS), 1.0  # the first is accepted whatever the dependence of the points
    for _ in range(30):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if 1.0 - _inside(count, middle) <= alpha else (low, middle)
    accepted = _tails(count) > low
    lowest = accepted.argmax(axis=1)
    highest = count - accepted[:, ::-1].argmax(axis=1)
    return lowest / count, highest / count


@lru_cache(maxsize=8)
def _tails(count: int) -> np.ndarray:
    """Twice the smaller tail of Binomial(count, z) at each number of values below z: (grid, count + 1)."""
    from scipy.special import bdtr

    numbers = np.arange(count + 1)
    points = grid(count)[:, None]
    below = bdtr(numbers, count, points)
    above = np.where(numbers > 0, bdtr(count - numbers, count, 1.0 - points), 1.0)
    return np.minimum(2.0 * np.minimum(below, above), 1.0)


@lru_cache(maxsize=4096)
def _inside(count: int, tail: float) -> float:
    """The probability that every tail is larger than `tail`, for uniform values.

    The numbers of values in the cells of the grid are independent Poisson numbers, given their sum: a walk over the
    cells, its mass outside the accepted numbers dropped at every point.
    """
    from scipy.special import gammaln

    accepted = _tails(count) > tail
    mean = count / (len(accepted) + 1)
    numbers = np.arange(count + 1)
    cell = np.exp(numbers * math.log(mean) - mean - gammaln(numbers + 1))
    mass = np.zeros(count + 1)
    mass[0] = 1.0
    for kept in accepted:
        mass = np.convolve(mass, cell)[: count + 1] * kept
    reached = float(mass @ cell[::-1])
    return min(reached / math.exp(count * math.log(count) - count - math.lgamma(count + 1)), 1.0)
