"""Recurrences as `lax.scan`, and differential equations, which are solved on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.backends.jax_host import call_on_host
from ppl.backends.jax_rules import traced
from ppl.loops import Loop, Read, behind
from ppl.numeric import NUMPY
from ppl.ode import System

Array = Any
_LONGEST_START = 24
"""Steps before every read looks the same way back; with more the scan carries all states, not the latest."""


def scan(xp: Any, loop: Loop, inputs: Sequence[Array]) -> Array:
    """The packed states of all steps of a loop: (steps, *batch, width). `xp` is what its step is written over."""
    batch = loop.batch_shape(inputs)
    program = loop.program(loop.one, xp)
    shapes = [(*batch, *event) for event in loop.events]
    stepped = [jnp.asarray(item) if of_steps else item for item, of_steps in zip(inputs, loop.stepped, strict=True)]

    def step(past: list[Array], given: Sequence[Array]) -> list[Array]:
        states = program(past, given).values()
        return [jnp.broadcast_to(jnp.asarray(s, float), shape) for s, shape in zip(states, shapes, strict=True)]

    walk = _Walk(loop, stepped, shapes, len(batch), step)
    start = _start(loop)
    states = walk.with_window(start) if start <= _LONGEST_START else walk.with_history()
    return loop.pack(jnp, states, batch)


def _start(loop: Loop) -> int:
    """The first step from which all reads look back as far as those of the last step, within what there is."""
    start = 0
    for read in loop.reads:
        lags = _lags(read)
        differs = np.flatnonzero(np.any(lags != lags[-1], axis=1))
        start = max(start, int(differs[-1]) + 1 if len(differs) else 0, int(lags[-1].max(initial=0)))
    return start


def _lags(read: Read) -> np.ndarray:
    """How far back each step reads: (steps, numbers read)."""
    steps = len(read.positions)
    return np.arange(steps)[:, None] - read.positions.reshape(steps, -1)


class _Walk:
    """One evaluation of a loop. States are lists, one array for each state of the loop."""

    def __init__(
        self,
        loop: Loop,
        inputs: Sequence[Array],
        shapes: Sequence[tuple[int, ...]],
        batch_rank: int,
        step: Callable[[list[Array], Sequence[Array]], list[Array]],
    ) -> None:
        self._loop, self._inputs, self._shapes, self._rank = loop, inputs, shapes, batch_rank
        self._step = step

    def with_window(self, start: int) -> list[Array]:
        """The first steps one by one, then a scan that carries as many of the latest states as are read."""
        first = self._first(start)
        if start == self._loop.length:
            return first
        width = max((int(_lags(read)[-1].max(initial=0)) for read in self._loop.reads), default=0)
        places = [width - np.reshape(_lags(read)[-1], read.extra) for read in self._loop.reads]

        def step(window: list[Array], given: list[Array]) -> tuple[list[Array], list[Array]]:
            states = self._step(self._past(window, places), self._given(given))
            return [jnp.concatenate([w, s[None]])[1:] for w, s in zip(window, states, strict=True)], states

        window = [history[start - width :] for history in first]
        _, rest = jax.lax.scan(step, window, [item[start:] for item in self._moving()])
        return [jnp.concatenate(pair) for pair in zip(first, rest, strict=True)]

    def with_history(self) -> list[Array]:
        """A scan that carries the states of all steps. Reads of none find the plain values of a first run.

        What such a read gives is not used, but its derivative must be finite to count as zero.
        """
        once = self._scan_history([jnp.full((self._loop.length, *shape), jnp.nan) for shape in self._shapes])
        return self._scan_history([jax.lax.stop_gradient(history) for history in once])

    def _scan_history(self, before: list[Array]) -> list[Array]:
        def step(histories: list[Array], now: tuple[Array, list[Array], list[Array]]) -> tuple[list[Array], None]:
            t, places, given = now
            states = self._step(self._past(histories, places), self._given(given))
            return [h.at[t].set(s) for h, s in zip(histories, states, strict=True)], None

        positions = [jnp.asarray(read.positions) for read in self._loop.reads]
        found, _ = jax.lax.scan(step, before, (jnp.arange(self._loop.length), positions, self._moving()))
        return found

    def _first(self, count: int) -> list[Array]:
        """The states of the first steps. Reads of none find plain values, as in `with_history`."""
        known = [jnp.full((count, *shape), jnp.nan) for shape in self._shapes]
        once = self._unrolled(count, known)
        return self._unrolled(count, [jax.lax.stop_gradient(history) for history in once])

    def _unrolled(self, count: int, histories: list[Array]) -> list[Array]:
        for t in range(count):
            places = [read.positions[t] for read in self._loop.reads]
            states = self._step(self._past(histories, places), self._given([item[t] for item in self._moving()]))
            histories = [h.at[t].set(s) for h, s in zip(histories, states, strict=True)]
        return histories

    def _past(self, histories: list[Array], places: Sequence[Array]) -> list[Array]:
        """What each read finds in the histories at its places."""
        reads = zip(self._loop.reads, places, strict=True)
        return [behind(jnp, histories[read.state][place], read, self._rank) for read, place in reads]

    def _moving(self) -> list[Array]:
        return [item for item, stepped in zip(self._inputs, self._loop.stepped, strict=True) if stepped]

    def _given(self, moving: Sequence[Array]) -> list[Array]:
        """All inputs at one step."""
        rest = iter(moving)
        pairs = zip(self._inputs, self._loop.stepped, strict=True)
        return [next(rest) if stepped else item for item, stepped in pairs]


# Differential equations --------------------------------------------------------------------------------


def ode(system: System, initial: Array, inputs: Sequence[Array]) -> Array:
    """The states at the times asked for: (*batch, times, *event).

    The host solves and differentiates, as in the default backend: how many steps there are depends on the values.
    First derivatives only.
    """
    host = _Host(system, [initial, *inputs])
    return host.solution(*(array for array in host.arrays if traced(array)))


class _Host:
    """A system's solution, and the adjoint, as functions of those of its arrays that are traced."""

    def __init__(self, system: System, arrays: Sequence[Array]) -> None:
        self.arrays = [array if traced(array) else np.asarray(array) for array in arrays]
        self._system = system
        self._varied = [place for place, array in enumerate(arrays) if traced(array)]
        self._smooth = [place for place in self._varied if jnp.issubdtype(arrays[place].dtype, jnp.floating)]
        shape, rank = system.shape(arrays), len(system.batch)
        self._answer = (*shape[:rank], len(system.times), *shape[rank:])
        self.solution = jax.custom_vjp(self._forward)
        self.solution.defvjp(self._kept, self._backward)

    def _whole(self, given: Sequence[Array]) -> list[np.ndarray]:
        """All arrays on the host, from those that are traced."""
        found = dict(zip(self._varied, given, strict=True))
        whole = [np.asarray(found.get(place, array)) for place, array in enumerate(self.arrays)]
        return [item.astype(array.dtype, copy=False) for item, array in zip(whole, self.arrays, strict=True)]

    def _forward(self, *given: Array) -> Array:
        return call_on_host(self._solve, [self._answer], *given)[0]

    def _kept(self, *given: Array) -> tuple[Array, tuple[Array, ...]]:
        answer = self._forward(*given)
        return answer, (answer, *given)

    def _backward(self, kept: tuple[Array, ...], cotangent: Array) -> tuple[Array | None, ...]:
        answer, *given = kept
        shapes = [np.shape(self.arrays[place]) for place in self._smooth]
        found = call_on_host(self._pull, shapes, answer, cotangent, *given)
        by_place = dict(zip(self._smooth, found, strict=True))
        return tuple(by_place.get(place) for place in self._varied)

    def _solve(self, *given: np.ndarray) -> list[np.ndarray]:
        initial, *inputs = self._whole(given)
        return [self._system.solve(NUMPY, initial, inputs)]

    def _pull(self, answer: np.ndarray, cotangent: np.ndarray, *given: np.ndarray) -> tuple[np.ndarray, ...]:
        """Cotangents of the arrays that are traced and real."""
        from ppl.backends.autograd_backend import AutogradNamespace
        from ppl.backends.equations import cotangents

        places = tuple(place - 1 for place in self._smooth if place)
        at_start, *others = cotangents(
            AutogradNamespace(), self._system, places, answer, cotangent, *self._whole(given)
        )
        return (at_start, *others) if 0 in self._smooth else tuple(others)
