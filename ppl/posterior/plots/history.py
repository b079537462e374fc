"""The ELBO along an optimisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior.plots.style import DATA, INK, MODEL, NARROW, legend_below, new_figure, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ppl.posterior.fit import Fit

SMOOTHED = 200
"""Histories of at least so many steps get a running mean over a fiftieth of them."""


def plot_history(fit: Fit) -> Figure:
    """See `Fit.plot_history`."""
    run = fit.run
    history = np.asarray(run.history, float)
    if len(history) < 2:
        raise InferenceError.of(
            "E619", None, f"this fit has no history: `{run.method}` does not climb the ELBO step by step",
            "its verdict says how good it is",
        )  # fmt: skip
    figure = new_figure("plot_history", 7.0, 3.2)
    ended = "converged" if run.converged else f"not converged: {run.stopped}"
    axes = panel(figure.add_subplot(), "ELBO along the way", ended)
    steps = np.arange(1, len(history) + 1)
    smooth = len(history) >= SMOOTHED
    axes.plot(steps, history, color=NARROW if smooth else MODEL, linewidth=0.8 if smooth else 1.4, label="each step")
    if smooth:
        window = len(history) // 50
        mean = np.convolve(history, np.full(window, 1.0 / window), mode="valid")
        axes.plot(steps[window - 1 :], mean, color=MODEL, linewidth=1.4, label=f"mean of {window} steps")
    axes.axhline(run.elbo, color=DATA, linewidth=1.0, linestyle="--", label=f"of the result, {run.elbo:.2f}")
    _zoom(axes, history, run.elbo)
    axes.set_xlabel("step" if run.method == "adam" else "gradient", fontsize=9, color=INK)
    axes.set_ylabel("nats", fontsize=9, color=INK)
    legend_below(figure)
    return figure


def _zoom(axes: Axes, history: np.ndarray, elbo: float) -> None:
    """The beginning may be off the picture: it is often far below what matters."""
    finite = history[np.isfinite(history)]
    if len(finite):
        low = min(float(np.quantile(finite, 0.1)), elbo)
        high = max(float(finite.max()), elbo)
        room = 0.1 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)
