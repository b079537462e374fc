"""What all pictures share: how a figure begins, its colours, and what a panel looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ppl.errors import InferenceError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, WIDE, NARROW = "#1f5f8b", "#c9dcea", "#7fb0d1"
"""Of the posterior: lines, its 90 % and its 50 % intervals."""
DATA, QUIET, INK = "#c8553d", "#9aa0a6", "#333333"
"""Of what was observed or stands out, of what stands back, and of text."""


def new_figure(what: str, width: float, height: float) -> Figure:
    """An empty figure, in inches, that belongs to nobody else. Raises InferenceError without matplotlib."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise InferenceError.of("E617", None, f"`{what}` needs matplotlib", "pip install 'ppl[plot]'") from error
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(wspace=0.06, hspace=0.06))


def panel(axes: Axes, title: str = "", note: str = "") -> Axes:
    """Two thin spines, a title on the left and a remark on the right."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(QUIET)
    axes.tick_params(colors=INK, labelsize=8, color=QUIET)
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    if note:
        axes.set_title(note, loc="right", fontsize=8, color=QUIET)
    return axes


def without_scale(axes: Axes) -> None:
    """No vertical axis: heights of a density say nothing by themselves."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(bottom=0.0)


def legend_below(figure: Figure) -> None:
    """What the lines are, where they cannot be in its way."""
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8, labelcolor=INK)
