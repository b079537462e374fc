"""Tangents of functions that work on whole arrays, in all directions at once; see `tangents`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import autograd.numpy as anp
import numpy as np
from autograd.builtins import container_take
from autograd.numpy.numpy_wrapper import array_from_args, concatenate_args

from ppl import chains
from ppl.backends import linear as differentiable
from ppl.backends.chains import weighted_pairs
from ppl.backends.staging.graph import FLOAT, Call, Elementwise, Hole, Node, Ref, Shape, key_of_argument
from ppl.backends.staging.kernels import gather, scatter
from ppl.backends.staging.shapes import padded

if TYPE_CHECKING:
    from ppl.backends.staging.tangents import Tangents

CallRule = Callable[["Tangents", Node], Ref | None]
"""From the tangents of the operands of a call to its own; None where the rule does not apply."""


class Given:
    """The arguments of a call: references for those that vary, their tangents, and constants as they are."""

    def __init__(self, tangents: Tangents, node: Node) -> None:
        self.tangents, self.node = tangents, node
        self.builder, self.count = tangents.builder, tangents.count
        self.values: list[Any] = []
        self.moves: list[Ref | None] = []
        for part in node.operation.arguments:
            varies = isinstance(part, Hole)
            self.values.append(Ref(node.operands[part.number]) if varies else part)
            self.moves.append(tangents.of[node.operands[part.number]] if varies else None)
        self.keywords = dict(node.operation.keywords)

    @property
    def shape(self) -> Shape:
        """That of the tangent."""
        return (self.count, *(self.node.shape or ()))

    def only(self) -> Ref | None:
        """The tangent of the first argument where nothing else varies."""
        return self.moves[0] if len(self.node.operands) == 1 else None

    def ref(self, place: int) -> Ref:
        value = self.values[place]
        return value if isinstance(value, Ref) else self.builder.constant(np.asarray(value, float))

    def move(self, place: int, rank: int) -> Ref | None:
        """The tangent of an argument, beside values of that rank."""
        found = self.moves[place]
        if found is None:
            return None
        return self.builder.reshape(found, (self.count, *padded(found.shape[1:], rank)))

    def joined(self, axis: int, pieces: Sequence[Ref]) -> Ref:
        """Arrays side by side along an axis."""
        shape = list(pieces[0].shape)
        shape[axis] = sum(piece.shape[axis] for piece in pieces)
        return self.called(concatenate_args.fun, axis, *pieces, shape=tuple(shape))

    def called(self, function: Callable[..., Any], *arguments: Any, shape: Shape | None = None) -> Ref:
        """A function of references and constants."""
        return self._called(function, arguments, self.shape if shape is None else shape, FLOAT)

    def tuple_called(self, function: Callable[..., Any], *arguments: Any) -> Ref:
        """A function that gives a tuple of arrays, each with the directions in front."""
        return self._called(function, arguments, None, None)

    def _called(self, function: Callable[..., Any], arguments: Sequence[Any], shape: Shape | None, dtype: Any) -> Ref:
        refs = [one for one in arguments if isinstance(one, Ref)]
        holes = iter(range(len(refs)))
        template = tuple(Hole(next(holes)) if isinstance(one, Ref) else one for one in arguments)
        key = (function, *map(key_of_argument, template))
        return self.builder.call(Call(function, template, (), key), refs, shape, dtype)


def rule(tangent: Callable[[Given], Ref | None]) -> CallRule:
    """The rule of a function of the call's arguments."""
    return lambda tangents, node: tangent(Given(tangents, node))


def summed(tangents: Tangents, node: Node) -> Ref | None:
    """`Runs`."""
    given = Given(tangents, node)
    kernel = node.operation.function.along(tangents.count)
    found = given.only()
    return None if found is None else given.called(kernel, found, shape=kernel.shape)


def _gathered(given: Given) -> Ref | None:
    _, index, axis = given.values
    found = given.only()
    return None if found is None else given.called(gather, found, index, axis + 1)


def _scattered(given: Given) -> Ref | None:
    _, index, shape = given.values
    found = given.only()
    key = _one_further(index if isinstance(index, tuple) else (index,))
    if found is None or key is None:
        return None
    return given.called(scatter, found, key, (given.count, *shape))


def _one_further(key: tuple[Any, ...], hole: Any = None) -> tuple[Any, ...] | None:
    """A key for arrays with one more first axis, where the axes of the answer stay in order."""
    arrays = [place for place, part in enumerate(key) if part is hole or isinstance(part, np.ndarray | int)]
    together = not arrays or arrays[-1] - arrays[0] + 1 == len(arrays)
    return (slice(None), *key) if together else None


def _element(given: Given) -> Ref | None:
    """`ppl.backends.linear.element`."""
    _, key, *places = given.values
    found, further = given.only(), _one_further(key, differentiable.HOLE)
    return None if found is None or further is None else given.called(_function(given), found, further, *places)


def _put(given: Given) -> Ref | None:
    _, key, shape, *places = given.values
    found, further = given.only(), _one_further(key, differentiable.HOLE)
    if found is None or further is None:
        return None
    return given.called(_function(given), found, further, (given.count, *shape), *places)


def _function(given: Given) -> Callable[..., Any]:
    function: Callable[..., Any] = given.node.operation.function
    return function


def _clipped(given: Given) -> Ref | None:
    """Still at the ends, as autograd has it."""
    found, builder = given.only(), given.builder
    if found is None:
        return None
    zero, value = Ref(builder.one, 0.0), Ref(given.node)
    for end in given.values[1:3]:
        if end is not None:
            limit = builder.constant(np.asarray(end))
            test = builder.elementwise(Elementwise(np.equal), (value, limit), np.dtype(bool))
            found = builder.elementwise(Elementwise(np.where), (test, zero, found))
    return found


def _joined(given: Given) -> Ref | None:
    axis, *parts = given.values
    zero, pieces = Ref(given.builder.one, 0.0), []
    for place, part in enumerate(parts):
        shape = part.shape if isinstance(part, Ref) else np.shape(part)
        pieces.append(given.builder.broadcast(given.moves[1 + place] or zero, (given.count, *shape)))
    return given.joined(_further(axis), pieces)


def _stacked(given: Given) -> Ref | None:
    """`numpy.array` of a list of arrays, which become its first axis."""
    *options, first = given.values[:3]
    if any(options):
        return None
    parts = [first, *given.values[3:]]
    pieces = []
    for place, part in enumerate(parts):
        shape = part.shape if isinstance(part, Ref) else np.shape(part)
        move = given.moves[2 + place] or Ref(given.builder.one, 0.0)
        full = given.builder.broadcast(move, (given.count, *shape))
        pieces.append(given.builder.reshape(full, (given.count, 1, *shape)))
    return given.joined(1, pieces)


def _running(given: Given) -> Ref | None:
    axis = given.values[1] if len(given.values) > 1 else given.keywords.get("axis")
    found = given.only()
    return None if found is None or axis is None else given.called(np.cumsum, found, _further(axis))


def _further(axis: int) -> int:
    return axis if axis < 0 else axis + 1


def _part_of_tuple(given: Given) -> Ref | None:
    found = given.only()
    return None if found is None else given.called(_function(given), found, given.values[1])


def _lead(given: Given) -> Ref | None:
    """Linear functions of the last axes of their first argument."""
    found = given.only()
    return None if found is None or given.keywords else given.called(_function(given), found, *given.values[1:])


def _weighted_pairs(given: Given) -> Ref | None:
    """Of the slopes of a sum over the paths of hidden Markov chains; see `ppl.backends.chains`."""
    builder, cotangent, log_weights = given.builder, given.ref(0), given.ref(1)
    before = given.values[2]
    terms = []
    if (move := given.moves[0]) is not None:
        pairs = given.called(chains.pairs, log_weights, before, shape=log_weights.shape)
        beside = builder.reshape(move, (given.count, 1, *move.shape[1:], 1, 1))
        terms.append(builder.multiply(beside, pairs))
    if (move := given.moves[1]) is not None:
        changes = given.called(chains.pair_changes, log_weights, before, move)
        beside = builder.reshape(cotangent, (1, *cotangent.shape, 1, 1))
        terms.append(builder.multiply(beside, changes))
    return builder.linear(terms)


CALLS: dict[Any, CallRule] = {
    gather: rule(_gathered),
    scatter: rule(_scattered),
    np.clip: rule(_clipped),
    np.cumsum: rule(_running),
    concatenate_args.fun: rule(_joined),
    array_from_args.fun: rule(_stacked),
    container_take.fun: rule(_part_of_tuple),
    weighted_pairs.fun: rule(_weighted_pairs),
    differentiable.element.fun: rule(_element),
    differentiable.put.fun: rule(_put),
    **dict.fromkeys((anp.tril.fun, anp.triu.fun), rule(_lead)),
}
"""By function; operations that are functions of their own add theirs."""
