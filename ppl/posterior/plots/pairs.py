"""Joint posteriors: every pair of some numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior.plots.chosen import choose
from ppl.posterior.plots.density import draw_density
from ppl.posterior.plots.style import INK, MODEL, new_figure, panel, without_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ppl.posterior.draws import WeightedDraws
    from ppl.posterior.fit import Fit

MOST, BY_DEFAULT, POINTS = 10, 5, 1000


def plot_pairs(fit: Fit, names: Sequence[str] | None, seed: int = 0) -> Figure:
    """See `Fit.plot_pairs`."""
    labels, numbers = _numbers(fit.posterior.resampled(POINTS, seed), names)
    size = len(labels)
    figure = new_figure("plot_pairs", 1.6 * size + 0.4, 1.5 * size + 0.4)
    grid = figure.subplots(size, size, sharex="col", squeeze=False)
    with np.errstate(all="ignore"):
        correlation = np.corrcoef(numbers, rowvar=False)
    for row in range(size):
        for column in range(size):
            axes = panel(grid[row, column])
            if row == column:
                draw_density(axes, numbers[:, row], None)
                without_scale(axes)
            elif column < row:
                axes.plot(
                    numbers[:, column], numbers[:, row], ".", color=MODEL, alpha=0.25, markersize=3, markeredgewidth=0
                )
            else:
                _write(axes, correlation[row, column])
            axes.tick_params(labelbottom=row == size - 1, labelleft=column == 0 < row)
            if row == size - 1:
                axes.set_xlabel(labels[column], fontsize=9, color=INK)
            if column == 0:
                axes.set_ylabel(labels[row], fontsize=9, color=INK)
    return figure


def _numbers(draws: WeightedDraws, names: Sequence[str] | None) -> tuple[list[str], np.ndarray]:
    """Labels and draws (draws, numbers) of the numbers to pair."""
    chosen = choose(draws, names)
    if names is None:
        chosen.sort(key=lambda each: len(each.elements) > 1)
    labels = [element for each in chosen for element in each.elements]
    numbers = np.concatenate([each.draws for each in chosen], axis=1).astype(float)
    if names is None:
        labels, numbers = labels[:BY_DEFAULT], numbers[:, :BY_DEFAULT]
    if not 2 <= len(labels) <= MOST:
        raise InferenceError.of(
            "E619", None, f"{len(labels)} number{'s' * (len(labels) != 1)} to pair", f"2 to {MOST} can be shown",
            'choose some by name: names=["mu", "theta[0]"]',
        )  # fmt: skip
    return labels, numbers


def _write(axes: Axes, correlation: float) -> None:
    axes.set_axis_off()
    strength = 0.35 + 0.65 * min(1.0, abs(correlation)) if np.isfinite(correlation) else 0.35
    axes.text(
        0.5, 0.5, f"{correlation:.2f}", transform=axes.transAxes, ha="center", va="center", fontsize=11,
        color=INK, alpha=strength,
    )  # fmt: skip
