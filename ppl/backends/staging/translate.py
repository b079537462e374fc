"""From a tape to a graph: what each recorded function is in the graph's own terms.

A function without an entry in `RULES` is called as it was recorded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from autograd.core import VSpace, sparse_add
from autograd.numpy.numpy_boxes import ArrayBox
from autograd.numpy.numpy_vjps import untake
from autograd.numpy.numpy_wrapper import _array_from_scalar_or_array

from ppl import linear
from ppl.backends.staging.build import Builder
from ppl.backends.staging.graph import FLOAT, Call, Elementwise, Hole, Input, Node, Ref, Shape, key_of_argument
from ppl.backends.staging.kernels import Runs, gather, scatter
from ppl.backends.staging.nodes import NONZERO, TINY
from ppl.backends.staging.recording import Recorded, Slot, Tape
from ppl.backends.staging.shapes import basic_spans, length, normal_axes

Rule = Callable[..., Ref | None]
"""From the builder, the recorded call, its arguments (references in the place of values) and keywords to the value;
None where the rule does not apply."""

RULES: dict[Any, Rule] = {}


def translate(builder: Builder, tape: Tape) -> list[Ref]:
    """The values that the tape returns."""
    values: list[Ref] = [
        Ref(builder.make(Input(number), (), array.shape, array.dtype)) for number, array in enumerate(tape.inputs)
    ]
    uses = Counter(one.place for call in tape.calls for one in call.arguments if isinstance(one, Slot))
    for call in tape.calls:
        values.append(_translated(builder, call, values))
        if uses[len(values) - 1] > 1:
            builder.shared.add(builder.thin(values[-1].node))
    return [values[out.place] if isinstance(out, Slot) else builder.constant(np.asarray(out)) for out in tape.outputs]


def _translated(builder: Builder, call: Recorded, values: list[Ref]) -> Ref:
    arguments = [values[one.place] if isinstance(one, Slot) else one for one in call.arguments]
    rule = RULES.get(call.function, _ufunc if isinstance(call.function, np.ufunc) else None)
    found = rule(builder, call, *arguments, **call.keywords) if rule is not None else None
    return _called(builder, call, arguments) if found is None else found


def _called(builder: Builder, call: Recorded, arguments: list[Any], function: Any = None) -> Ref:
    """The function as it is, on the values and constants it was given."""
    refs = [one for one in arguments if isinstance(one, Ref)]
    holes = iter(range(len(refs)))
    template = tuple(Hole(next(holes)) if isinstance(one, Ref) else one for one in arguments)
    keywords = tuple(sorted(call.keywords.items())) if function is None else ()
    function = function or call.function
    key = (function, *map(key_of_argument, template), *((name, key_of_argument(value)) for name, value in keywords))
    return builder.call(Call(function, template, keywords, key), refs, call.shape, call.dtype)


def _ref(builder: Builder, value: Any) -> Ref:
    return value if isinstance(value, Ref) else builder.constant(np.asarray(value))


def _rule(*functions: Any) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(functions, rule))
        return rule

    return register


def _ufunc(builder: Builder, call: Recorded, *arguments: Any, **keywords: Any) -> Ref | None:
    function: Any = call.function
    if keywords or function.signature is not None or function.nout != 1 or len(arguments) != function.nin:
        return None
    refs = [_ref(builder, argument) for argument in arguments]
    return builder.elementwise(Elementwise(function), refs, call.dtype)


def elementwise_as(function: Callable[..., Any]) -> Rule:
    """For a function that is another one on plain arrays."""

    def rule(builder: Builder, call: Recorded, *arguments: Any) -> Ref:
        refs = [_ref(builder, argument) for argument in arguments]
        return builder.elementwise(Elementwise(function), refs, call.dtype)

    return rule


def kept(builder: Builder, call: Recorded, value: Ref) -> Ref:
    """For a function that gives its argument back, as a constant of derivatives."""
    return builder.hold(value) if value.is_float else value


@_rule(np.where)
def where(builder: Builder, call: Recorded, *arguments: Any) -> Ref | None:
    """A choice, of which one is the guard of a division."""
    if len(arguments) != 3:
        return None
    condition, a, b = (_ref(builder, argument) for argument in arguments)
    if _is_zero_test(builder, condition.node, b) and a == Ref(builder.one, TINY):
        return builder.elementwise(NONZERO, (b,))
    return builder.elementwise(Elementwise(np.where), (condition, a, b), call.dtype)


def _is_zero_test(builder: Builder, node: Node, ref: Ref) -> bool:
    node = builder.source(node, any_rank=True) or node
    if node.operation != Elementwise(np.equal):
        return False
    tested = builder.node(ref)
    return node.operands == (builder.source(tested, any_rank=True) or tested, builder.node(Ref(builder.one, 0.0)))


@_rule(np.reshape, np.ravel, np.expand_dims, np.squeeze)
def reshape(builder: Builder, call: Recorded, array: Ref, *rest: Any, order: Any = None, **named: Any) -> Ref | None:
    return builder.reshape(array, call.shape or ()) if order in (None, "C") else None


@_rule(np.transpose)
def transpose(builder: Builder, call: Recorded, array: Ref, axes: Any = None) -> Ref:
    rank = len(array.shape)
    order = range(rank)[::-1] if axes is None else [int(axis) % rank for axis in axes]
    return builder.transpose(array, tuple(order))


@_rule(np.swapaxes)
def swapaxes(builder: Builder, call: Recorded, array: Ref, first: int, second: int) -> Ref:
    order = list(range(len(array.shape)))
    order[first], order[second] = order[second], order[first]
    return builder.transpose(array, tuple(order))


@_rule(np.broadcast_to)
def broadcast_to(builder: Builder, call: Recorded, array: Ref, shape: Any) -> Ref:
    return builder.broadcast(array, call.shape or ())


@_rule(_array_from_scalar_or_array.fun)
def same_array(builder: Builder, call: Recorded, options: Any, named: Any, array: Any) -> Ref | None:
    """`numpy.array` of an array."""
    return array if isinstance(array, Ref) and not options and not named and array.node.shape is not None else None


@_rule(np.repeat)
def repeat(builder: Builder, call: Recorded, array: Ref, repeats: Any, axis: Any = None) -> Ref | None:
    if axis is None or not isinstance(repeats, int) or array.shape[axis] != 1:
        return None
    return builder.broadcast(array, call.shape or ())


@_rule(np.sum)
def total(builder: Builder, call: Recorded, array: Ref, axis: Any = None, **keywords: Any) -> Ref | None:
    if not array.is_float or not keywords.keys() <= {"keepdims"}:
        return None
    axes = normal_axes(axis, len(array.shape))
    return builder.reshape(builder.sum(array, axes), call.shape or ())


@_rule(np.mean)
def mean(builder: Builder, call: Recorded, array: Ref, axis: Any = None, **keywords: Any) -> Ref | None:
    summed = total(builder, call, array, axis, **keywords)
    count = math.prod(array.shape[one] for one in normal_axes(axis, len(array.shape)))
    return None if summed is None or not count else summed.times(1.0 / float(count))


@_rule(ArrayBox.__dict__["__getitem__"].fun)
def getitem(builder: Builder, call: Recorded, array: Any, index: Any) -> Ref | None:
    if not isinstance(array, Ref) or array.node.shape is None or isinstance(index, Ref):
        return None
    basic = basic_spans(index, array.shape)
    if basic is not None:
        spans, shape = basic
        return builder.reshape(builder.slice(array, spans), shape)
    picked = _picked(index, array.shape)
    if picked is None:
        return None
    axis, flat, shape = picked
    joined = builder.reshape(array, (*array.shape[:axis], math.prod(array.shape[axis:])))
    return builder.reshape(_gathered(builder, call, joined, flat, axis), array.shape[:axis] + shape)


def _picked(index: Any, shape: Shape) -> tuple[int, np.ndarray, Shape] | None:
    """An index that takes leading axes whole and picks elements of all others at constant positions.

    How many it takes whole, the positions in the others as one flat axis, and the shape of what is picked.
    """
    if not isinstance(index, tuple) or len(index) != len(shape):
        return None
    lead = next((axis for axis, part in enumerate(index) if not _is_whole(part, shape[axis])), len(shape))
    rest = [np.asarray(part) if isinstance(part, int | np.integer | np.ndarray) else None for part in index[lead:]]
    arrays = [part for part in rest if part is not None]
    if not rest or len(arrays) < len(rest) or any(part.dtype.kind not in "iu" for part in arrays):
        return None
    sizes = shape[lead:]
    spread = np.broadcast_arrays(*(part % size for part, size in zip(arrays, sizes, strict=True)))
    flat = np.ravel_multi_index(tuple(spread), sizes)
    return lead, np.asarray(flat).reshape(-1), np.shape(flat)


def _is_whole(part: Any, size: int) -> bool:
    return isinstance(part, slice) and part.indices(size) == (0, size, 1)


def _gathered(builder: Builder, call: Recorded, array: Ref, index: np.ndarray, axis: int) -> Ref:
    """Elements at constant positions along an axis; all of them in turn are the array itself."""
    shape = array.shape[:axis] + index.shape + array.shape[axis + 1 :]
    if _in_turn(index, array.shape[axis]):
        return builder.reshape(array, shape)
    return _called(builder, replace(call, shape=shape), [array, index, axis], gather)


def _in_turn(index: np.ndarray, size: int) -> bool:
    return index.size == size and np.array_equal(index.reshape(-1), np.arange(size))


def taken(builder: Builder, call: Recorded, array: Any, index: Any, axis: int) -> Ref | None:
    """`numpy.take` at constant positions."""
    if not isinstance(array, Ref) or isinstance(index, Ref) or np.min(index, initial=0) < 0:
        return None
    return _gathered(builder, call, array, np.asarray(index), axis)


@_rule(untake.fun)
def placed(builder: Builder, call: Recorded, values: Ref, index: Any, space: VSpace) -> Ref:
    """The adjoint of indexing, as an array."""
    shape = tuple(space.shape)
    dense = Recorded(call.function, (), {}, shape, FLOAT)
    basic = None if isinstance(index, Ref) else basic_spans(index, shape)
    if basic is not None:
        spans = basic[0]
        return builder.place(builder.reshape(values, tuple(map(length, spans))), spans, shape)
    picked = None if isinstance(index, Ref) else _picked(index, shape)
    if picked is None:
        return _called(builder, dense, [values, index, shape], scatter)
    axis, flat, _ = picked
    joined = (*shape[:axis], math.prod(shape[axis:]))
    return builder.reshape(_summed(builder, dense, values, flat, axis, joined), shape)


@_rule(sparse_add.fun)
def sparse_sum(builder: Builder, call: Recorded, space: Any, before: Any, values: Ref) -> Ref | None:
    """Not of containers, whose parts are added by autograd."""
    if not _are_arrays(before, values):
        return None
    return values if before is None else builder.linear((_ref(builder, before), values))


def _are_arrays(*values: Any) -> bool:
    return all(value.node.shape is not None if isinstance(value, Ref) else True for value in values)


@_rule(VSpace.add.fun)
def added(builder: Builder, call: Recorded, space: Any, before: Any, after: Any) -> Ref | None:
    if not _are_arrays(before, after) or call.shape is None:
        return None
    return builder.elementwise(Elementwise(np.add), (_ref(builder, before), _ref(builder, after)), FLOAT)


@_rule(linear.add_runs)
def add_runs(
    builder: Builder, call: Recorded, values: Ref, index: Any, axis: int, shape: tuple[int, ...]
) -> Ref | None:
    """With the order of a constant index found once."""
    if isinstance(index, Ref):
        return None
    return _summed(builder, call, values, np.asarray(index), axis, tuple(shape))


def _summed(builder: Builder, call: Recorded, values: Ref, index: np.ndarray, axis: int, shape: Shape) -> Ref:
    """The adjoint of `_gathered`."""
    if _in_turn(index, shape[axis]):
        return builder.reshape(values, shape)
    return _called(builder, replace(call, shape=shape), [values], Runs.of(index, axis, shape))


@_rule(np.zeros_like)
def zeros_like(builder: Builder, call: Recorded, array: Any, **named: Any) -> Ref:
    return builder.constant(np.zeros(call.shape or (), call.dtype))


@_rule(np.ones_like)
def ones_like(builder: Builder, call: Recorded, array: Any, **named: Any) -> Ref:
    return builder.constant(np.ones(call.shape or (), call.dtype))
