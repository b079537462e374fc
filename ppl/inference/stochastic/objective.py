"""One stochastic gradient: the objective's weights and every site's estimator put together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.backends import Backend, Rows
from ppl.backends.reuse import Programs, part_of, programs_for
from ppl.estimators.score_function import downstream, leave_one_out, surrogate, weighted
from ppl.guides import Guide, Noise
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.objectives import Objective, Weighting
from ppl.runtime import CostValue, Executor, Trace, closed_entropy, guide_costs, model_costs

Array = Any


class StochasticObjective:
    """Minus an objective of a guide as a function of flat parameters, with the gradient each site's estimator gives.

    With learned baselines the flat parameters are the guide's, followed by one number for each element of each scored
    site.
    """

    def __init__(
        self, executor: Executor, guide: Guide, backend: Backend, objective: Objective, baseline: str = "leave_one_out",
        handed_in: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._executor = executor
        self._plain = Executor(executor.plan, executor.data, NUMPY)
        self._guide = guide
        self._backend = backend
        self._objective = objective
        self._baseline = baseline
        parts = [name for batch in guide.plan.model.batches if batch.drawn for name in batch.handed_in]
        self._handed_in = [*parts, *handed_in]
        self._scored = {site.name: site.axes for site in guide.plan.scored}
        if objective.closed:
            executor.prepare(guide)
        self._programs = self._kept()
        self._differentiated = backend.value_and_grad(self._loss, self._programs)

    def _kept(self) -> Programs:
        """The programs of an equal objective of an earlier fit. The whole guide, with its plan, tells what is equal."""
        objective = self._objective
        form = (objective.closed, objective.held, objective.weigh is None, self._baseline, tuple(self._handed_in))
        return programs_for(self._backend.name, (), self._plain.data, self._plain.plan, self._guide, form)

    @property
    def weighs(self) -> bool:
        """Whether draws count by weights that depend on the parameters."""
        return self._objective.weigh is not None

    @property
    def noiseless(self) -> bool:
        """Whether the objective of the data at hand is the same whatever the draws."""
        return self._objective.closed and not self._guide.drawn

    @property
    def baselines(self) -> int:
        """How many learned baselines there are."""
        if self._baseline != "learned":
            return 0
        return sum(math.prod(axis.size for axis in axes) for axes in self._scored.values())

    def start(self, parameters: np.ndarray, noise: Noise) -> np.ndarray:
        """Guide parameters, with baselines that start at the mean reward of their element where they are learned."""
        if not self.baselines:
            return parameters
        plan = self._plain.plan
        with np.errstate(all="ignore"):
            trace = self._plain.trace(self._guide, parameters, noise)
            guide = guide_costs(plan, trace, self._objective.closed)
            costs = [*model_costs(plan, trace), *(replace(cost, value=-cost.value) for cost in guide)]
            means = [_mean_reward(name, axes, costs, noise.draws) for name, axes in self._scored.items()]
        return np.concatenate([parameters, *means])

    def log_weights(self, parameters: np.ndarray, noise: Noise) -> np.ndarray:
        """`log p(x, z) - log q(z)` at the draws of this noise: (draws,)."""
        with np.errstate(all="ignore"):
            return log_weights(self._plain.plan, self._plain.trace(self._guide, parameters, noise))

    def noise(
        self,
        rng: np.random.Generator,
        parameters: np.ndarray,
        draws: int,
        batch: Mapping[str, np.ndarray] | None = None,
    ) -> Noise:
        """Fresh noise at these parameters, for the part of the data at hand.

        The normals come in pairs of opposite sign where draws count alike and move with all parameters: what the rows
        of a step, and the slope of the density, add to the gradient of a scale then cancels.
        """
        noise = self._plain.noise(self._guide, rng, parameters, draws, batch)
        if not self.weighs and not self._guide.vector.scored:
            half = draws // 2
            noise.normal[half : 2 * half] = -noise.normal[:half]
        return noise

    def value_and_grad(self, parameters: np.ndarray, noise: Noise) -> tuple[float, np.ndarray]:
        """The loss and its gradient in the parameters, at this noise."""
        arrays = (noise.normal, *noise.factors.values(), *noise.batch.values())
        if self._objective.weigh is None:
            return self._differentiated(parameters, *arrays)
        weighting = self._objective.weigh(self.log_weights(parameters, noise))
        _, gradient = self._differentiated(
            parameters, *arrays, weighting.model, weighting.guide, weighting.path, weighting.score
        )
        return -weighting.value, gradient

    def rows(self) -> Rows:
        """The loss as a function of rows of parameters (1, size), with normals (draws, noise_size): for Hessians.

        For guides without factors, and objectives whose draws count alike.
        """
        xp = self._executor.xp
        kept = part_of(self._programs, "rows")
        return self._backend.rows(
            lambda rows, normal: xp.reshape(self._loss(rows[0], normal), (1,)), 1, kept, long=True
        )

    def central(self, batch: Mapping[str, np.ndarray]) -> Noise:
        """No noise: one draw at the centre of a guide without factors, for this part of the data."""
        gaussian, size = self._guide.vector, self._guide.layout.size
        return Noise(np.zeros((1, gaussian.noise_size(size))), {}, batch)

    def descent(self, update: Callable[..., Any], lines: bool = False) -> Callable[..., Any] | None:
        """Many steps in one call (see `Backend.descent`), on the arrays that `stacked` gives; with `lines` on those of
        one `Line` a step before them.

        None where the backend has no such thing, or the draws or their weights depend on the parameters.
        """
        if self._objective.weigh is not None or not self._guide.free:
            return None

        def corrected(parameters: Array, constant: Array, slope: Array, *arrays: Array) -> Array:
            return self._loss(parameters, *arrays) + constant + self._executor.xp.sum(slope * parameters)

        kept = part_of(self._programs, update, lines)
        return self._backend.descent(corrected if lines else self._loss, update, kept)

    def stacked(self, noises: Sequence[Noise]) -> list[np.ndarray]:
        """The noise of several steps, the steps in front."""
        parts = [[noise.normal, *noise.factors.values(), *noise.batch.values()] for noise in noises]
        return [np.stack(part) for part in zip(*parts, strict=True)]

    def _loss(self, parameters: Array, normal: Array, *arrays: Array) -> Array:
        names = self._handed_in
        own, rest = arrays[: len(self._guide.factors)], arrays[len(self._guide.factors) :]
        noise = Noise(normal, dict(zip(self._guide.factors, own, strict=True)), dict(zip(names, rest, strict=False)))
        weighting = Weighting(*rest[len(names) :]) if self._objective.weigh else None
        path = None if weighting is None else weighting.path
        size = self._guide.parameters.size
        trace = self._executor.trace(
            self._guide, parameters[:size], noise, path, self._objective.held, self._objective.closed
        )
        total, costs = self._total(trace, weighting)
        if self._scored:
            score = self._score(trace, costs, weighting, parameters[size:])
            total = total + score - self._executor.xp.stop_gradient(score)
        if trace.scored is not None:
            score = self._block_score(trace, costs, weighting)
            total = total + score - self._executor.xp.stop_gradient(score)
        return -total

    def _total(self, trace: Trace, weighting: Weighting | None) -> tuple[Array, list[CostValue]]:
        """The sum of log densities, weighed or averaged over draws, and the costs (those of the guide with their sign)
        for scored sites.
        """
        xp, plan, closed = self._executor.xp, self._guide.plan, self._objective.closed
        model = model_costs(plan, trace)
        guide = [self._held(cost) for cost in guide_costs(plan, trace, closed)]
        sampled = [cost.per_draw(xp) for cost in guide]
        if not closed or trace.entropy is None:
            sampled.append(trace.log_q)
        if weighting is None:
            total = sum(xp.mean(cost.per_draw(xp)) for cost in model) - sum(xp.mean(each) for each in sampled)
        else:
            total = sum(xp.sum(weighting.model * cost.per_draw(xp)) for cost in model)
            total = total + sum(xp.sum(weighting.guide * each) for each in sampled)
        if closed:
            total = total + closed_entropy(plan, trace)
        return total, [*model, *(replace(cost, value=-cost.value) for cost in guide)]

    def _held(self, cost: CostValue) -> CostValue:
        """The log density of a scored factor enters by its score, not as a function of its parameters."""
        if not cost.depends & self._scored.keys():
            return cost
        return replace(cost, value=self._executor.xp.stop_gradient(cost.value))

    def _score(self, trace: Trace, costs: Sequence[CostValue], weighting: Weighting | None, tail: Array) -> Array:
        xp = self._executor.xp
        if weighting is not None:
            return weighted(xp, trace, self._scored, weighting.score)
        learned, start = None, 0
        if self.baselines:
            learned = {}
            for name, axes in self._scored.items():
                shape = tuple(axis.size for axis in axes)
                learned[name] = xp.reshape(tail[start : start + math.prod(shape)], shape)
                start += math.prod(shape)
        return surrogate(xp, trace, costs, self._scored, self._baseline, learned)

    def _block_score(self, trace: Trace, costs: Sequence[CostValue], weighting: Weighting | None) -> Array:
        """The score function of the block's parameters that draws do not move with, against all costs."""
        xp = self._executor.xp
        if weighting is not None:
            return xp.sum(trace.scored * weighting.score)
        reward = sum(cost.per_draw(xp) for cost in costs) - trace.log_q
        reward = reward - leave_one_out(xp, reward, trace.draws)
        return xp.sum(trace.scored * xp.stop_gradient(reward)) / trace.draws


def _mean_reward(name: str, axes: tuple[Axis, ...], costs: Sequence[CostValue], draws: int) -> np.ndarray:
    """The mean of what is downstream of each element of a scored site, over the draws where it is finite."""
    shape = (draws, *(axis.size for axis in axes))
    rewards = np.broadcast_to(downstream(np, name, axes, costs), shape).reshape(draws, -1)
    finite = np.isfinite(rewards)
    return np.where(finite, rewards, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)


def log_weights(plan: Plan, trace: Trace) -> np.ndarray:
    """`log p(x, z) - log q(z)` of every draw of a trace over NumPy, NaN as minus infinity: (draws,)."""
    total = -np.asarray(trace.log_q)
    for cost in model_costs(plan, trace):
        total = total + cost.per_draw(np)
    for cost in guide_costs(plan, trace, closed=False):
        total = total - cost.per_draw(np)
    total = np.broadcast_to(total, (trace.draws,))
    return np.where(np.isnan(total), -np.inf, total)
