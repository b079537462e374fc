"""Sums over blocks of rows as one differentiable operation.

Values and slopes come from one pass over the blocks. In each, a staged program takes the data of the block as its
arguments, so that one program serves all blocks of a size; draws are independent, so the slopes of the sum over draws
hold each draw's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.core import VJPNode
from autograd.extend import defvjp_argnums, primitive, register_notrace
from autograd.tracer import isbox

from ppl.backends.staging import StagedFunction, values_and_slopes
from ppl.blocks import Blocks, Terms, mapped


def total(xp: Any, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any]) -> Any:
    """The sum for each draw: (draws,)."""
    if any(isbox(item) and isinstance(item._node, VJPNode) for item in given):
        return _first(blocks, _table(xp, blocks, tuple(rows), *given), *given)
    return _values(xp, blocks, tuple(rows), *given)


@primitive
def _values(xp: Any, blocks: Blocks, rows: tuple[Any, ...], *given: Any) -> np.ndarray:
    """The sum for each draw."""
    return _summed(xp, blocks, rows, given, _Sums)[:, 0]


@primitive
def _table(xp: Any, blocks: Blocks, rows: tuple[Any, ...], *given: Any) -> np.ndarray:
    """The sum for each draw, and beside it its slopes in all that is given: (draws, 1 + numbers given a draw)."""
    return _summed(xp, blocks, rows, given, _Slopes)


register_notrace(VJPNode, _table)


class _Sums:
    """The sums of a block for each draw: a staged function of what is given, packed, and of the data of the block."""

    def __init__(self, sums: Callable[..., Any]) -> None:
        self.staged = StagedFunction(lambda packed, *rows: (sums(packed, *rows),), alone=True, after=1)

    def __call__(self, packed: np.ndarray, rows: Sequence[Any]) -> np.ndarray:
        return self.staged(packed, *rows)[0][:, None]


class _Slopes:
    """The same with the slopes beside the sums."""

    def __init__(self, sums: Callable[..., Any]) -> None:
        self.staged = StagedFunction(values_and_slopes(sums), alone=True, after=1)

    def __call__(self, packed: np.ndarray, rows: Sequence[Any]) -> np.ndarray:
        values, slopes = self.staged(packed, *rows)
        return np.concatenate([values[:, None], slopes], axis=1)


def _summed(
    xp: Any, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any], kind: type[_Sums] | type[_Slopes]
) -> np.ndarray:
    """What `kind` computes, summed over the blocks: (draws, …)."""
    chunks = [packed for (packed,) in blocks.chunks([_packed(blocks, given)])]
    shapes = [np.shape(item)[1:] for item in blocks.leading(given)]

    def function(terms: Terms) -> _Sums | _Slopes:
        run = blocks.program(terms, xp)
        key = (id(terms), id(xp), kind)
        return blocks.remembered(key, lambda: kind(lambda packed, *data: run(data, _unpacked(packed, shapes))))

    def one(part: tuple[Terms, list[Any]]) -> np.ndarray:
        return np.concatenate([function(part[0])(packed, part[1]) for packed in chunks])

    parts = blocks.parts(rows)
    before = []  # autograd is not for threads; the last block may run it in one of them, since no other does then
    for part in parts:
        before.append(one(part))
        if all(function(blocks.one).staged.is_staged(packed, *part[1]) for packed in chunks):
            break
    return np.asarray(sum(chain(before, mapped(one, parts))))


def _packed(blocks: Blocks, given: Sequence[Any]) -> np.ndarray:
    """What is given as one row a draw: (draws, numbers)."""
    draws = blocks.draws(given)
    full = [np.broadcast_to(item, (draws, *np.shape(item)[1:])) for item in blocks.leading(given)]
    return np.concatenate([np.reshape(item, (draws, -1)) for item in full], axis=1)


def _unpacked(packed: Any, shapes: Sequence[tuple[int, ...]]) -> list[Any]:
    found, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        found.append(anp.reshape(packed[:, start : start + size], (-1, *shape)))
        start += size
    return found


@primitive
def _first(blocks: Blocks, table: Any, *given: Any) -> Any:
    return np.array(table[:, 0])


def _adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Any:
    blocks, table, *given = arguments
    shapes = [np.shape(item) for item in given]
    ends = np.cumsum([1, *(int(np.prod(np.shape(item)[1:])) for item in blocks.leading(given))])

    def slope(place: int, cotangent: Any) -> Any:
        part = cotangent[:, None] * table[:, int(ends[place]) : int(ends[place + 1])]
        shape = shapes[place] if blocks.drawn[place] else (1, *shapes[place])
        if shape[0] == 1:
            part = anp.sum(part, axis=0)
        return anp.reshape(part, shapes[place])

    return lambda cotangent: tuple(slope(argnum - 2, cotangent) for argnum in argnums)


defvjp_argnums(_first, _adjoint)
