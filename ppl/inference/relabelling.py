"""Whether the elements of a plate could change places without anyone noticing, while the draws keep to one order.

The components of a mixture have no names of their own: the posterior has a mode for each of their orders, all of one
weight, and a fit of one of them is right in all but the evidence. Found by evaluation: the log density of draws is the
same after their elements have changed places.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.errors import DataError
from ppl.inference.evaluate import log_density
from ppl.model.model import Model, Site
from ppl.model.plan import Plan
from ppl.model.streamed import streamed_axis

MOST = 50
"""Elements of a plate up to which one looks."""
APART = 3.0
"""Elements keep their places where their means differ by more than so many times the sum of their sds."""
SAME = 1e-9
"""Relative difference of equal log densities."""


def kept_orders(plan: Plan, data: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """A note for each plate whose elements could change places, where the draws `values` (draws, …) keep one order.

    Looked for only where discrete unknowns are summed out, whose states the elements then describe, and where the data
    are in memory.
    """
    if not plan.enumerated or streamed_axis(plan.model) is not None:
        return ()
    continuous = [site for site in plan.model.latents if site.name in values and site not in plan.enumerated]
    axes = {axis.name: axis for site in continuous for axis in site.axes if 2 <= axis.size <= MOST}
    found = [axis.name for axis in axes.values() if _kept(continuous, axis, values)]
    return tuple(_note(name) for name in found if _exchangeable(plan.model, data, continuous, axes[name], values))


def _note(name: str) -> str:
    return (
        f"the elements of `{name}` could change places without a change of the density (label switching): the draws"
        " keep to one order, and the log evidence is that of this order alone; give one of them an order, as with"
        " `ordered(…)`"
    )


def _kept(sites: list[Site], axis: Axis, values: Mapping[str, np.ndarray]) -> bool:
    """Whether any two elements stay apart in some quantity."""
    for site in sites:
        if axis not in site.axes:
            continue
        draws = np.moveaxis(values[site.name], 1 + site.axes.index(axis), 1).reshape(
            len(values[site.name]), axis.size, -1
        )
        mean, sd = draws.mean(axis=0), draws.std(axis=0)
        gap = np.abs(mean[:, None] - mean[None]) - APART * (sd[:, None] + sd[None])
        if np.any(gap > 0):
            return True
    return False


def _exchangeable(
    model: Model, data: Mapping[str, Any], sites: list[Site], axis: Axis, values: Mapping[str, np.ndarray]
) -> bool:
    """Whether two changes of places that together make all of them leave the log density of a draw as it is.

    Event dimensions of the plate's size may have to change places too: which of them is settled by the density.
    """
    draw = {site.name: values[site.name][0] for site in sites}
    before = _total(model, data, draw)
    labels = sorted({str(dim.label) for site in sites for dim in site.dims if dim.size == axis.size})
    choices = [frozenset(some) for count in range(len(labels) + 1) for some in combinations(labels, count)]
    orders = (np.r_[1, 0, 2 : axis.size], np.roll(np.arange(axis.size), 1))
    return any(
        all(np.isclose(_total(model, data, _moved(sites, draw, axis, o, dims)), before, rtol=SAME) for o in orders)
        for dims in choices
    )


def _total(model: Model, data: Mapping[str, Any], draw: Mapping[str, np.ndarray]) -> float:
    """The log density; minus infinity where a value is outside its support, as one without its order is."""
    try:
        return sum(log_density(model, data, draw).values())
    except DataError:
        return -np.inf


def _moved(
    sites: list[Site], draw: Mapping[str, np.ndarray], axis: Axis, order: np.ndarray, dims: frozenset[str]
) -> dict[str, np.ndarray]:
    """The draw with the elements of an axis, and of event dimensions of these labels, in another order."""
    moved = dict(draw)
    for site in sites:
        places = [place for place, own in enumerate(site.axes) if own == axis]
        of_event = [place for place, dim in enumerate(site.dims) if dim.size == axis.size and str(dim.label) in dims]
        places += [len(site.axes) + place for place in of_event]
        for place in places:
            moved[site.name] = np.take(moved[site.name], order, axis=place)
    return moved
