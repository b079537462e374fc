"""The score-function estimator, Rao-Blackwellised by the graph, with a leave-one-out baseline.

Ranganath, Gerrish and Blei (2014), Black box variational inference; the baseline is the mean over the other
draws (Kool, van Hoof and Welling 2019). Its surrogate has value zero on average and the right gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ppl.axes import Axis
from ppl.runtime.trace import CostValue, Trace

Array = Any


def surrogate(xp: Any, trace: Trace, costs: Sequence[CostValue], scored: Mapping[str, tuple[Axis, ...]]) -> Array:
    """Sum over scored sites of mean over draws of `log q(z) * stop(R - baseline)`; `scored` gives their plates.

    R is the sum of the costs downstream of the site, element n of a plate keeping its own local ones.
    """
    total: Array = 0.0
    for name, axes in scored.items():
        reward = downstream(xp, name, axes, costs)
        weight = xp.stop_gradient(reward - leave_one_out(xp, reward, trace.draws))
        log_q = trace.records[name].log_q
        total = total + xp.sum(log_q * weight) / trace.draws
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
