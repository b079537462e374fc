"""The joint mode of everything continuous, on the latents' own scales, without stochastic gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ppl.guides import Guide, Noise
from ppl.guides.derived import GAUSSIAN
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor, initial_points

ROUNDS = 12
CURVED = 200
"""Up to this many unknowns the curvature is looked at between rounds."""
FLAT = 1e-3
"""A gradient of this size, in nats for a step of one unit of curvature, has vanished."""
OUTSIDE, FURTHER, LEVEL = 4.0, 10.0, 0.1
"""An unconstrained coordinate of this size is at the end of its range if the log density falls by no more than the last
number of nats where it goes so much further.
"""
NO_SPREAD = (
    "a point has no spread: no standard deviations are reported, and nothing says how near the posterior's mean is"
)


def point(task: Task) -> Outcome:
    """L-BFGS in coordinates that each round's curvature scales, from the parameters' starts and from shifted ones."""
    plan = task.plan
    executor = Executor(plan, task.data, task.backend.xp)
    objective = StochasticObjective(executor, task.guide, task.backend, OBJECTIVES["elbo"].make())
    noise = Noise(np.zeros((1, 0)))
    climb = _Climb(objective, noise)
    first = task.guide.parameters.pack({GAUSSIAN: np.zeros(0), **initial_points(plan)})
    rng = np.random.default_rng(task.seed)
    found = [climb.run(first + shift * rng.uniform(-1.0, 1.0, len(first))) for shift in (0.0, 1.0, 2.0)]
    best = max(found, key=lambda each: each[1])
    vector, value, small = best
    beyond = {name: change for name, change in climb.beyond(vector, value, task.guide) if _bounded(task, name)}
    problems = tuple(f"the mode of `{name}` is at the end of its range" for name, c in beyond.items() if c <= LEVEL)
    faults = tuple(f"the density grows without bound towards the end of the range of `{name}`: there is no mode"
                   for name, change in beyond.items() if change > LEVEL)  # fmt: skip
    return Outcome(
        method="mode",
        parameters=vector,
        values={},
        log_weights=None,
        ratios=np.full(task.draws, value),
        khat=-np.inf,
        effective=1.0,
        log_evidence=None,
        history=np.array(climb.history),
        steps=climb.evaluations,
        converged=(small or bool(problems or faults)) and bool(np.isfinite(value)),
        stopped="the gradient vanished" if small else "no mode was found: the density may be unbounded",
        faults=faults,
        problems=problems,
        unchecked=NO_SPREAD,
    )


def _bounded(task: Task, name: str) -> bool:
    """Whether a parameter's support has an end."""
    return name in task.plan.sites and task.plan.sites[name].bijection != "real"


class _Climb:
    """The log joint density of points as a function to be maximised."""

    def __init__(self, objective: StochasticObjective, noise: Noise) -> None:
        self._objective, self._noise = objective, noise
        self.history: list[float] = []
        self.evaluations = 0

    def run(self, start: np.ndarray) -> tuple[np.ndarray, float, bool]:
        """Where it ends, the log density there, and whether the gradient vanished."""
        from scipy.optimize import minimize

        vector, factor, small = start, np.eye(len(start)), False
        for _ in range(ROUNDS):

            def loss(
                v: np.ndarray, vector: np.ndarray = vector, factor: np.ndarray = factor
            ) -> tuple[float, np.ndarray]:
                value, gradient = self._slope(vector + factor @ v)
                if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
                    return np.inf, np.zeros_like(v)
                self.history.append(value)
                return -value, -gradient @ factor

            found = minimize(loss, np.zeros(len(start)), jac=True, method="L-BFGS-B", options={"maxiter": 200})
            vector = vector + factor @ found.x
            small = bool(np.linalg.norm(found.jac) < FLAT * np.sqrt(len(start)) and np.isfinite(found.fun))
            if small or not np.isfinite(found.fun):
                break
            factor = self._scaled(vector, factor)
        return vector, self._slope(vector)[0], small

    def beyond(self, vector: np.ndarray, value: float, guide: Guide) -> Iterator[tuple[str, float]]:
        """Parameters that go on towards the end of their range without the log density falling, and how it changes."""
        for entry in guide.parameters.entries:
            far = entry.start + np.flatnonzero(np.abs(vector[entry.start : entry.stop]) > OUTSIDE)
            moves = [FURTHER * np.sign(vector[place]) * (np.arange(len(vector)) == place) for place in far]
            change = max((self._slope(vector + move)[0] - value for move in moves), default=-np.inf)
            if change > -LEVEL:
                yield entry.name, change

    def _slope(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        self.evaluations += 1
        with np.errstate(all="ignore"):
            loss, gradient = self._objective.value_and_grad(vector, self._noise)
        return -float(loss), -gradient

    def _scaled(self, vector: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Coordinates in which the curvature at a point is the identity; the last ones where there are too many."""
        from ppl.inference.deterministic.mean_field import whiten

        if len(vector) > CURVED:
            return factor
        step = 1e-4 * (1.0 + np.abs(vector))
        up, down = (np.array([self._slope(vector + sign * row)[1] for row in np.diag(step)]) for sign in (1.0, -1.0))
        hessian = (up - down) / (2.0 * step[:, None])
        return whiten(vector, 0.5 * (hessian + hessian.T)).factor if np.all(np.isfinite(hessian)) else factor
