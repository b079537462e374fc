"""Recurrences as one differentiable operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd import make_vjp
from autograd.extend import defvjp_argnums, primitive

from ppl.loops import Loop
from ppl.numeric import NUMPY


@primitive
def scan(xp: Any, loop: Loop, *inputs: Any) -> Any:
    """The packed states of all steps of a loop: (steps, *batch, width). `xp` is what it is differentiated over."""
    return loop.run(NUMPY, inputs)


@primitive
def _cotangents(
    xp: Any, loop: Loop, places: tuple[int, ...], packed: Any, cotangent: Any, *inputs: Any
) -> tuple[Any, ...]:
    """Cotangents of the inputs at `places` from that of the packed states."""
    every, batch = loop.program(loop.every, xp), packed.shape[1:-1]

    def states(varied: Any) -> Any:
        past, wanted = varied
        given = list(inputs)
        for place, item in zip(places, wanted, strict=True):
            given[place] = item
        return loop.pack(xp, list(every(past, given).values()), batch)

    pull, _ = make_vjp(states)((loop.past(packed), tuple(inputs[place] for place in places)))
    return pull(loop.total(cotangent, _slopes(pull, packed.shape)))[1]


def _slopes(pull: Callable[..., Any], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Derivatives of the packed states of each step by each of its reads: (steps, *batch, width, numbers read)."""
    rows = []
    for column in range(shape[-1]):
        one = np.zeros(shape)
        one[..., column] = 1.0
        rows.append([part.reshape(*shape[:-1], -1) for part in pull(one)[0]])
    return [np.stack(parts, axis=-2) for parts in zip(*rows, strict=True)]


def _adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Callable[..., Any]:
    xp, loop, *inputs = arguments
    places = tuple(place - 2 for place in argnums)

    def adjoint(cotangent: Any) -> tuple[Any, ...]:
        found = _cotangents(xp, loop, places, answer, cotangent, *inputs)
        return tuple(found[number] for number in range(len(places)))

    return adjoint


defvjp_argnums(scan, _adjoint)
