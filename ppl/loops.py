"""Recurrences ready to run: a step as generated code, and what it reads of earlier steps.

`run` steps through on plain arrays. For the derivatives a backend has the states of all steps, so the steps' own
derivatives come from one evaluation of all of them at once (`every`); what is left to step through is linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

Array = Any


class Steps(Protocol):
    """A generated program; `load` gives `prepare(data)` and `run(past, given, prepared)`."""

    @property
    def listing(self) -> str: ...

    def load(self, xp: Any) -> tuple[Callable[..., Any], Callable[..., Any]]: ...


@dataclass(frozen=True)
class Read:
    """What a step reads: state number `state` at the earlier steps `positions`, an array (steps, *extra)."""

    state: int
    positions: np.ndarray

    @property
    def extra(self) -> tuple[int, ...]:
        return self.positions.shape[1:]


@dataclass(frozen=True, eq=False)
class Loop:
    """A recurrence over `length` steps.

    Inputs that are `stepped` have the steps as their first dimension. A state has the shape (*batch, *event), where
    None in `batch` is the number of draws: that of the inputs at the dimension `draw_at` tells. `one` is the program of
    one step, `every` that of all steps at once: both take what is read of the past, (*batch, *extra, *event) each, and
    the inputs, and give a dictionary of the next states; in `every` all have the steps in front.
    """

    length: int
    batch: tuple[int | None, ...]
    events: tuple[tuple[int, ...], ...]
    reads: tuple[Read, ...]
    stepped: tuple[bool, ...]
    draw_at: tuple[int | None, ...]
    one: Steps
    every: Steps
    _loaded: dict[tuple[int, int], tuple[Any, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """Where each state stands among the packed ones."""
        ends = np.cumsum([0, *(math.prod(event) for event in self.events)])
        return tuple(slice(int(a), int(b)) for a, b in pairwise(ends))

    @property
    def width(self) -> int:
        """Numbers in the packed states of one step."""
        return self.columns[-1].stop

    def run(self, xp: Any, inputs: Sequence[Array]) -> Array:
        """The packed states of all steps: (steps, *batch, width). `xp` is that of plain arrays."""
        batch = self.batch_shape(inputs)
        histories = [np.full((self.length, *batch, *event), np.nan) for event in self.events]
        step = self.program(self.one, xp)
        for t in range(self.length):
            past = [behind(np, histories[read.state][read.positions[t]], read, len(batch)) for read in self.reads]
            given = [item[t] if stepped else item for item, stepped in zip(inputs, self.stepped, strict=True)]
            for history, state in zip(histories, step(past, given).values(), strict=True):
                history[t] = state
        return self.pack(np, histories, batch)

    def program(self, steps: Steps, xp: Any) -> Callable[..., dict[str, Array]]:
        """`one` or `every` as a function of the past and the inputs."""
        key = (id(steps), id(xp))
        if key not in self._loaded:
            prepare, run = steps.load(xp)
            self._loaded[key] = (run, prepare({}), xp)
        run, prepared, _ = self._loaded[key]
        return lambda past, given: run(past, given, prepared)

    def pack(self, xp: Any, states: Sequence[Array], batch: Sequence[int]) -> Array:
        """States (steps, *batch, *event) side by side: (steps, *batch, width)."""
        lead = (self.length, *batch)
        columns = [
            xp.reshape(xp.broadcast_to(state, (*lead, *event)), (*lead, math.prod(event)))
            for state, event in zip(states, self.events, strict=True)
        ]
        return columns[0] if len(columns) == 1 else xp.concatenate(columns, axis=-1)

    def past(self, packed: np.ndarray) -> tuple[np.ndarray, ...]:
        """What every step reads of the packed states: (steps, *batch, *extra, *event) each."""
        lead = packed.shape[:-1]
        found = []
        for read in self.reads:
            history = packed[..., self.columns[read.state]].reshape(*lead, *self.events[read.state])
            found.append(behind(np, history[read.positions], read, len(lead), 1))
        return tuple(found)

    def total(self, cotangent: np.ndarray, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """Cotangents of the packed states with what they are worth through later ones: (steps, *batch, width).

        `slopes` has for each read the derivatives of the packed states by it: (steps, *batch, width, numbers read).
        """
        total = np.array(cotangent, float)
        single = self.width == 1
        for t in range(self.length - 1, 0, -1):
            for read, slope in zip(self.reads, slopes, strict=True):
                gain = total[t] * slope[t, ..., 0, :] if single else (total[t][..., None, :] @ slope[t])[..., 0, :]
                columns = self.columns[read.state]
                size = columns.stop - columns.start
                for number, position in enumerate(read.positions[t].ravel()):
                    if position < t:
                        total[position, ..., columns] += gain[..., number * size : (number + 1) * size]
        return total

    def pushed(self, moves: np.ndarray, slopes: Sequence[np.ndarray]) -> np.ndarray:
        """Changes of the packed states with what those of earlier ones add to them: the adjoint of `total`."""
        moved = np.array(moves, float)
        for t in range(1, self.length):
            for read, slope in zip(self.reads, slopes, strict=True):
                columns = self.columns[read.state]
                size = columns.stop - columns.start
                for number, position in enumerate(read.positions[t].ravel()):
                    if position < t:
                        part = slope[t, ..., number * size : (number + 1) * size]
                        moved[t] += np.sum(part * moved[position, ..., None, columns], axis=-1)
        return moved

    def spread(self, parts: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
        """Cotangents of what every step reads as those of the packed states, of that shape: the adjoint of `past`."""
        total = np.zeros(shape)
        for read, part in zip(self.reads, parts, strict=True):
            columns = self.columns[read.state]
            size = columns.stop - columns.start
            flat = np.reshape(part, (*shape[:-1], -1))
            for t in range(1, self.length):
                for number, position in enumerate(read.positions[t].ravel()):
                    if position < t:
                        total[position, ..., columns] += flat[t, ..., number * size : (number + 1) * size]
        return total

    def batch_shape(self, inputs: Sequence[Array]) -> tuple[int, ...]:
        """The batch dimensions of the states, for inputs with some number of draws."""
        sizes = [np.shape(item)[place] for item, place in zip(inputs, self.draw_at, strict=True) if place is not None]
        draws = max(sizes, default=1)
        return tuple(draws if size is None else size for size in self.batch)


@dataclass(frozen=True, eq=False)
class DrawLoop:
    """Statements that are drawn one step after another. As `Loop`, but the states stay apart.

    `shapes` are those of the states at one step, None for the number of draws; `discrete` ones are whole numbers.
    `batches` counts the batch dimensions of what is read. `one` takes the random generator and the number of draws too.
    """

    length: int
    shapes: tuple[tuple[int | None, ...], ...]
    discrete: tuple[bool, ...]
    reads: tuple[Read, ...]
    batches: tuple[int, ...]
    stepped: tuple[bool, ...]
    one: Steps

    def run(self, xp: Any, rng: np.random.Generator, draws: int, inputs: Sequence[Array]) -> list[np.ndarray]:
        """Every state at all steps: (steps, *batch, *event)."""
        prepare, step = self.one.load(xp)
        constants = prepare({})
        histories = [
            np.full((self.length, *(draws if size is None else size for size in shape)), 0 if whole else np.nan)
            for shape, whole in zip(self.shapes, self.discrete, strict=True)
        ]
        for t in range(self.length):
            past = [
                behind(np, histories[read.state][read.positions[t]], read, batch)
                for read, batch in zip(self.reads, self.batches, strict=True)
            ]
            given = [item[t] if stepped else item for item, stepped in zip(inputs, self.stepped, strict=True)]
            states = step(rng, draws, past, given, constants)
            for history, state in zip(histories, states.values(), strict=True):
                history[t] = state
        return histories


def behind(xp: Any, array: Array, read: Read, batch: int, front: int = 0) -> Array:
    """The further dimensions of a read moved behind the batch, of whose dimensions `front` come first anyway."""
    rank = len(read.extra)
    if not rank:
        return array
    return xp.moveaxis(array, range(front, front + rank), range(batch, batch + rank))
