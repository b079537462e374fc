"""Named axes to positions: the one place where an expression becomes array operations.

`Resolver` walks an expression and asks an `ArrayLanguage` to perform each array operation on operands it
has aligned. The NumPy language here performs them at once (for checks on data); the compiler's language
writes them down as a program.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from ppl.axes import DRAW, Axis, Layout, expansion, union
from ppl.functions import FUNCTIONS, Function
from ppl.model import expressions as ex
from ppl.numeric import NUMPY

A = TypeVar("A")
Key = tuple[Any, ...]


class ArrayLanguage(ABC, Generic[A]):
    """The operations on arrays that the resolver needs. A key holds slices, None and integer arrays."""

    @abstractmethod
    def constant(self, value: Any) -> A: ...

    @abstractmethod
    def data(self, name: str, value: np.ndarray) -> A: ...

    def given(self, name: str) -> A:
        """An array that is handed in when a program runs."""
        raise ValueError(f"`{name}` is known only when a program runs")

    @abstractmethod
    def apply(self, function: Function, arguments: Sequence[A], static: dict[str, Any]) -> A: ...

    @abstractmethod
    def take(self, array: A, key: Key) -> A: ...

    @abstractmethod
    def transpose(self, array: A, permutation: tuple[int, ...]) -> A: ...

    @abstractmethod
    def reshape(self, array: A, shape: tuple[int, ...]) -> A: ...

    @abstractmethod
    def stretch(self, array: A, dimension: int, size: int) -> A:
        """Repeat a dimension of length 1."""

    @abstractmethod
    def counter(self, array: A, dimension: int) -> A:
        """0, 1, … along a dimension of an array."""

    @abstractmethod
    def matmul(self, left: A, right: A) -> A: ...


@dataclass(frozen=True)
class Resolved(Generic[A]):
    """An array and how the value lies in it."""

    array: A
    axes: tuple[Axis, ...]
    event_rank: int

    @property
    def layout(self) -> Layout:
        return Layout(self.axes, self.event_rank)


class Resolver(Generic[A]):
    """Resolves expressions against the `values` of the statements they read; remembers what it has done.

    `visitors` has the method for each class of nodes.
    """

    visitors: ClassVar[dict[type[ex.Expr], Callable[[Any, Any], Resolved[Any]]]]

    def __init__(self, language: ArrayLanguage[A], values: dict[str, Resolved[A]] | None = None) -> None:
        self.language = language
        self.values = values if values is not None else {}
        self._done: dict[int, tuple[ex.Expr, Resolved[A]]] = {}

    def __call__(self, expression: ex.Expr) -> Resolved[A]:
        for node in ex.walk(expression):
            if id(node) not in self._done:
                self._done[id(node)] = (node, self.visitors[type(node)](self, node))
        return self._done[id(expression)][1]

    def align(self, items: Sequence[Resolved[A]], event_rank: int | None = None) -> list[A]:
        """The arrays of `items` with axes of length 1 inserted, so that their batch axes broadcast.

        Each keeps its own event dimensions, unless `event_rank` asks scalars to broadcast over events too.
        """
        axes = union(item.axes for item in items)
        ranks = [item.event_rank if event_rank is None else event_rank for item in items]
        return [self.expand(item, Layout(axes, rank)) for item, rank in zip(items, ranks, strict=True)]

    def expand(self, item: Resolved[A], want: Layout) -> A:
        key = expansion(item.layout, want)
        return item.array if key is None else self.language.take(item.array, key)

    def apply(self, function: Function, items: Sequence[Resolved[A]], event_rank: int, /, **static: Any) -> Resolved[A]:
        """An elementwise or gufunc-like function: batch axes aligned on the left, core dimensions on the right."""
        arrays = self.align(items)
        return Resolved(self.language.apply(function, arrays, static), union(i.axes for i in items), event_rank)

    def in_order(self, array: A, axes: tuple[Axis, ...], event_rank: int) -> Resolved[A]:
        """A value whose axes stand in the order given, brought into canonical order."""
        ordered = union([axes])
        permutation = [axes.index(axis) for axis in ordered]
        permutation += range(len(axes), len(axes) + event_rank)
        if permutation != list(range(len(permutation))):
            array = self.language.transpose(array, tuple(permutation))
        return Resolved(array, ordered, event_rank)

    # One method a node ---------------------------------------------------------------------------

    def done(self, node: ex.Expr) -> Resolved[A]:
        """What an expression has been resolved to."""
        return self._done[id(node)][1]

    def _constant(self, node: ex.Constant) -> Resolved[A]:
        return Resolved(self.language.constant(node.value), (), np.ndim(node.value))

    def _data(self, node: ex.Data) -> Resolved[A]:
        return Resolved(self.language.data(node.name, node.value), (), node.value.ndim)

    def _value(self, node: ex.Value) -> Resolved[A]:
        return self.values[node.name]

    def _axis_index(self, node: ex.AxisIndex) -> Resolved[A]:
        return Resolved(self.language.constant(np.arange(node.axis.start, node.axis.stop)), (node.axis,), 0)

    def _batch_index(self, node: ex.BatchIndex) -> Resolved[A]:
        return Resolved(self.language.given(node.name), (node.axis,), 0)

    def _batch_rows(self, node: ex.BatchRows) -> Resolved[A]:
        return Resolved(self.language.given(node.name), (node.axis,), len(node.type.dims))

    def _streamed(self, node: ex.Streamed) -> Resolved[A]:
        return Resolved(self.language.given(f"all rows of {node.name}"), (), len(node.type.dims))

    def _call(self, node: ex.Call) -> Resolved[A]:
        function = FUNCTIONS[node.function]
        items = [self._done[id(argument)][1] for argument in node.arguments]
        static = dict(node.static)
        if function.signature == "(n),(n)->()":
            return self._dot(items[0], items[1], node.arguments[0].type.dims[0].size)
        if function.elementwise:
            rank = max((item.event_rank for item in items), default=0)
            return Resolved(
                self.language.apply(function, self.align(items, rank), static), union(i.axes for i in items), rank
            )
        if function.variadic:
            return self._join(function, items, static, len(node.type.dims))
        if "..." in function.signature:
            static["event_rank"] = items[0].event_rank
        return self.apply(function, items, len(node.type.dims), **static)

    def _join(
        self, function: Function, items: list[Resolved[A]], static: dict[str, Any], event_rank: int
    ) -> Resolved[A]:
        """Stacking and the like: operands must have every axis in full, so missing ones are stretched."""
        axes = union(item.axes for item in items)
        arrays = []
        for item in items:
            array = self.expand(item, Layout(axes, item.event_rank))
            missing = [axis for axis in axes if axis not in item.axes and axis != DRAW]
            if missing:
                array = self.lead(array, item, axes)
            for axis in missing:
                array = self.language.stretch(array, axes.index(axis), axis.size)
            arrays.append(array)
        static["event_rank"] = items[0].event_rank
        return Resolved(self.language.apply(function, arrays, static), axes, event_rank)

    def lead(self, array: A, item: Resolved[A], axes: tuple[Axis, ...]) -> A:
        """Leading axes that `expand` left to broadcasting, written out."""
        if not item.layout.rank:
            return self.language.reshape(array, (1,) * len(axes))
        missing = 0
        for axis in axes:
            if axis in item.axes:
                break
            missing += 1
        return self.language.take(array, (None,) * missing + (...,)) if missing else array

    def _dot(self, left: Resolved[A], right: Resolved[A], length: int) -> Resolved[A]:
        """Sum of products over the last dimension, as one matrix product over all the axes."""
        if DRAW in left.axes and DRAW not in right.axes:
            first, second = left, right
        else:
            first, second = right, left
        shared = tuple(axis for axis in first.axes if axis in second.axes)
        rows = tuple(axis for axis in first.axes if axis not in shared)
        columns = tuple(axis for axis in second.axes if axis not in shared)
        a = self._matrix(first, shared, rows, length)
        b = self._matrix(second, shared, columns, length)
        rank = len(shared)
        product = self.language.matmul(a, self.language.transpose(b, (*range(rank), rank + 1, rank)))
        if len(rows) != 1 or len(columns) != 1:
            product = self.language.reshape(product, tuple(axis.size for axis in (*shared, *rows, *columns)))
        return self.in_order(product, (*shared, *rows, *columns), 0)

    def _matrix(self, item: Resolved[A], shared: tuple[Axis, ...], rest: tuple[Axis, ...], length: int) -> A:
        """The operand as (shared…, rest as one dimension, length)."""
        order = [item.axes.index(axis) for axis in (*shared, *rest)] + [len(item.axes)]
        array = item.array
        if order != list(range(len(order))):
            array = self.language.transpose(array, tuple(order))
        if len(rest) == 1:
            return array
        flat = -1 if DRAW in rest else math.prod(axis.size for axis in rest)
        return self.language.reshape(array, (*(axis.size for axis in shared), flat, length))

    def _log_density(self, node: ex.LogDensity) -> Resolved[A]:
        density, names = node.family.log_density, node.parameters
        function = Function(
            f"{node.family.name}_logpdf_{'_'.join(names)}",
            ("value", *names),
            lambda xp, value, *arguments: density(xp, value, **dict(zip(names, arguments, strict=True))),
            "",
            "",
        )
        return self.apply(function, [self._done[id(child)][1] for child in node.children], 0)

    def _slice(self, node: ex.SliceOf) -> Resolved[A]:
        base = self._done[id(node.base)][1]
        key = (slice(None),) * (len(base.axes) + node.dim) + (slice(node.start, node.stop),)
        return Resolved(self.language.take(base.array, key), base.axes, base.event_rank)

    def _named(self, node: ex.Named) -> Resolved[A]:
        base = self._done[id(node.base)][1]
        source = len(base.axes) + node.dim
        dimensions = list(range(base.layout.rank))
        dimensions.insert(len(base.axes), dimensions.pop(source))
        array = base.array
        if dimensions != sorted(dimensions):
            array = self.language.transpose(array, tuple(dimensions))
        return self.in_order(array, (*base.axes, node.axis), base.event_rank - 1)

    def _lift(self, node: ex.Lift) -> Resolved[A]:
        base = self._done[id(node.base)][1]
        rest = tuple(axis for axis in base.axes if axis not in node.axes)
        want = Layout(union([base.axes, node.axes]), base.event_rank)
        array = self.expand(base, want)
        missing = [axis for axis in node.axes if axis not in base.axes]
        if missing:
            array = self.lead(array, base, want.axes)
            for axis in missing:
                array = self.language.stretch(array, want.position(axis), axis.size)
        order = [want.position(axis) for axis in (*rest, *node.axes)]
        order += range(len(want.axes), want.rank)
        if order != list(range(len(order))):
            array = self.language.transpose(array, tuple(order))
        return Resolved(array, rest, len(node.axes) + base.event_rank)

    def _gather(self, node: ex.Gather) -> Resolved[A]:
        base = self._done[id(node.base)][1]
        items = [None if item is None else self._done[id(item)][1] for item in node.items]
        given = [item for item in items if item is not None]
        index_axes = union(item.axes for item in given)
        index_rank = max(item.event_rank for item in given)
        shared = tuple(axis for axis in base.axes if axis in index_axes)
        kept = tuple(axis for axis in base.axes if axis not in index_axes)
        indexed = [d for d, item in enumerate(items) if item is not None]
        whole = [d for d in range(base.event_rank) if d not in indexed]
        offset = len(base.axes)
        order = [base.axes.index(axis) for axis in (*kept, *shared)]
        order += [offset + d for d in (*indexed, *whole)]
        array = base.array
        if order != list(range(len(order))):
            array = self.language.transpose(array, tuple(order))
        want = Layout(index_axes, index_rank)
        key: list[Any] = [slice(None)] * len(kept)
        for position, axis in enumerate(shared, start=len(kept)):
            if axis == DRAW:
                counter = Resolved(self.language.counter(array, position), (axis,), 0)
            else:
                counter = Resolved(self.language.constant(np.arange(axis.size)), (axis,), 0)
            key.append(self.expand(counter, want))
        key += [self.expand(item, want) for item in given]
        taken = self.language.take(array, tuple(key))
        return self.in_order(taken, (*kept, *index_axes), index_rank + len(whole))


Resolver.visitors = {
    ex.Constant: Resolver._constant,
    ex.Data: Resolver._data,
    ex.Value: Resolver._value,
    ex.AxisIndex: Resolver._axis_index,
    ex.BatchIndex: Resolver._batch_index,
    ex.BatchRows: Resolver._batch_rows,
    ex.Streamed: Resolver._streamed,
    ex.Call: Resolver._call,
    ex.LogDensity: Resolver._log_density,
    ex.SliceOf: Resolver._slice,
    ex.Named: Resolver._named,
    ex.Lift: Resolver._lift,
    ex.Gather: Resolver._gather,
}


class NumpyLanguage(ArrayLanguage[Any]):
    """Performs every operation at once."""

    def constant(self, value: Any) -> Any:
        return np.asarray(value)

    def data(self, name: str, value: np.ndarray) -> Any:
        return value

    def apply(self, function: Function, arguments: Sequence[Any], static: dict[str, Any]) -> Any:
        return np.asarray(function.implementation(NUMPY, *arguments, **static))

    def take(self, array: Any, key: Key) -> Any:
        return array[key]

    def transpose(self, array: Any, permutation: tuple[int, ...]) -> Any:
        return np.transpose(array, permutation)

    def reshape(self, array: Any, shape: tuple[int, ...]) -> Any:
        return np.reshape(array, shape)

    def stretch(self, array: Any, dimension: int, size: int) -> Any:
        return np.repeat(array, size, axis=dimension)

    def counter(self, array: Any, dimension: int) -> Any:
        return np.arange(array.shape[dimension])

    def matmul(self, left: Any, right: Any) -> Any:
        return np.matmul(left, right)


def evaluate(expression: ex.Expr) -> Resolved[Any]:
    """The value of a static expression, with the layout it has."""
    with np.errstate(all="ignore"):
        return Resolver(NumpyLanguage())(expression)


def fixed_arguments(statement_axes: Sequence[Axis], rank: int, arguments: Sequence[ex.Expr]) -> list[np.ndarray]:
    """Static arguments of a support as arrays that broadcast to a value over these axes and `rank` event dimensions."""
    want = union([statement_axes])
    found = []
    for item in map(evaluate, arguments):
        array = np.asarray(Resolver(NumpyLanguage()).expand(item, Layout(want, item.event_rank)))
        if item.axes:
            array = array.reshape((1,) * (len(want) + item.event_rank - array.ndim) + array.shape)
            order = [want.index(axis) for axis in statement_axes]
            array = np.transpose(array, [*order, *range(len(want), array.ndim)])
            array = array.reshape(array.shape + (1,) * (0 if item.event_rank else rank))
        found.append(array)
    return found


def mask(condition: ex.Expr, axes: Sequence[Axis]) -> np.ndarray:
    """Where a static condition holds, over `axes` in this order: anywhere along the axes that are not among them."""
    found = evaluate(condition)
    others = tuple(number for number, axis in enumerate(found.axes) if axis not in axes)
    array = np.asarray(np.any(np.asarray(found.array, bool), axis=others))
    want = union([axes])
    missing = tuple(number for number, axis in enumerate(want) if axis not in found.axes)
    full = np.broadcast_to(np.expand_dims(array, missing), tuple(axis.size for axis in want))
    return np.transpose(full, [want.index(axis) for axis in axes])
