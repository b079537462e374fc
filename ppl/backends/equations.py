"""Solutions of differential equations as one differentiable operation: the discrete adjoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp_argnums, primitive

from ppl.linear import summed_to
from ppl.numeric import NUMPY
from ppl.ode import Path, System, step

BLOCK = 1_000_000
"""Numbers in one array of the derivatives of several steps at once, roughly."""


@primitive
def solve(xp: Any, system: System, initial: Any, *inputs: Any) -> Any:
    """The states at the times asked for: (*batch, times, *event). `xp` is what it is differentiated over."""
    return system.solve(NUMPY, initial, inputs)


@primitive
def cotangents(
    xp: Any, system: System, places: tuple[int, ...], answer: Any, cotangent: Any, initial: Any, *inputs: Any
) -> tuple[Any, ...]:
    """Cotangents of the initial state and of the inputs at `places`, from that of the answer."""
    wanted = [initial, *(inputs[place] for place in places)]
    draw_at = [system.draw_at[0], *(system.draw_at[1 + place] for place in places)]
    sums = [np.zeros(np.shape(array)) for array in wanted]
    for part in system.parts_of(NUMPY, answer, initial, inputs):
        start, *given = system.of_draws((initial, *inputs), part.rows)
        of_part = cotangent if part.rows is None else np.take(cotangent, part.rows, axis=system.batch.index(None))
        backwards = _Backwards(xp, system, part.path, given, places)
        at_start, of_inputs = backwards.run(np.moveaxis(of_part, len(system.batch), 0))
        for total, found, place in zip(sums, (summed_to(at_start, np.shape(start)), *of_inputs), draw_at, strict=True):
            _add(total, found, place, part.rows)
    return tuple(sums)


def _add(total: np.ndarray, found: np.ndarray, draw_at: int | None, rows: np.ndarray | None) -> None:
    """Add what some of the draws contribute, in place."""
    if rows is None or draw_at is None or total.shape[draw_at] == 1:
        total += found
    else:
        np.moveaxis(total, draw_at, 0)[rows] += np.moveaxis(found, draw_at, 0)


def _adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Callable[..., Any]:
    xp, system, *rest = arguments
    places = tuple(place - 3 for place in argnums if place > 2)
    numbers = [0 if place == 2 else 1 + places.index(place - 3) for place in argnums]

    def adjoint(cotangent: Any) -> tuple[Any, ...]:
        found = cotangents(xp, system, places, answer, cotangent, *rest)
        return tuple(found[number] for number in numbers)

    return adjoint


defvjp_argnums(solve, _adjoint)


class _Backwards:
    """The adjoint recursion over the steps of a path, in blocks of steps that are differentiated at once."""

    def __init__(self, xp: Any, system: System, path: Path, inputs: Sequence[Any], places: Sequence[int]) -> None:
        self._xp, self._system, self._path = xp, system, path
        self._inputs = inputs
        self._places = places
        self._rank = len(system.event)
        self._width = int(np.prod(system.event, initial=1))

    def run(self, cotangents: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        """Cotangents of the initial state and of the inputs at `places`, from those of the states at `path.ends`."""
        states = self._path.states
        outer = np.zeros_like(states)
        np.add.at(outer, self._path.ends, cotangents)
        total = outer[-1]
        sums = [np.zeros(np.shape(self._inputs[place])) for place in self._places]
        count = max(1, BLOCK // max(states[0].size, 1))
        for stop in range(len(states) - 1, 0, -count):
            start = max(0, stop - count)
            pull = self._pull(start, stop)
            slopes = self._slopes(pull, states[start:stop].shape)
            later = np.empty_like(states[start:stop])
            for number in range(stop - start - 1, -1, -1):
                later[number] = total
                flat = total.reshape(*total.shape[: total.ndim - self._rank], 1, self._width)
                total = outer[start + number] + (flat @ slopes[number]).reshape(total.shape)
            sums = [old + new for old, new in zip(sums, pull(later)[1], strict=True)]
        return total, sums

    def _pull(self, start: int, stop: int) -> Callable[[np.ndarray], Any]:
        """Pulls cotangents of the ends of some steps back to their beginnings and the inputs."""
        ranks = (1,) * (self._path.states.ndim - 1)
        times = self._path.times[start : stop + 1]
        lengths = np.diff(times).reshape(-1, *ranks)

        def ends(varied: Any) -> Any:
            given = list(self._inputs)
            for place, item in zip(self._places, varied[1], strict=True):
                given[place] = item
            slope = self._system.slope(self._system.every, self._xp, given)
            at = times[:-1].reshape(-1, *ranks)
            return step(lambda time, state: slope(time.reshape(-1), state), at, varied[0], lengths)[0]

        wanted = tuple(self._inputs[place] for place in self._places)
        return make_vjp(ends)((self._path.states[start:stop], wanted))[0]

    def _slopes(self, pull: Callable[[np.ndarray], Any], shape: tuple[int, ...]) -> np.ndarray:
        """Derivatives of the end of each step by its beginning: (steps, *batch, width, width)."""
        lead = shape[: len(shape) - self._rank]
        rows = []
        for column in range(self._width):
            one = np.zeros((*lead, self._width))
            one[..., column] = 1.0
            rows.append(pull(one.reshape(shape))[0].reshape(*lead, self._width))
        return np.stack(rows, axis=-2)
