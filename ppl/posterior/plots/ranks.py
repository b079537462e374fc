"""Ranks of a calibration: their empirical distribution less the uniform one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior.plots.style import DATA, INK, MODEL, QUIET, WIDE, new_figure, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ppl.posterior.calibration.result import Calibration

MOST_NAMED = 4
"""So many lines that leave the band are named in a panel."""

_STYLES = ("-", "--", "-.", ":")


def plot_ranks(calibration: Calibration, names: Sequence[str] | None) -> Figure:
    """See `Calibration.plot`."""
    variables = list(dict.fromkeys(quantity.variable for quantity in calibration.quantities))
    unknown = [name for name in names or () if name not in variables]
    if unknown:
        raise InferenceError.of(
            "E611", None, f"no `{unknown[0]}` in the calibration", f"there are {', '.join(variables)}"
        )
    shown = variables if names is None else list(names)
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure("plot", 3.1 * columns + 0.6, 2.4 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, name in zip(grid.flat, shown, strict=False):
        _draw(axes, calibration, name)
    for place, axes in enumerate(grid.flat):
        axes.tick_params(labelbottom=place + columns >= len(shown))  # the lowest of its column
        if place >= len(shown):
            axes.set_axis_off()
    figure.supxlabel("rank of the truth among the draws (0 to 1)", fontsize=9, color=INK)
    figure.supylabel("share of fits with a lower rank, less expected", fontsize=9, color=INK)
    return figure


def _draw(axes: Axes, calibration: Calibration, name: str) -> None:
    places = [place for place, quantity in enumerate(calibration.quantities) if quantity.variable == name]
    elements = f"{len(places)} elements" if len(places) > 1 else ""
    panel(axes, name, elements)
    points = np.concatenate([[0.0], calibration.grid, [1.0]])
    low, high = (np.concatenate([[0.0], edge, [1.0]]) - points for edge in calibration.band)
    axes.fill_between(points, low, high, color=WIDE, linewidth=0.0, step="mid")
    axes.axhline(0.0, color=QUIET, linewidth=0.7)
    named = 0
    for place in places:
        found = calibration.p_values[place] < calibration.level
        share = np.mean(calibration.places[:, place, None] <= points, axis=0)
        label = calibration.quantities[place].name if found and named < MOST_NAMED else None
        style = _STYLES[named % len(_STYLES)] if found else "-"
        axes.plot(points, share - points, style, color=DATA if found else MODEL, linewidth=1.2, label=label)
        named += found
    if named:
        axes.legend(frameon=False, fontsize=7, loc="upper right")
