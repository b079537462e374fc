"""Marginal posteriors: a density for each number, intervals for arrays, a band for long ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior import statistics
from ppl.posterior.plots.chosen import Chosen, choose
from ppl.posterior.plots.density import draw_density
from ppl.posterior.plots.style import MODEL, NARROW, QUIET, WIDE, new_figure, panel, without_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ppl.posterior.fit import Fit

MOST_INTERVALS = 40
"""Longer arrays are shown as a band over their index."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def plot_marginals(fit: Fit, names: Sequence[str] | None) -> Figure:
    """See `Fit.plot`."""
    chosen = [each for each in choose(fit.posterior, names) if each.elements]
    if not chosen:
        raise InferenceError.of("E619", None, f"there is nothing unknown in `{fit.name}` to show")
    rows = _rows([each for each in chosen if len(each.elements) == 1], 3)
    rows += _rows([each for each in chosen if len(each.elements) > 1], 2)
    heights = [max(_height(each) for each in row if each) for row in rows]
    figure = new_figure("plot", 9.0, sum(heights))
    grid = figure.add_gridspec(len(rows), 6, height_ratios=heights)
    for place, row in enumerate(rows):
        span = 6 // len(row)
        for column, each in enumerate(row):
            if each is not None:
                axes = figure.add_subplot(grid[place, column * span : (column + 1) * span])
                _draw(axes, each, fit.posterior.weights)
    return figure


def _rows(chosen: list[Chosen], most: int) -> list[list[Chosen | None]]:
    """Rows of up to `most` panels of one width; None fills the last one."""
    width = max(1, min(most, len(chosen)))
    filled = [*chosen, *[None] * (-len(chosen) % width)]
    return [filled[start : start + width] for start in range(0, len(filled), width)]


def _height(chosen: Chosen) -> float:
    """Inches."""
    count = len(chosen.elements)
    return 2.0 if count == 1 else 2.8 if count > MOST_INTERVALS else 0.8 + 0.24 * count


def _draw(axes: Axes, chosen: Chosen, weights: np.ndarray | None) -> None:
    if len(chosen.elements) == 1:
        draws = chosen.draws[:, 0]
        mean, sd = statistics.mean(draws, weights), statistics.sd(draws, weights)
        panel(axes, chosen.name, f"mean {mean:.3g}, sd {sd:.2g}")
        draw_density(axes, draws, weights, label=chosen.name)
        without_scale(axes)
        return
    panel(axes, chosen.name, "median, 50 % and 90 %")
    quantiles = statistics.quantile(chosen.draws, weights, QUANTILES)
    if len(chosen.elements) > MOST_INTERVALS:
        draw_band(axes, np.arange(len(chosen.elements)), quantiles)
        axes.set_xlabel("element", fontsize=8)
    else:
        _draw_intervals(axes, chosen.elements, quantiles)


def _draw_intervals(axes: Axes, labels: Sequence[str], quantiles: np.ndarray) -> None:
    """One line for each element, the first on top. `quantiles` are (5, elements)."""
    low, first, middle, third, high = quantiles
    places = np.arange(len(labels))
    if low.min() < 0.0 < high.max():
        axes.axvline(0.0, color=QUIET, linewidth=0.7, linestyle=":")
    axes.hlines(places, low, high, color=NARROW, linewidth=1.2)
    axes.hlines(places, first, third, color=MODEL, linewidth=3.5)
    axes.plot(middle, places, "o", color="white", markeredgecolor=MODEL, markersize=4.5)
    axes.set_yticks(places, labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)


def draw_band(axes: Axes, places: np.ndarray, quantiles: np.ndarray) -> None:
    """Median and intervals over an index. `quantiles` are (5, elements)."""
    low, first, middle, third, high = quantiles
    axes.fill_between(places, low, high, color=WIDE, linewidth=0.0)
    axes.fill_between(places, first, third, color=NARROW, linewidth=0.0)
    axes.plot(places, middle, color=MODEL, linewidth=1.2)
    axes.margins(x=0.01)
