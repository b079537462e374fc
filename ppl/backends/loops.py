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


def _adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Callable[..., Any]:
    xp, loop, *inputs = arguments
    every, past = loop.program(loop.every, xp), loop.past(answer)
    batch = answer.shape[1:-1]

    def packed(past: Any, given: Any) -> Any:
        return loop.pack(xp, list(every(past, given).values()), batch)

    def adjoint(cotangent: Any) -> tuple[Any, ...]:
        wanted = tuple(inputs[place - 2] for place in argnums)
        pull, _ = make_vjp(lambda varied: packed(varied[0], _with(inputs, argnums, varied[1])))((past, wanted))
        return pull(loop.total(cotangent, _slopes(pull, answer.shape)))[1]

    return adjoint


defvjp_argnums(scan, _adjoint)


def _with(inputs: Sequence[Any], argnums: Sequence[int], varied: Sequence[Any]) -> list[Any]:
    mixed = list(inputs)
    for number, place in enumerate(argnums):
        mixed[place - 2] = varied[number]
    return mixed


def _slopes(pull: Callable[..., Any], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Derivatives of the packed states of each step by each of its reads: (steps, *batch, width, numbers read)."""
    rows = []
    for column in range(shape[-1]):
        one = np.zeros(shape)
        one[..., column] = 1.0
        rows.append([part.reshape(*shape[:-1], -1) for part in pull(one)[0]])
    return [np.stack(parts, axis=-2) for parts in zip(*rows, strict=True)]
