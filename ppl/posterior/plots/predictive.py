"""Posterior predictive checks: what the fit predicts beside what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ppl.errors import InferenceError
from ppl.posterior.plots.density import curve, is_discrete
from ppl.posterior.plots.marginals import QUANTILES
from ppl.posterior.plots.style import DATA, INK, MODEL, NARROW, QUIET, legend_below, new_figure, panel, without_scale
from ppl.source import nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ppl.posterior.draws import WeightedDraws

MOST_SINGLY, REPLICATES = 40, 40
"""Up to so many observations are shown one by one; of more the distribution, with so many predicted ones."""


def plot_predictive(outcomes: Mapping[str, np.ndarray], drawn: WeightedDraws, name: str | None) -> Figure:
    """See `Fit.plot_predictive`: what was observed of each outcome, and equally weighted predictions of it."""
    name = _outcome(name, list(outcomes))
    observed = np.asarray(outcomes[name], float).ravel()
    predicted = drawn.array(name).reshape(drawn.count, -1).astype(float)
    there = np.isfinite(observed)
    there[list(drawn.variables[name].absent)] = False
    observed, predicted = observed[there], predicted[:, there]
    low, high = np.quantile(predicted, [0.05, 0.95], axis=0)
    share = np.mean((observed >= low) & (observed <= high))
    figure = new_figure("plot_predictive", 7.0, 3.4)
    note = f"{100.0 * share:.0f} % of {len(observed)} observations lie in their 90 % intervals"
    axes = panel(figure.add_subplot(), f"{name}, predicted and observed", note)
    if len(observed) <= MOST_SINGLY:
        _one_by_one(axes, observed, predicted)
    elif is_discrete(observed):
        _frequencies(axes, observed, predicted)
    else:
        _densities(axes, observed, predicted)
    legend_below(figure)
    return figure


def _outcome(name: str | None, known: list[str]) -> str:
    if name is None and len(known) == 1:
        return known[0]
    if name in known:
        return str(name)
    near = nearest(name or "", known)
    hint = f"did you mean `{near}`?" if near else f"the outcomes are {', '.join(known) or 'none'}"
    raise InferenceError.of("E619", None, f"no outcome `{name}`" if name else "which outcome?", hint)


def _one_by_one(axes: Axes, observed: np.ndarray, predicted: np.ndarray) -> None:
    from matplotlib.ticker import MaxNLocator

    low, first, middle, third, high = np.quantile(predicted, QUANTILES, axis=0)
    places = np.arange(len(observed))
    axes.vlines(places, low, high, color=NARROW, linewidth=1.5, label="predicted, 90 %")
    axes.vlines(places, first, third, color=MODEL, linewidth=4.0, label="predicted, 50 %")
    axes.plot(places, middle, "o", color="white", markeredgecolor=MODEL, markersize=4.5)
    axes.plot(places, observed, "D", color=DATA, markersize=5.0, label="observed")
    axes.set_xlabel("observation", fontsize=9, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _frequencies(axes: Axes, observed: np.ndarray, predicted: np.ndarray) -> None:
    """How often each value was observed, and is predicted to be."""
    values = np.arange(min(observed.min(), np.quantile(predicted, 0.001)), observed.max() + 1)
    counts = np.array([[np.sum(row == value) for value in values] for row in predicted])
    low, middle, high = np.quantile(counts, [0.05, 0.5, 0.95], axis=0)
    axes.bar(
        values, [np.sum(observed == value) for value in values], width=0.6, color=DATA, alpha=0.6, label="observed"
    )
    axes.vlines(values, low, high, color=MODEL, linewidth=2.0, label="predicted, 90 %")
    axes.plot(values, middle, "o", color="white", markeredgecolor=MODEL, markersize=4.5)
    axes.set_ylabel("observations", fontsize=9, color=INK)


def _densities(axes: Axes, observed: np.ndarray, predicted: np.ndarray) -> None:
    for place, row in enumerate(predicted[:REPLICATES]):
        points, heights = curve(row)
        label = "predicted data sets" if place == 0 else None
        axes.plot(points, heights, color=NARROW, linewidth=0.7, alpha=0.7, label=label)
    points, heights = curve(observed)
    axes.plot(points, heights, color=DATA, linewidth=1.8, label="observed")
    axes.axhline(0.0, color=QUIET, linewidth=0.7)
    without_scale(axes)
