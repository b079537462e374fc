"""Densities of weighted draws, as curves or as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.posterior import statistics
from ppl.posterior.plots.style import MODEL, WIDE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS, MOST_BARS = 512, 40


def curve(draws: np.ndarray, weights: np.ndarray | None = None, cut: float = 0.002) -> tuple[np.ndarray, np.ndarray]:
    """A Gaussian kernel estimate: points and heights.

    Silverman's bandwidth; draws (n,) beyond the `cut` and 1 - `cut` quantiles are left out of the picture but not of
    the heights, and mass that the kernel puts beyond the outermost draws is reflected.
    """
    low, first, third, high = (float(q) for q in statistics.quantile(draws, weights, [cut, 0.25, 0.75, 1.0 - cut]))
    shares = np.full(len(draws), 1.0 / len(draws)) if weights is None else weights
    inside = (draws >= low) & (draws <= high)
    if not high > low:
        return np.array([low, low]), np.array([0.0, 1.0])
    sd = float(statistics.sd(draws[inside], shares[inside] / shares[inside].sum()))
    scale = min(sd, (third - first) / 1.34) or sd
    width = 0.9 * scale * (1.0 / np.sum(shares**2)) ** -0.2
    mass, edges = np.histogram(draws[inside], bins=_BINS, range=(low, high), weights=shares[inside])
    step = edges[1] - edges[0]
    reach = min(max(1, int(np.ceil(4.0 * width / step))), _BINS)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    padded = np.concatenate([mass[:reach][::-1], mass, mass[::-1][:reach]])
    heights = np.convolve(padded, kernel / kernel.sum(), mode="valid") / step
    return 0.5 * (edges[1:] + edges[:-1]), heights


def is_discrete(draws: np.ndarray) -> bool:
    """Whether bars show these draws better than a curve: few values, all of them whole."""
    values = np.unique(draws)
    return len(values) <= MOST_BARS and bool(np.all(values == np.round(values)))


def draw_density(axes: Axes, draws: np.ndarray, weights: np.ndarray | None, **style: Any) -> None:
    """The density of one number with the central 90 % shaded and a line at the median, or the share of each value."""
    draws = np.asarray(draws, float)
    if is_discrete(draws):
        values, which = np.unique(draws, return_inverse=True)
        axes.bar(values, np.bincount(which, weights, len(values)) / (len(draws) if weights is None else 1.0),
                 width=0.6, color=MODEL, **style)  # fmt: skip
        return
    points, heights = curve(draws, weights)
    low, middle, high = (float(q) for q in statistics.quantile(draws, weights, [0.05, 0.5, 0.95]))
    inside = (points >= low) & (points <= high)
    axes.fill_between(points[inside], heights[inside], color=WIDE, linewidth=0.0)
    axes.plot(points, heights, color=MODEL, linewidth=1.3, **style)
    axes.plot([middle, middle], [0.0, np.interp(middle, points, heights)], color=MODEL, linewidth=1.0)
