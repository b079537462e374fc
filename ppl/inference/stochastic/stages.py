"""Where a stochastic fit stands, and when one of its stages, or all of it, is over."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ppl.guides import Guide
from ppl.inference.stochastic.optimisers import OPTIMISERS, State
from ppl.inference.stochastic.options import StochasticOptions
from ppl.inference.stochastic.schedules import SCHEDULES
from ppl.inference.stochastic.stopping import PIECES, known, stationary, watched

SMALLER, SMALLEST, LARGE_SMALLEST = 4.0, 200.0, 12.0
"""What a stage divides the step size by, and how far it falls before a fit may end. Averages over a few rounds through
the data are the better known the larger the steps they are over.
"""
KEPT_WINDOWS, MOST_WINDOWS = 4, 16
"""Windows over which the parameters are averaged in the end, as they are and where the averages decide."""
FEW_ROUNDS = 8.0
NOTHING = 1e-3
"""Nats that are no gain, where the ELBO has no noise to tell one by."""
PATIENCE = 3
"""Windows that a stage before the last may take where the iterates decide."""
RESTARTS = 5
FAR_BELOW = 5.0
"""Ranges between quartiles of the first ELBOs that later ones may fall below them."""


@dataclass
class Run:
    """Where a run stands: all that the rest of it depends on, but the generator and the batches.

    `good` are the parameters at the end of the last window without trouble, `floor` an ELBO below which there is
    trouble; `last` is the best mean ELBO of a window at this `rate`, `before` at the one before, `means` are those of
    the parameters over its latest windows, `total` is their sum over the current one and `mark` that up to its last
    piece; `pieces` are means over the pieces of the stage, of the parameters that are watched. The noise of the rows is
    known at `anchor`, None where it is not; `anchored` says whether it ever was.
    """

    state: State
    rate: float
    total: np.ndarray
    mark: np.ndarray
    good: np.ndarray
    floor: float = -np.inf
    last: float = -np.inf
    before: float = -np.inf
    restarts: int = 0
    means: list[np.ndarray] = field(default_factory=list)
    pieces: list[np.ndarray] = field(default_factory=list)
    history: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    anchor: np.ndarray | None = None
    anchored: bool = False
    stopped: str = ""
    converged: bool = False

    @property
    def step(self) -> int:
        return len(self.history)


@dataclass(frozen=True)
class Stages:
    """The steps of a run, in windows, and these in pieces.

    A staged schedule takes windows of steps at one rate until they no longer differ; then the rate is divided by 4. By
    the ELBO it has converged when the rate has come down to 1/256, the windows still agree to within their Monte Carlo
    error, and the last division has brought nothing; by the iterates, when their averages are known at a small enough
    rate. Anchors move at the end of each stage, those of other schedules after 1, 2, 4, … windows.
    """

    options: StochasticOptions
    guide: Guide
    places: np.ndarray
    smallest: float
    anchored: bool = False

    @classmethod
    def of(cls, options: StochasticOptions, guide: Guide, anchored: bool = False) -> Stages:
        """`anchored` where the noise of the rows is taken off: a window need not be rounds through the data then."""
        places = watched(guide) if options.stop == "iterates" else np.zeros(0, int)
        if len(places):
            options = replace(options, window=PIECES * math.ceil(options.window / PIECES))
        batches = [batch for batch in guide.plan.model.batches if batch.drawn]
        rounds = min((options.window * batch.size / batch.total for batch in batches), default=math.inf)
        large = len(places) > 0 and rounds < FEW_ROUNDS and not anchored
        return cls(options, guide, places, LARGE_SMALLEST if large else SMALLEST, anchored)

    @property
    def piece(self) -> int:
        """Steps after which something may be looked at."""
        return self.options.window // PIECES if len(self.places) else self.options.window

    def begin(self, state: State) -> Run:
        zeros = np.zeros_like(state.parameters)
        return Run(state, self.options.first_rate, zeros, zeros, state.parameters)

    def count(self, run: Run, losses: np.ndarray, passed: np.ndarray) -> None:
        """Steps have been taken, with these losses, through parameters of this sum."""
        run.history.extend((-losses).tolist())
        run.total = run.total + passed
        if len(self.places) and run.step % self.piece == 0:
            run.pieces.append((run.total - run.mark)[self.places] / self.piece)
            run.mark = run.total
        if run.step % self.options.window == 0:
            self._close(run)

    def _close(self, run: Run) -> None:
        """Look at the window that has just ended: was there trouble, is the stage over, is it all?"""
        recent = np.array(run.history[-self.options.window :])
        if run.step == self.options.window:
            run.floor = _floor(recent)
        if _ran_off(recent, run.floor):
            _go_back(run, self.options)
            return
        run.good = run.state.parameters
        most = MOST_WINDOWS if len(self.places) else KEPT_WINDOWS
        run.means = [*run.means[1 - most :], run.total / self.options.window]
        run.total, run.mark = np.zeros_like(run.total), np.zeros_like(run.total)
        windows = run.step // self.options.window
        if not SCHEDULES[self.options.schedule].staged:
            if windows & (windows - 1) == 0:
                self._move_anchor(run)
        elif len(self.places):
            self._by_iterates(run)
        else:
            self._by_elbo(run, recent[np.isfinite(recent)])

    def _by_elbo(self, run: Run, recent: np.ndarray) -> None:
        least = max(2.0 * recent.std() / np.sqrt(len(recent)), NOTHING)
        gained = recent.mean() - run.last > least
        run.last = recent.mean() if gained else max(run.last, recent.mean())
        if gained:
            return
        smaller_helped = run.last - run.before > least
        if run.rate <= self.options.first_rate / self.smallest and not smaller_helped:
            run.stopped, run.converged = "the ELBO no longer rises and the step is small", True
            return
        run.before = run.last
        self._next_stage(run)

    def _by_iterates(self, run: Run) -> None:
        steady = stationary(np.array(run.pieces))
        if run.rate > self.options.first_rate / self.smallest:
            if steady or len(run.means) >= PATIENCE:
                self._next_stage(run)
            return
        settled = known(run.means[1:], self.guide)
        if settled or (settled is None and steady):
            run.means = run.means[1:]
            run.stopped, run.converged = "averages over the latest windows agree", True

    def _next_stage(self, run: Run) -> None:
        run.rate /= SMALLER
        self._move_anchor(run)
        run.means, run.pieces = [], []

    def _move_anchor(self, run: Run) -> None:
        run.anchor = run.means[-1] if self.anchored else None


def _floor(first: np.ndarray) -> float:
    """Far below what a run began with."""
    early = first[: max(1, len(first) // 5)]
    if not np.isfinite(early).any():
        return -np.inf
    low, middle, high = np.quantile(early[np.isfinite(early)], [0.25, 0.5, 0.75])
    return float(middle - FAR_BELOW * (high - low) - 1.0)


def _ran_off(recent: np.ndarray, floor: float) -> bool:
    """Whether hardly any of the latest ELBOs is finite, or they lie far below those at the start."""
    latest = recent[-max(1, len(recent) // 5) :]
    finite = latest[np.isfinite(latest)]
    return len(finite) < 0.1 * len(latest) or bool(np.median(finite) < floor)


def _go_back(run: Run, options: StochasticOptions) -> None:
    """To the last good parameters with a smaller rate; the end, where that did not help."""
    run.restarts += 1
    if run.restarts > RESTARTS:
        run.stopped = f"the ELBO ran off {run.restarts} times, at ever smaller steps"
        run.state = run.state._replace(parameters=run.good)
        return
    run.rate /= SMALLER
    run.notes.append(f"the ELBO ran off before step {run.step}: went back, with the step size {run.rate:.3g}")
    run.state = OPTIMISERS[options.optimiser].start(run.good)
    run.means, run.pieces, run.last, run.anchor = [], [], -np.inf, None
    run.total, run.mark = np.zeros_like(run.total), np.zeros_like(run.total)


def level(history: list[float], window: int) -> bool:
    """Whether the last window is no better than the one before, to within Monte Carlo error."""
    if len(history) < 2 * window:
        return False
    one, two = np.array(history[-2 * window : -window]), np.array(history[-window:])
    finite = np.isfinite(one).all() and np.isfinite(two).all()
    error = np.hypot(one.std(), two.std()) / np.sqrt(window)
    return bool(finite and abs(two.mean() - one.mean()) <= max(2.0 * error, NOTHING))
