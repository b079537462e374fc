"""The score-function estimator, Rao-Blackwellised by the graph, with a baseline.

Ranganath, Gerrish and Blei (2014), Black box variational inference. The baseline of a draw is the mean over the
other draws (Kool, van Hoof and Welling 2019), or one number for each element, learned by regression (Mnih and Gregor
2014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ppl.axes import Axis
from ppl.runtime.trace import CostValue, Trace

Array = Any
BASELINES = ("leave_one_out", "learned", "none")


def surrogate(
    xp: Any,
    trace: Trace,
    costs: Sequence[CostValue],
    scored: Mapping[str, tuple[Axis, ...]],
    baseline: str = "leave_one_out",
    learned: Mapping[str, Array] | None = None,
) -> Array:
    """Sum over scored sites of the mean over draws of `log q(z) * stop(R - baseline)`; `scored` gives their plates.

    R is the sum of the costs downstream of the site, element n of a plate keeping its own local ones. `learned` has
    a number for each element; then the squared error of it as a prediction of R is taken off, so that it learns.
    """
    total: Array = 0.0
    for name, axes in scored.items():
        reward = downstream(xp, name, axes, costs)
        if baseline == "leave_one_out":
            reward = reward - leave_one_out(xp, reward, trace.draws)
        elif learned is not None:
            error = xp.stop_gradient(reward) - learned[name]
            total = total - 0.5 * xp.sum(error * error) / trace.draws
            reward = error
        total = total + xp.sum(trace.records[name].log_q * xp.stop_gradient(reward)) / trace.draws
    return total


def weighted(xp: Any, trace: Trace, scored: Mapping[str, tuple[Axis, ...]], score: Array) -> Array:
    """Sum over scored sites and draws of `log q(z) * score`, for objectives that are not sums over draws."""
    total: Array = 0.0
    for name, axes in scored.items():
        log_q = trace.records[name].log_q
        total = total + xp.sum(xp.sum(log_q, axis=tuple(range(1, 1 + len(axes)))) * score)
    return total


def downstream(xp: Any, name: str, axes: tuple[Axis, ...], costs: Sequence[CostValue]) -> Array:
    """The costs that read site `name`, element by element where they are local: broadcasts to (draw, *axes)."""
    total: Array = 0.0
    for cost in costs:
        if name not in cost.depends:
            continue
        local = cost.local.get(name, ())
        positions = tuple(1 + p for p, axis in enumerate(cost.axes) if axis not in local)
        value = xp.sum(cost.value, axis=positions) if positions else cost.value
        kept = [axis for axis in cost.axes if axis in local]
        order = [kept.index(axis) for axis in axes if axis in local]
        if order != sorted(order):
            value = xp.transpose(value, (0, *(1 + position for position in order)))
        key = tuple(slice(None) if axis in local else None for axis in axes)
        total = total + (value[(slice(None), *key)] if axes else value)
    return total


def leave_one_out(xp: Any, reward: Array, draws: int) -> Array:
    """For each draw the mean of the others; zero where there is only one."""
    if draws < 2:
        return 0.0
    return (xp.sum(reward, axis=0, keepdims=True) - reward) / (draws - 1)
