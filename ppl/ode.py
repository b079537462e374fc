"""Ordinary differential equations: an adaptive Runge-Kutta method for many solutions at once.

The pair of orders 5 and 4 of Dormand and Prince (1980). Solutions of a batch take the same steps, as short as the
one that needs the shortest asks for; draws that ask for far shorter steps than most are set aside and solved by
themselves. The steps are chosen on plain values; derivatives are those of the solution through these steps (the
discrete adjoint), so they are exact for the numbers that are returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.loops import Steps

Array = Any
Slope = Callable[[Any, Array], Array]

NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0)
STAGES = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
WEIGHTS = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
ERROR_WEIGHTS = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""Weights of the solution of order 5 less those of order 4; the last is of the slope at the end."""

SHRINK, GROW, SAFETY = 0.2, 5.0, 0.9
MOST_STEPS = 5_000
"""After so many steps, solutions that ask for a shorter one are given up."""
FAR = 4.0**5
"""A draw whose error is so many times the median, so that it asks for steps a quarter as long, is set aside."""
TELLING, ROUNDED = 0.1, 1e-4
"""An error below the first part of the tolerance does not make steps short; one below the second may be rounding."""
FEWEST = 64
"""Draws that are never parted."""


@dataclass(frozen=True)
class Path:
    """The steps taken: `times` (steps + 1,) and states there (steps + 1, *batch, *event).

    `ends` are the places of the times that were asked for.
    """

    times: np.ndarray
    states: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class Part:
    """Draws that take the same steps: the places `rows` of them, None for all, and their path."""

    rows: np.ndarray | None
    path: Path


@dataclass(frozen=True, eq=False)
class System:
    """`z' = f(t, z)` from `start` on, wanted at the increasing `times`. A state has the shape (*batch, *event).

    `one` is the program of the slope at one time, `run(time, state, given, prepared)`; `every` that at many times at
    once, the time being the first dimension of `time` and `state`. None in `batch` is the number of draws: that of the
    initial state (first in `draw_at`) and the inputs at the dimensions `draw_at` tells.
    """

    start: float
    times: np.ndarray
    rtol: float
    atol: float
    batch: tuple[int | None, ...]
    event: tuple[int, ...]
    draw_at: tuple[int | None, ...]
    one: Steps
    every: Steps
    _last: list[Any] = field(default_factory=list, repr=False)

    def slope(self, steps: Steps, xp: Any, given: Sequence[Array]) -> Slope:
        """The right side as a function of time and state, from `one` or `every`."""
        prepare, run = steps.load(xp)
        prepared = prepare({})
        return lambda time, state: run(time, state, given, prepared)["slope"]

    def shape(self, arrays: Sequence[Array]) -> tuple[int, ...]:
        """(*batch, *event) for an initial state and inputs."""
        sizes = [np.shape(a)[place] for a, place in zip(arrays, self.draw_at, strict=True) if place is not None]
        draws = max(sizes, default=1)
        return (*(draws if size is None else size for size in self.batch), *self.event)

    def parts(self, xp: Any, initial: np.ndarray, given: Sequence[np.ndarray]) -> list[Part]:
        """Choose the steps. Solutions that cannot be followed are NaN from there on."""
        arrays, rows = (initial, *given), None
        found: list[Part] = []
        while True:
            start, *others = self.of_draws(arrays, rows)
            state = np.array(np.broadcast_to(start, self.shape((start, *others))), float)
            walk = _Walk(self, self.slope(self.one, xp, others), state)
            path = walk.path()
            if not walk.aside.any():
                return [*found, Part(rows, path)]
            rows = np.arange(len(walk.aside)) if rows is None else rows
            kept = ~walk.aside
            states = np.compress(kept, path.states, axis=1 + self.batch.index(None))
            found.append(Part(rows[kept], Path(path.times, states, path.ends)))
            rows = rows[walk.aside]

    def of_draws(self, arrays: Sequence[np.ndarray], rows: np.ndarray | None) -> list[np.ndarray]:
        """The initial state and the inputs for some of the draws."""
        if rows is None:
            return list(arrays)
        return [
            array if place is None or np.shape(array)[place] == 1 else np.take(array, rows, axis=place)
            for array, place in zip(arrays, self.draw_at, strict=True)
        ]

    def solve(self, xp: Any, initial: np.ndarray, given: Sequence[np.ndarray]) -> np.ndarray:
        """The states at the times asked for: (*batch, times, *event)."""
        parts = self.parts(xp, initial, given)
        answer = self.at_times(parts, self.shape((initial, *given)))
        self._last[:] = [answer, parts]
        return answer

    def parts_of(self, xp: Any, answer: np.ndarray, initial: np.ndarray, given: Sequence[np.ndarray]) -> list[Part]:
        """The parts that led to an answer of `solve`: those of the last one are remembered."""
        return self._last[1] if self._last and self._last[0] is answer else self.parts(xp, initial, given)

    def at_times(self, parts: Sequence[Part], shape: tuple[int, ...]) -> np.ndarray:
        """The states at the times asked for: (*batch, times, *event), from states of `shape`."""
        if parts[0].rows is None:
            return np.moveaxis(parts[0].path.states[parts[0].path.ends], 0, len(self.batch))
        answer = np.empty((len(self.times), *shape))
        by_draw = np.moveaxis(answer, 1 + self.batch.index(None), 0)
        for part in parts:
            by_draw[part.rows] = np.moveaxis(part.path.states[part.path.ends], 1 + self.batch.index(None), 0)
        return np.moveaxis(answer, 0, len(self.batch))


def step(slope: Slope, time: Array, state: Array, length: Array) -> tuple[Array, list[Array]]:
    """The state one step of `length` later (order 5), and the slopes of the stages."""
    slopes: list[Array] = []
    for node, weights in zip(NODES, STAGES, strict=True):
        slopes.append(slope(time + node * length, _moved(state, length, weights, slopes)))
    return _moved(state, length, WEIGHTS, slopes), slopes


def _moved(state: Array, length: Array, weights: Sequence[float], slopes: Sequence[Array]) -> Array:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            state = state + (weight * length) * slope
    return state


class _Walk:
    """The choice of steps along one path."""

    def __init__(self, system: System, slope: Slope, state: np.ndarray) -> None:
        self._system = system
        self._slope = slope
        self._event = tuple(range(-len(system.event), 0))
        self._times = [system.start]
        self._states = [state]
        self._limit = MOST_STEPS
        self._draws = system.batch.index(None) if None in system.batch else None
        self.aside = np.zeros(1 if self._draws is None else state.shape[self._draws], bool)

    def path(self) -> Path:
        ends = []
        length = self._first_length()
        for end in self._system.times:
            while self._times[-1] < end:
                length = self._advance(length, float(end))
            ends.append(len(self._times) - 1)
        return Path(np.array(self._times), np.array(self._states), np.array(ends, int))

    def _advance(self, length: float, end: float) -> float:
        """Take one step of at most `length`, not beyond `end`; the length to try next."""
        time, state = self._times[-1], self._states[-1]
        while True:
            left = end - time
            taken = left if length >= 0.999 * left else length
            after, errors = self._tried(time, state, taken)
            slow = self._slow(errors)
            if slow.any():
                state, errors = self._without(state, slow), np.where(slow, 0.0, errors)
                after = self._without(after, slow)
            error = float(np.max(errors, initial=0.0))
            change = GROW if error == 0.0 else min(max(SAFETY * error**-0.2, SHRINK), GROW)
            if error <= 1.0:
                self._take(end if taken == left else time + taken, after)
                return max(length, change * taken) if taken == left else change * taken
            if len(self._times) > self._limit or taken < 1e-12 * max(abs(time), abs(end)):
                state = self._without(state, (errors > 1.0) | self._hopeless(errors, taken))
                self._limit = len(self._times) + MOST_STEPS
            else:
                length = change * taken

    def _hopeless(self, errors: np.ndarray, length: float) -> np.ndarray:
        """Solutions that would need more than `MOST_STEPS` of the length they ask for now."""
        known = errors > ROUNDED
        asked = SAFETY * length * np.where(known, errors, 1.0) ** -0.2
        return known & (asked * MOST_STEPS < self._system.times[-1] - self._system.start)

    def _slow(self, errors: np.ndarray) -> np.ndarray:
        """The solutions of draws that ask for far shorter steps than most and are set aside: at most half of them."""
        none = np.zeros((1,) * errors.ndim, bool)
        if self._draws is None or len(self.aside) < FEWEST:
            return none
        worst = np.max(np.moveaxis(errors, self._draws, 0).reshape(len(self.aside), -1), axis=1, initial=0.0)
        slow = worst > max(FAR * float(np.median(worst[~self.aside])), TELLING)
        if not slow.any() or 2 * np.count_nonzero(slow | self.aside) > len(self.aside):
            return none
        self.aside |= slow
        return np.expand_dims(slow, tuple(range(1, errors.ndim - self._draws)))

    def _tried(self, time: float, state: np.ndarray, length: float) -> tuple[np.ndarray, np.ndarray]:
        """The state one step later, and the error of each solution in units of its tolerance."""
        after, slopes = step(self._slope, time, state, length)
        slopes.append(self._slope(time + length, after))
        difference = sum(w * k for w, k in zip(ERROR_WEIGHTS, slopes, strict=True) if w)
        return after, self._errors(length * difference, state, after)

    def _take(self, time: float, state: np.ndarray) -> None:
        self._times.append(time)
        self._states.append(state)

    def _without(self, state: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """The state with some solutions given up."""
        return np.where(np.expand_dims(lost, self._event) if self._event else lost, np.nan, state)

    def _errors(self, difference: Array, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """The error of each solution in units of its tolerance; 0 for those that are lost, huge where they get lost."""
        size = np.maximum(np.abs(before), np.abs(after))
        ratio = difference / (self._system.atol + self._system.rtol * size)
        error = np.sqrt(np.mean(ratio**2, axis=self._event)) if self._event else np.abs(ratio)
        lost = np.any(~np.isfinite(before), axis=self._event) if self._event else ~np.isfinite(before)
        return np.where(lost, 0.0, np.where(np.isfinite(error), error, 1e10))

    def _first_length(self) -> float:
        """A hundredth of the time in which the fastest solution changes as much as its size (Hairer et al., II.4)."""
        state = self._states[-1]
        scale = self._system.atol + self._system.rtol * np.abs(state)
        size, speed = (np.abs(part) / scale for part in (state, self._slope(self._times[-1], state)))
        span = float(self._system.times[-1] - self._system.start) if len(self._system.times) else 0.0
        ratio = np.where(np.isfinite(speed) & (speed > 0), np.maximum(size, 1.0) / np.maximum(speed, 1e-300), np.inf)
        return float(min(0.01 * np.min(ratio, initial=np.inf), span)) or span
