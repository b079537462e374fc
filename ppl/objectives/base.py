"""What an objective is: how the draws of one step are weighed, and what of the guide is taken in closed form.

With draws z_1 … z_K and log weights `log w_k = log p(x, z_k) - log q(z_k)` every objective has a gradient of the form

    sum_k model_k * grad log p(x, z_k) + guide_k * grad log q(z_k) + score_k * grad log q_i(z_k)

in which derivatives that run through a draw are multiplied by `path_k`, and the last term is there for scored sites i.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.registry import Registry

Array = Any


@dataclass(frozen=True)
class Weighting:
    """Weights of each draw, all (draws,), and the estimate of the objective in nats; NaN where that is not needed."""

    model: np.ndarray
    guide: np.ndarray
    path: np.ndarray
    score: np.ndarray
    value: float = np.nan


@dataclass(frozen=True)
class Objective:
    """An objective to maximise.

    `closed` takes entropies and expected log priors in closed form where there is one; `held` takes the guide's log
    density at parameters held constant, which leaves out its score. `weigh` maps log weights (draws,) to a
    `Weighting`; None where the weights are equal whatever the draws. `spread` is the standard deviation, in
    unconstrained coordinates, that a guide starts from: wide where it learns only of what its draws reach.
    """

    name: str
    closed: bool = False
    held: bool = False
    weigh: Callable[[np.ndarray], Weighting] | None = None
    spread: float = 0.1


@dataclass(frozen=True)
class ObjectiveKind:
    """An objective by name: `make(**options)` with the defaults of `options`."""

    name: str
    doc: str
    make: Callable[..., Objective]
    options: Mapping[str, float] = field(default_factory=dict)


OBJECTIVES: Registry[ObjectiveKind] = Registry("objective", "ppl.objectives")
