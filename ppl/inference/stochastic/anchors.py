"""Control variates for steps that see parts of a plate: what the part adds is known at an anchor, and taken off.

With the loss F of all the data, the loss F_B that a part B stands for, and an anchor a near the optimum,

    F_B(x) - F_B(a) + F(a) - (F_B'(a) - F'(a)) (x - a)

has the gradient of F on average, and near the anchor hardly any noise of the rows. F(a) takes one pass through all of
them (Johnson and Zhang 2013, Accelerating stochastic gradient descent using predictive variance reduction; at a point
of the posterior: Baker, Fearnhead, Fox and Nemeth 2019, Control variates for stochastic gradient MCMC). Both are taken
of one draw without noise, at the mean of a Gaussian guide: what a row adds is to first order its slope there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ppl.backends import Backend
from ppl.guides import Guide
from ppl.inference.stochastic.batches import blocks
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.objectives import Objective
from ppl.runtime import Executor

BLOCK_ROWS = 8192
"""Rows of the plate that a pass looks at together, at most."""


class Line(NamedTuple):
    """What is added to a loss: `constant` + `slope` (parameters,) times the parameters."""

    constant: np.ndarray
    slope: np.ndarray


@dataclass(frozen=True)
class Anchor:
    """Flat parameters, with the loss of all the data and its gradient there, for one draw without noise."""

    parameters: np.ndarray
    value: float
    gradient: np.ndarray

    def line(self, objective: StochasticObjective, batch: Mapping[str, np.ndarray]) -> Line:
        """What makes the loss of a part that of all the data at the anchor, to first order."""
        value, gradient = _without_noise(objective, self.parameters, batch)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return nothing(self.parameters)
        slope = self.gradient - gradient
        return Line(np.asarray(self.value - value - slope @ self.parameters), slope)


def nothing(parameters: np.ndarray) -> Line:
    """The line that changes no loss."""
    return Line(np.zeros(()), np.zeros(len(parameters)))


@dataclass(frozen=True)
class Anchoring:
    """Makes anchors. `guide` is that of the plan of all the data."""

    guide: Guide
    data: Mapping[str, Any]
    backend: Backend
    objective: Objective

    def at(self, parameters: np.ndarray) -> Anchor | None:
        """One pass through the data; None where the loss is not finite there."""
        (plate,) = self.guide.plan.batches
        losses: dict[int, StochasticObjective] = {}
        value, gradient = 0.0, np.zeros(len(parameters))
        for block in blocks(self.guide.plan, plate, min(BLOCK_ROWS, plate.total - 1)):
            if id(block.plan) not in losses:
                losses[id(block.plan)] = self._loss(replace(self.guide, plan=block.plan))
            found, slope = _without_noise(losses[id(block.plan)], parameters, block.batch)
            value, gradient = value + block.share * found, gradient + block.share * slope
        finite = np.isfinite(value) and np.isfinite(gradient).all()
        return Anchor(parameters, value, gradient) if finite else None

    def _loss(self, guide: Guide) -> StochasticObjective:
        executor = Executor(guide.plan, self.data, self.backend.xp)
        return StochasticObjective(executor, guide, self.backend, self.objective)


def may_anchor(guide: Guide, objective: Objective) -> bool:
    """Whether anchors are of use for a guide of all the data.

    They are not where steps see all of them, nor where draws have other noise than the Gaussian block's or count by
    weights: the noise of such draws is larger than that of the rows, or a draw without it does not exist.
    """
    plain = not guide.factors and not guide.vector.scored and objective.weigh is None
    return plain and len(guide.plan.batches) == 1


def anchoring(guide: Guide, data: Mapping[str, Any], backend: Backend, objective: Objective) -> Anchoring | None:
    """What makes anchors for a fit; None where they are of no use."""
    return Anchoring(guide, data, backend, objective) if may_anchor(guide, objective) else None


def _without_noise(
    objective: StochasticObjective, parameters: np.ndarray, batch: Mapping[str, np.ndarray]
) -> tuple[float, np.ndarray]:
    """The loss and its gradient for one draw at the centre of the guide."""
    with np.errstate(all="ignore"):
        return objective.value_and_grad(parameters, objective.central(batch))
