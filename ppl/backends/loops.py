"""Recurrences as one differentiable operation, twice over.

The states of all steps are one evaluation; what is left of the derivatives is linear in the steps. Second derivatives
bend both: they are those of all steps at once, in directions that a forward pass has found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad, make_vjp
from autograd.extend import defvjp_argnums, primitive

from ppl.backends.staging.graph import Ref
from ppl.backends.staging.tangent_calls import CALLS, Given, rule
from ppl.loops import Loop
from ppl.numeric import NUMPY


@primitive
def scan(xp: Any, loop: Loop, *inputs: Any) -> Any:
    """The packed states of all steps of a loop: (steps, *batch, width). `xp` is what it is differentiated over."""
    return loop.run(NUMPY, inputs)


@primitive
def cotangents(
    xp: Any, loop: Loop, places: tuple[int, ...], packed: Any, cotangent: Any, *inputs: Any
) -> tuple[Any, ...]:
    """Cotangents of the inputs at `places` from that of the packed states, which follow from the inputs: nothing is
    carried back to them.
    """
    steps = _Steps(xp, loop, places, packed, inputs)
    return steps.pull(loop.total(cotangent, steps.slopes()))[1]


class _Steps:
    """All steps of a loop at a path, as functions of what they read and of the inputs at `places`."""

    def __init__(self, xp: Any, loop: Loop, places: tuple[int, ...], packed: np.ndarray, inputs: Sequence[Any]) -> None:
        every, batch = loop.program(loop.every, xp), packed.shape[1:-1]

        def states(varied: Any) -> Any:
            past, wanted = varied
            given = list(inputs)
            for place, item in zip(places, wanted, strict=True):
                given[place] = item
            return loop.pack(xp, list(every(past, given).values()), batch)

        self.states, self.shape = states, packed.shape
        self.point = loop.past(packed), tuple(inputs[place] for place in places)
        self.pull, _ = make_vjp(states)(self.point)

    def slopes(self) -> list[np.ndarray]:
        """Derivatives of the packed states of each step by each of its reads: (steps, *batch, width, numbers read)."""
        rows = []
        for column in range(self.shape[-1]):
            one = np.zeros(self.shape)
            one[..., column] = 1.0
            rows.append([part.reshape(*self.shape[:-1], -1) for part in self.pull(one)[0]])
        return [np.stack(parts, axis=-2) for parts in zip(*rows, strict=True)]

    def moved(self, moves: tuple[np.ndarray, ...]) -> np.ndarray:
        """Changes of the packed states by moves of the inputs alone, with what is read held."""
        forward, _ = make_vjp(self.pull)(np.ones(self.shape))
        still = tuple(np.zeros(np.shape(part)) for part in self.point[0])
        change: np.ndarray = forward((still, moves))
        return change

    def bent(self, cotangent: np.ndarray, direction: tuple[Any, Any]) -> tuple[Any, Any]:
        """How `pull(cotangent)` changes in a direction of reads and inputs: the Hessian is symmetric."""

        def along(varied: Any) -> Any:
            past, wanted = make_vjp(self.states)(varied)[0](cotangent)
            return sum(anp.sum(a * b) for a, b in zip((*past, *wanted), (*direction[0], *direction[1]), strict=True))

        found: tuple[Any, Any] = grad(along)(self.point)
        return found


def push(
    xp: Any, loop: Loop, places: tuple[int, ...], packed: Any, inputs: Sequence[Any], moves: tuple[np.ndarray, ...]
) -> np.ndarray:
    """How the packed states change as the inputs at `places` move."""
    steps = _Steps(xp, loop, places, packed, inputs)
    return loop.pushed(steps.moved(moves), steps.slopes())


def changes(
    xp: Any,
    loop: Loop,
    places: tuple[int, ...],
    packed: Any,
    cotangent: Any,
    inputs: Sequence[Any],
    moved: np.ndarray,
    moves: tuple[np.ndarray, ...],
    turn: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """How the cotangents of the inputs at `places` change: as those move by `moves`, which moves the packed states by
    `moved`, and the cotangent of the states by `turn`.
    """
    steps = _Steps(xp, loop, places, packed, inputs)
    slopes = steps.slopes()
    past, bent = steps.bent(loop.total(cotangent, slopes), (loop.past(moved), moves))
    later = loop.total(turn + loop.spread(past, packed.shape), slopes)
    return tuple(a + b for a, b in zip(steps.pull(later)[1], bent, strict=True))


def _adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Callable[..., Any]:
    xp, loop, *inputs = arguments
    places = tuple(place - 2 for place in argnums)

    def adjoint(cotangent: Any) -> tuple[Any, ...]:
        found = cotangents(xp, loop, places, answer, cotangent, *inputs)
        return tuple(found[number] for number in range(len(places)))

    return adjoint


_INPUTS = 5
"""Where the inputs begin among the arguments of `cotangents`."""


def _second_adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Callable[..., Any]:
    xp, loop, places, packed, cotangent, *inputs = arguments
    every = tuple(sorted({*places, *(place - _INPUTS for place in argnums if place >= _INPUTS)}))

    def adjoint(given: Any) -> tuple[Any, ...]:
        known = dict(zip(places, given, strict=True))
        moves = tuple(known.get(place, np.zeros(np.shape(inputs[place]))) for place in every)
        moved = push(xp, loop, every, packed, inputs, moves)
        found = changes(xp, loop, every, packed, cotangent, inputs, moved, moves, np.zeros(packed.shape))
        parts = {3: np.zeros(packed.shape), 4: moved}
        parts |= {_INPUTS + place: part for place, part in zip(every, found, strict=True)}
        return tuple(parts[place] for place in argnums)

    return adjoint


defvjp_argnums(scan, _adjoint)
defvjp_argnums(cotangents, _second_adjoint)


# Tangents in staged programs ----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Moving:
    """What is done in many directions: with the directions as so many times the draws where all that moves has draws,
    else one after the other. The inputs at `moving` have tangents, those at `places` are asked for.
    """

    xp: Any
    loop: Loop
    moving: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def every(self) -> tuple[int, ...]:
        return tuple(sorted({*self.moving, *self.places}))

    def moves(self, inputs: Sequence[Any], tangents: Sequence[Any], count: int) -> list[np.ndarray]:
        known = dict(zip(self.moving, tangents, strict=True))
        return [known[p] if p in known else np.zeros((count, *np.shape(inputs[p]))) for p in self.every]

    @property
    def own(self) -> int:
        """The dimension of the draws in packed states."""
        return 1 + self.loop.batch.index(None)

    def draw_axes(self, packed: np.ndarray, inputs: Sequence[Any]) -> dict[int, int]:
        """The dimension of the draws in each input that has them all; empty where one that matters has not."""
        if None not in self.loop.batch:
            return {}
        draws = packed.shape[self.own]
        found = {
            place: axis
            for place, axis in enumerate(self.loop.draw_at)
            if axis is not None and np.shape(inputs[place])[axis] == draws
        }
        return found if set(self.every) <= found.keys() else {}

    def more(self, axes: dict[int, int], inputs: Sequence[Any], count: int) -> list[Any]:
        return [_tiled(item, axes[place], count) if place in axes else item for place, item in enumerate(inputs)]

    def merged(self, axes: dict[int, int], moves: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        return tuple(_merged(move, axes[place]) for place, move in zip(self.every, moves, strict=True))


@dataclass(frozen=True, eq=False)
class _Push(_Moving):
    """`push` of packed states, inputs and the tangents of those that move: (directions, *packed)."""

    def __call__(self, packed: Any, *rest: Any) -> np.ndarray:
        inputs, tangents = rest[: len(self.loop.stepped)], rest[len(self.loop.stepped) :]
        count, axes = len(tangents[0]), self.draw_axes(packed, inputs)
        if not axes:
            parts = [tuple(tangent[k] for tangent in tangents) for k in range(count)]
            return np.stack([push(self.xp, self.loop, self.every, packed, inputs, part) for part in parts])
        more, moves = self.more(axes, inputs, count), self.merged(axes, tangents)
        found = push(self.xp, self.loop, self.every, _tiled(packed, self.own, count), more, moves)
        return _parted(found, self.own, count)


@dataclass(frozen=True, eq=False)
class _Change(_Moving):
    """`changes` of packed states, cotangent, inputs, and the tangents of packed states, cotangent and inputs."""

    def __call__(self, packed: Any, cotangent: Any, *rest: Any) -> tuple[np.ndarray, ...]:
        inputs, (moved, turn, *tangents) = rest[: len(self.loop.stepped)], rest[len(self.loop.stepped) :]
        count, axes = len(moved), self.draw_axes(packed, inputs)
        turn = np.broadcast_to(turn, moved.shape)
        moves = self.moves(inputs, tangents, count)
        if axes:
            packed, cotangent = (_tiled(part, self.own, count) for part in (packed, cotangent))
            more, merged = self.more(axes, inputs, count), self.merged(axes, moves)
            ends = _merged(moved, self.own), merged, _merged(turn, self.own)
            parts = changes(self.xp, self.loop, self.every, packed, cotangent, more, *ends)
            found = [_parted(part, axes[place], count) for place, part in zip(self.every, parts, strict=True)]
        else:
            each = [
                changes(
                    self.xp, self.loop, self.every, packed, cotangent, inputs,
                    moved[k], tuple(move[k] for move in moves), turn[k],
                )
                for k in range(count)
            ]  # fmt: skip
            found = [np.stack(part) for part in zip(*each, strict=True)]
        return tuple(found[self.every.index(place)] for place in self.places)


def _tiled(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    return np.concatenate([array] * count, axis=axis)


def _merged(array: np.ndarray, axis: int) -> np.ndarray:
    """(count, …) with the first axis in front of the one that was `axis`, as one."""
    turned = np.moveaxis(array, 0, axis)
    return turned.reshape(*turned.shape[:axis], -1, *turned.shape[axis + 2 :])


def _parted(array: np.ndarray, axis: int, count: int) -> np.ndarray:
    """Undoes `_merged`."""
    shape = array.shape
    return np.moveaxis(array.reshape(*shape[:axis], count, -1, *shape[axis + 1 :]), axis, 0)


def _tangent_of_scan(given: Given) -> Ref:
    xp, loop, *inputs = given.values
    moving = tuple(place for place in range(len(inputs)) if given.moves[2 + place] is not None)
    tangents = [given.moves[2 + place] for place in moving]
    return given.called(_Push(xp, loop, moving, ()), Ref(given.node), *inputs, *tangents)


def _tangent_of_cotangents(given: Given) -> Ref:
    xp, loop, places, packed, cotangent, *inputs = given.values
    still = np.zeros((1,) * (1 + len(packed.shape)))
    moving = tuple(place for place in range(len(inputs)) if given.moves[_INPUTS + place] is not None)
    tangents = [given.moves[_INPUTS + place] for place in moving]
    shape = (given.count, *packed.shape)
    moved = np.zeros(shape) if given.moves[3] is None else given.moves[3]
    turn = still if given.moves[4] is None else given.moves[4]
    return given.tuple_called(_Change(xp, loop, moving, places), packed, cotangent, *inputs, moved, turn, *tangents)


CALLS[scan.fun] = rule(_tangent_of_scan)
CALLS[cotangents.fun] = rule(_tangent_of_cotangents)
