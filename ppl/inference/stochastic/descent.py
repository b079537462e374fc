"""Stochastic fitting: an optimiser on Monte Carlo gradients, with falling steps, averaging and a way back."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.guides import Guide, Noise
from ppl.inference.progress import Progress
from ppl.inference.stochastic.anchors import Anchor, Anchoring, Line, nothing
from ppl.inference.stochastic.batches import Batches
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.optimisers import OPTIMISERS, Optimiser, State, Step
from ppl.inference.stochastic.options import StochasticOptions
from ppl.inference.stochastic.schedules import HOLD, SCHEDULES
from ppl.inference.stochastic.stages import Run, Stages, level
from ppl.numeric import NUMPY

Array = Any
AT_ONCE, MOST_NOISE = 100, 4_000_000
"""Steps in one call of a backend that can take several, and numbers that are handed to one."""
MOST_LEFT = 0.5
"""Of the variance that rows bring, for an anchor to be of use."""
REHEARSED = 20
"""Calls after which no backend changes how it computes a gradient."""


@dataclass(frozen=True)
class Optimised:
    """Averaged parameters, the ELBO of every step, why the run stopped, and what happened on the way."""

    parameters: np.ndarray
    history: np.ndarray
    converged: bool
    stopped: str
    notes: tuple[str, ...] = ()


class Descent:
    """Steps on an objective, several at once where the backend can and no draw depends on the parameters.

    With `anchoring` what the rows of a step add to its noise is taken off, from the first anchor on.
    """

    def __init__(
        self,
        objective: StochasticObjective,
        guide: Guide,
        rng: np.random.Generator,
        draws: int,
        step: Step,
        rates: Array = 1.0,
        handed: Iterator[Any] | None = None,
        anchoring: Anchoring | None = None,
    ) -> None:
        self._objective, self._draws, self._step, self._rates = objective, draws, step, rates
        self._anchoring = anchoring
        self._anchor: Anchor | None = None
        self._run = objective.descent(step, lines=anchoring is not None)
        self._plates = guide.plan.model.batches
        self.rng, self.batches = rng, Batches(self._plates, rng)
        self._handed = handed or self.batches
        rows = sum(plate.size * math.prod(c.shape[1:]) for plate in self._plates for c in plate.columns)
        self._at_once = max(1, min(AT_ONCE, MOST_NOISE // max(1, draws * guide.layout.size + rows)))

    def advance(self, state: State, rate: float, most: int) -> tuple[State, np.ndarray, np.ndarray]:
        """At most `most` steps: the state after them, the losses (steps,) and the sum of the parameters over them."""
        if self._run is not None:
            noises = [self._noise(state) for _ in range(min(most, self._at_once))]
            lines = [] if self._anchoring is None else [self._line(state, noise) for noise in noises]
            arrays = [*map(np.stack, zip(*lines, strict=True)), *self._objective.stacked(noises)]
            state, losses, total = self._run(state, rate * self._rates, *arrays)
            return State(*state), losses, total
        noise = self._noise(state)
        with np.errstate(all="ignore"):
            loss, gradient = self._objective.value_and_grad(state.parameters, noise)
            if self._anchor is not None:
                line = self._line(state, noise)
                loss, gradient = loss + line.constant + line.slope @ state.parameters, gradient + line.slope
            state = self._step(NUMPY, state, loss, gradient, rate * self._rates)
        return state, np.array([loss]), state.parameters

    def anchor(self, parameters: np.ndarray | None) -> None:
        """Move the anchor there, which takes one pass through the data; take it away where there is no such place."""
        if self._anchoring is not None:
            self._anchor = None if parameters is None else self._anchoring.at(parameters)

    def relieved(self, parameters: np.ndarray) -> bool:
        """Whether the anchor takes most of the noise of the rows off at these parameters; in most of their numbers."""
        if self._anchor is None:
            return False
        batches, plain, slopes = Batches(self._plates, np.random.default_rng(0)), [], []
        for _ in range(REHEARSED):
            batch = next(batches)
            with np.errstate(all="ignore"):
                plain.append(self._objective.value_and_grad(parameters, self._objective.central(batch))[1])
            slopes.append(self._anchor.line(self._objective, batch).slope)
        before, after = np.var(plain, axis=0), np.var(np.add(plain, slopes), axis=0)
        return bool(np.sum(after < MOST_LEFT * before) > 0.5 * np.sum(before > 0.0))

    def rehearse(self, state: State, steps: int, anchored: bool) -> None:
        """Gradients to no end: a backend that rounds otherwise after some calls is where a run left it that took so
        many steps and had an anchor, or none.
        """
        rng = np.random.default_rng(0)
        batch = next(Batches(self._plates, rng))
        fresh = self._objective.noise(rng, state.parameters, self._draws, batch)
        noises = [fresh] * min(steps, REHEARSED) if self._run is None else []
        noises += [self._objective.central(batch)] * REHEARSED if anchored else []
        for noise in noises:
            with np.errstate(all="ignore"):
                self._objective.value_and_grad(state.parameters, noise)

    def _line(self, state: State, noise: Noise) -> Line:
        return nothing(state.parameters) if self._anchor is None else self._anchor.line(self._objective, noise.batch)

    def _noise(self, state: State) -> Noise:
        return self._objective.noise(self.rng, state.parameters, self._draws, next(self._handed))


def relative_rates(guide: Guide, options: StochasticOptions, size: int) -> np.ndarray:
    """The step size of each of `size` flat parameters against that of the guide's own."""
    rates = np.ones(size)
    params = {param.name: param for param in guide.plan.model.params}
    for entry in guide.parameters.entries:
        if entry.name in params:
            own = options.net_rate if params[entry.name].network else options.param_rate or options.first_rate
            rates[entry.start : entry.stop] = own / options.first_rate
    return rates


class NoCheckpoints:
    """Nothing is kept."""

    def restored(self, run: Run, descent: Descent) -> Run:
        """The run as it was last kept; `run` where it never was."""
        return run

    def keep(self, run: Run, descent: Descent, force: bool = False) -> None:
        """Write the run down, if it is time to or must be."""


def minimise(
    objective: StochasticObjective,
    guide: Guide,
    start: np.ndarray,
    rng: np.random.Generator,
    options: StochasticOptions,
    progress: Progress,
    checkpoints: NoCheckpoints | None = None,
    held: np.ndarray | None = None,
    handed: Iterator[Any] | None = None,
    anchoring: Anchoring | None = None,
) -> Optimised:
    """Go down an objective from `start`; parameters that are `held` stay where they are.

    Each step is `handed` what its noise does not have: parts of the data, unless something else is given. With
    `anchoring` the mean of the parameters over the last window of a stage becomes the anchor of the next.

    A staged schedule ends by itself, see `Stages`; others take all the steps, and have converged if the last two
    windows agree. A run whose ELBO runs off goes back to the last window without trouble, at a smaller rate. Ctrl-C
    returns what there is.
    """
    checkpoints = checkpoints or NoCheckpoints()
    optimiser, schedule = OPTIMISERS[options.optimiser], SCHEDULES[options.schedule]
    rates = relative_rates(guide, options, len(start))
    rates = rates if held is None else np.where(held, 0.0, rates)
    step = optimiser.step(options.clip)
    descent = Descent(objective, guide, rng, options.gradient_draws, step, rates, handed, anchoring)
    stages = Stages.of(options, guide, anchoring is not None)
    run = checkpoints.restored(stages.begin(optimiser.start(start)), descent)
    progress.expect(options.steps)
    varying = not schedule.staged or options.warmup
    began = time.perf_counter()
    try:
        while run.step < options.steps and not run.stopped:
            left = min(stages.piece - run.step % stages.piece, options.steps - run.step)
            left = min(left, HOLD - run.step % HOLD) if varying else left
            rate = run.rate * schedule.at(run.step, options.steps, options.warmup)
            anchor = run.anchor
            run.state, values, passed = descent.advance(run.state, rate, left)
            stages.count(run, values, passed)
            if run.anchor is not anchor:
                _move_anchor(run, descent, optimiser, schedule.staged)
            progress.update(run.step, run.history[-1])
            checkpoints.keep(run, descent)
    except KeyboardInterrupt:
        run.stopped = f"interrupted after {run.step} steps, {time.perf_counter() - began:.1f} s"
    else:
        checkpoints.keep(run, descent, force=True)
    return _outcome(run, options, descent.batches.notes)


def _move_anchor(run: Run, descent: Descent, optimiser: Optimiser, staged: bool) -> None:
    """To where a run wants it, if it is of use. A stage begins there. The optimiser begins afresh: its running means of
    squares are those of the noise that there was, and would hold the steps back for thousands of them.
    """
    descent.anchor(run.anchor)
    if run.anchor is not None and descent.relieved(run.state.parameters):
        run.state, run.anchored = optimiser.start(run.anchor if staged else run.state.parameters), True
    else:
        run.anchor = None
        descent.anchor(None)


def _outcome(run: Run, options: StochasticOptions, notes: tuple[str, ...]) -> Optimised:
    converged, stopped = run.converged, run.stopped or f"reached {options.steps} steps"
    if not run.stopped and not SCHEDULES[options.schedule].staged:
        converged = level(run.history, options.window)
        stopped += "" if converged else ", and the ELBO still changes"
    averaged = (converged or options.stop == "iterates") and options.average and run.means
    parameters = np.mean(run.means, axis=0) if averaged else run.state.parameters
    return Optimised(parameters, np.array(run.history), converged, stopped, (*run.notes, *notes))
