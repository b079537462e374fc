"""The structured Gaussian by natural gradients: its precision becomes minus the expected Hessian, on the graph's edges.

At the optimum the expected gradient is zero and the precision equals minus the expected Hessian wherever it may differ
from zero (Opper and Archambeau 2009; Khan and Rue 2023, The Bayesian learning rule). The expectations are over fixed
paired draws, and a step is taken only where the ELBO over the same draws does not fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.guides.structured import Structured, covariance_times, factored
from ppl.inference.deterministic.mean_field import paired_draws
from ppl.inference.families.independent import Independent
from ppl.inference.sparsity import Pattern, pattern_of
from ppl.inference.target import Target
from ppl.numeric import NUMPY

FEWEST, MOST, ROWS = 16, 256, 4096
"""Pairs of fixed draws: as many as leave that many rows of gradients for the curvature, within limits."""
STAGE, STEPS = "natural gradients", 60
FARTHEST = 64.0
"""Times the last two steps together that a move goes on at most."""
SHORTEST = 1.0 / 64.0
"""The shortest step that is tried."""
SMALL = 1e-3
"""A gain in nats that is not worth a step."""
NEAR, ALIKE = 0.1, 0.2
"""Where no step is worth it: a full step that moves means by less than this many sds, and conditional variances by less
than this share, is within what the finite number of draws leaves open.
"""


@dataclass(frozen=True)
class Climbed:
    """Parameters of the structured guide, the ELBO of every step, whether the steps became small, and how it ended."""

    parameters: np.ndarray
    history: np.ndarray
    converged: bool
    stopped: str


@dataclass(frozen=True)
class _State:
    """A Gaussian by mean and precision (at the structure's places), its parameters and its ELBO over fixed draws."""

    mean: np.ndarray
    precision: np.ndarray
    parameters: np.ndarray
    elbo: float


def fit_structured(target: Target, begin: Independent, rng: np.random.Generator) -> Climbed:
    """From independent Gaussians on."""
    return _Climb(target, rng).run(begin)


class _Climb:
    def __init__(self, target: Target, rng: np.random.Generator) -> None:
        family = target.guide.vector
        assert isinstance(family, Structured)
        self._target, self._family, self._shape = target, family, family.shape
        self._one, self._other, self._places = self._shape.pair_list()
        mask = np.eye(target.dim, dtype=bool)
        mask[self._one, self._other] = mask[self._other, self._one] = True
        self._pattern: Pattern = pattern_of(mask)
        pairs = ROWS // (4 * len(self._pattern.shifts))
        self._noise = paired_draws(rng, min(max(pairs, FEWEST), MOST), target.dim)

    def run(self, begin: Independent) -> Climbed:
        precision = np.zeros(self._shape.zero)
        precision[: len(begin.sd)] = begin.sd**-2.0
        state = self._state(begin.mean, precision)
        assert state is not None
        before = older = state
        history, converged, stopped = [state.elbo], False, f"the ELBO still rose after {STEPS} steps"
        for _ in range(STEPS):
            if self._target.clock.over(STAGE):
                stopped = "the time allowed was spent"
                break
            rows = self._family.transform(NUMPY, state.parameters, self._noise)
            gradient, curvature = self._target.gradient(rows).mean(axis=0), self._curvature(rows, state)
            if not (np.all(np.isfinite(gradient)) and np.all(np.isfinite(curvature))):
                break
            found, length = self._step(state, gradient, curvature)
            if found is None or found.elbo - state.elbo < SMALL:
                converged = length == 1.0 or self._is_near(state, gradient, curvature)
                stopped = "the natural gradient vanished" if converged else "the ELBO no longer rises"
                break
            state, before, older = self._further(found, older), state, before
            history.append(state.elbo)
        return Climbed(state.parameters, np.array(history), converged, stopped)

    def _further(self, state: _State, older: _State) -> _State:
        """The state moved on along the way from an older one, as far as the ELBO rises.

        Scales and what they scale follow each other in small steps that all go one way, and every other one back.
        """
        direction, change, factor = state.mean - older.mean, state.precision - older.precision, 1.0
        while factor <= FARTHEST:
            trial = self._state(state.mean + factor * direction, state.precision + factor * change)
            if trial is None or not trial.elbo > state.elbo:
                break
            state, factor = trial, 2.0 * factor
        return state

    def _is_near(self, state: _State, gradient: np.ndarray, curvature: np.ndarray) -> bool:
        """Whether a full step would be short."""
        made, dim = factored(self._shape, state.precision), self._target.dim
        assert made is not None
        moves = covariance_times(self._shape, *made, gradient) * np.sqrt(state.precision[:dim])
        with np.errstate(all="ignore"):
            change = np.abs(np.log(curvature[:dim] / state.precision[:dim]))
        return bool(np.all(np.abs(moves) < NEAR) and np.all(change < ALIKE))

    def _step(self, state: _State, gradient: np.ndarray, curvature: np.ndarray) -> tuple[_State | None, float]:
        """The state after the longest step that does not lower the ELBO to speak of, and its length."""
        length = 1.0
        while length >= SHORTEST:
            precision = (1.0 - length) * state.precision + length * curvature
            made = factored(self._shape, precision)
            if made is not None:
                mean = state.mean + length * covariance_times(self._shape, *made, gradient)
                found = self._state(mean, precision)
                if found is not None and found.elbo > state.elbo - SMALL:
                    return found, length
            length /= 2.0
        return None, 0.0

    def _state(self, mean: np.ndarray, precision: np.ndarray) -> _State | None:
        made = factored(self._shape, precision)
        if made is None:
            return None
        parameters = self._family.pack(mean, *made)
        values = self._target.log_density(self._family.transform(NUMPY, parameters, self._noise))
        elbo = float(values.mean() + self._family.entropy(NUMPY, parameters))
        return _State(mean, precision, parameters, elbo if np.isfinite(elbo) else -np.inf)

    def _curvature(self, rows: np.ndarray, state: _State) -> np.ndarray:
        """Minus the mean Hessian at the structure's places, by differences of gradients of many columns at once."""
        pattern, dim = self._pattern, self._target.dim
        step = 1e-3 / np.sqrt(state.precision[:dim])
        shifts = pattern.shifts * step
        points = (rows[:, None, :] + np.concatenate([shifts, -shifts])[None]).reshape(-1, dim)
        slopes = self._target.gradient(points).reshape(len(rows), 2, len(shifts), dim).mean(axis=0)
        columns = (slopes[1] - slopes[0]) / 2.0
        found = np.zeros(self._shape.zero)
        every = np.arange(dim)
        found[:dim] = columns[pattern.owner, every] / step
        # of a pair the column of a number in the border, whose own row is shared by the columns of others
        bordered = np.isin(self._one, pattern.border)
        column = np.where(bordered, self._one, self._other)
        row = np.where(bordered, self._other, self._one)
        found[self._places] = columns[pattern.owner[column], row] / step[column]
        return found
