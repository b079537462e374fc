"""Sums over blocks of rows as one differentiable operation.

Values and slopes come from one pass over the blocks. In each, a staged program takes the data of the block as its
arguments, so that one program serves all blocks of a size; draws are independent, so the slopes of the sum over draws
hold each draw's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.core import VJPNode
from autograd.extend import defvjp_argnums, primitive, register_notrace
from autograd.tracer import isbox

from ppl.backends.reuse import Programs, programs_for
from ppl.backends.staging import StagedFunction, StagedProducts, values_and_slopes
from ppl.backends.staging.graph import Ref
from ppl.backends.staging.tangent_calls import CALLS, Given, rule
from ppl.blocks import NUMBERS, ROWS, Blocks, Terms, mapped


def total(xp: Any, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any]) -> Any:
    """The sum for each draw: (draws,)."""
    if any(isbox(item) and isinstance(item._node, VJPNode) for item in given):
        return _first(xp, blocks, tuple(rows), _table(xp, blocks, tuple(rows), *given), *given)
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

    def __init__(self, sums: Callable[..., Any], kept: Programs) -> None:
        self.staged = StagedFunction(lambda packed, *rows: (sums(packed, *rows),), alone=True, after=1, kept=kept)

    def __call__(self, packed: np.ndarray, rows: Sequence[Any]) -> np.ndarray:
        return self.staged(packed, *rows)[0][:, None]


class _Slopes:
    """The same with the slopes beside the sums."""

    def __init__(self, sums: Callable[..., Any], kept: Programs) -> None:
        self.staged = StagedFunction(values_and_slopes(sums), alone=True, after=1, kept=kept)

    def __call__(self, packed: np.ndarray, rows: Sequence[Any]) -> np.ndarray:
        values, slopes = self.staged(packed, *rows)
        return np.concatenate([values[:, None], slopes], axis=1)


def _programs(
    xp: Any, blocks: Blocks, given: Sequence[Any], kind: Callable[..., Any], name: str
) -> Callable[[Terms], Any]:
    """For each program of terms what `kind` makes of its sums, once.

    Data are arguments, so that what is staged serves all models with such terms, whatever the data.
    """
    shapes = [np.shape(item)[1:] for item in blocks.leading(given)]

    def function(terms: Terms) -> Any:
        run = blocks.program(terms, xp)

        def build() -> Any:
            kept = programs_for("autograd", [terms], {}, name, shapes)
            return kind(lambda packed, *data: run(data, _unpacked(packed, shapes)), kept)

        return blocks.remembered((id(terms), id(xp), name), build)

    return function


def _summed(
    xp: Any, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any], kind: type[_Sums] | type[_Slopes]
) -> np.ndarray:
    """What `kind` computes, summed over the blocks: (draws, …)."""
    chunks = [packed for (packed,) in blocks.chunks([_packed(blocks, given)])]
    function = _programs(xp, blocks, given, kind, kind.__name__)

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
def _first(xp: Any, blocks: Blocks, rows: tuple[Any, ...], table: Any, *given: Any) -> Any:
    return np.array(table[:, 0])


@primitive
def slopes(xp: Any, blocks: Blocks, rows: tuple[Any, ...], table: Any, *given: Any) -> Any:
    """The slopes in a table, which follows from what is given: nothing is carried back to it."""
    return table[:, 1:]


def _pieces(blocks: Blocks, argnums: Sequence[int], table: Any, given: Sequence[Any]) -> tuple[Any, ...]:
    """Parts of (draws, numbers given a draw) for what is given at `argnums`, in its shape."""
    shapes = [np.shape(item) for item in given]
    ends = np.cumsum([0, *(int(np.prod(np.shape(item)[1:])) for item in blocks.leading(given))])

    def piece(place: int) -> Any:
        part = table[:, int(ends[place]) : int(ends[place + 1])]
        shape = shapes[place] if blocks.drawn[place] else (1, *shapes[place])
        if shape[0] == 1:
            part = anp.sum(part, axis=0)
        return anp.reshape(part, shapes[place])

    return tuple(piece(argnum - _GIVEN) for argnum in argnums)


_GIVEN = 4
"""Where what is given begins among the arguments."""


def _adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Any:
    xp, blocks, rows, table, *given = arguments

    def adjoint(cotangent: Any) -> tuple[Any, ...]:
        found = slopes(xp, blocks, rows, table, *given)
        return _pieces(blocks, argnums, cotangent[:, None] * found, given)

    return adjoint


def _second_adjoint(argnums: Sequence[int], answer: Any, arguments: Sequence[Any], named: Any) -> Any:
    """The Hessian of each draw is symmetric: its product with the cotangents is what they are carried back as."""
    xp, blocks, rows, _, *given = arguments

    def adjoint(cotangent: Any) -> tuple[Any, ...]:
        found = products(xp, blocks, rows, given, np.asarray(cotangent)[None])[0]
        return _pieces(blocks, argnums, found, given)

    return adjoint


defvjp_argnums(_first, _adjoint)
defvjp_argnums(slopes, _second_adjoint)


def products(xp: Any, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any], directions: np.ndarray) -> np.ndarray:
    """The Hessian of each draw's sum in all that is given, times directions: both (directions, draws, numbers).

    Raises NotImplementedError where a term has no second derivatives.
    """
    packed = _packed(blocks, given)
    most = min(NUMBERS // ROWS, len(directions))
    padded = np.concatenate([directions, np.zeros((-len(directions) % most, *directions.shape[1:]))])
    function = _programs(xp, blocks, given, _staged_products, "products")

    def one(part: tuple[Terms, list[Any]]) -> np.ndarray:
        run, total = function(part[0]), np.empty(padded.shape)
        for draw, start in product(range(len(packed)), range(0, len(padded), most)):
            cut = (slice(start, start + most), slice(draw, draw + 1))
            found = run(packed[draw : draw + 1], np.ascontiguousarray(padded[cut]), *part[1])
            if found is None:
                raise NotImplementedError(run.inexact)
            total[cut] = found
        return total

    parts = blocks.parts(rows)
    first = one(next(parts))  # makes the program, which is not for threads; see `_summed`
    return np.asarray(sum(chain([first], mapped(one, parts))))[: len(directions)]


def _staged_products(sums: Callable[..., Any], kept: Programs) -> StagedProducts:
    return StagedProducts(sums, alone=True, kept=kept)


@dataclass(frozen=True, eq=False)
class _Products:
    """`products` as a function of what is given and the directions."""

    xp: Any
    blocks: Blocks
    rows: tuple[Any, ...]

    def __call__(self, *arguments: Any) -> np.ndarray:
        *given, directions = arguments
        return products(self.xp, self.blocks, self.rows, given, directions)


def _tangent(call: Given) -> Ref | None:
    """That of `slopes`."""
    xp, blocks, rows, _, *given = call.values
    builder, draws = call.builder, call.shape[1]
    pieces = []
    for place, one in enumerate(given):
        shape = one.shape if isinstance(one, Ref) else np.shape(one)
        inner = shape[1:] if blocks.drawn[place] else shape
        move = call.moves[_GIVEN + place]
        if move is None:
            move = Ref(builder.one, 0.0)
        elif not blocks.drawn[place]:
            move = builder.reshape(move, (call.count, 1, *inner))
        full = builder.broadcast(move, (call.count, draws, *inner))
        pieces.append(builder.reshape(full, (call.count, draws, math.prod(inner))))
    directions = call.joined(2, pieces)
    return call.called(_Products(xp, blocks, rows), *given, directions)


CALLS[slopes.fun] = rule(_tangent)
