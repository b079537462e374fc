"""The making of nodes: equal ones once, constants folded, factors taken beside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.graph import FLOAT, Broadcast, Constant, Elementwise, Linear, Node, Ref, Reshape, Shape, Sum
from ppl.backends.staging.shapes import broadcast_shape, same_but_ones

TINY = float(np.finfo(float).tiny)
_SMALL = 64
"""Constants up to this size are compared by their elements."""


def nonzero(x: Any) -> Any:
    """`x` with zeros replaced by the smallest normal number, to divide by."""
    return np.where(x == 0.0, TINY, x)


def as_float(x: Any) -> Any:
    return np.asarray(x, float)


def held(x: Any) -> Any:
    """`x`, which tangents take for a constant."""
    return x


def larger(x: Any, y: Any) -> Any:
    """1 where `x` is larger, 0 where it is smaller, a half where they are equal."""
    return np.where(x == y, 0.5, x > y)


MULTIPLY, DIVIDE = Elementwise(np.multiply), Elementwise(np.divide)
NONZERO, EXP = Elementwise(nonzero), Elementwise(np.exp)


class Nodes(ABC):
    """A table of nodes. What simplifies is in the classes that build on it, which call each other by the names here.

    While `holding` it keeps apart what is to be a constant of derivatives.
    """

    def __init__(self, holding: bool = False) -> None:
        self._known: dict[tuple[Any, ...], Node] = {}
        self.shared: set[Node] = set()
        self.holding = holding
        self.one = self.make(Constant(np.asarray(1.0)), (), (), FLOAT, key=("one",))

    def make(
        self, operation: Any, operands: tuple[Node, ...], shape: Shape | None, dtype: Any, key: Any = None
    ) -> Node:
        """The node of an operation as it stands."""
        place = (operation if key is None else key, *operands)
        if place not in self._known:
            self._known[place] = Node(len(self._known), operation, operands, shape, dtype)
        return self._known[place]

    def alone(self, node: Node) -> bool:
        """No other value reads it, as far as is known."""
        return node not in self.shared

    def constant(self, value: Any) -> Ref:
        if not isinstance(value, np.ndarray | np.generic | float | int | bool):
            return Ref(self.make(Constant(value), (), None, None))
        array = np.asarray(value)
        if array.dtype == FLOAT and array.size and (array.ndim == 0 or np.all(array == array.flat[0])):
            return self.broadcast(Ref(self.one, float(array.flat[0])), array.shape)
        small = array.size <= _SMALL and array.dtype != object
        key = ("constant", array.dtype, array.shape, array.tobytes()) if small else ("constant", id(array))
        return Ref(self.make(Constant(array), (), array.shape, array.dtype, key))

    def node(self, ref: Ref) -> Node:
        """A node with the value of a reference, its factor included."""
        if ref.factor == 1.0:
            return ref.node
        if ref.node is self.one:
            return self.make(Constant(np.asarray(ref.factor)), (), (), FLOAT, ("number", repr(ref.factor)))
        if isinstance(ref.node.operation, Constant):
            return self.constant(ref.factor * ref.node.operation.value).node
        if isinstance(ref.node.operation, Broadcast):
            inner = self.node(Ref(ref.node.operands[0], ref.factor))
            return self.make(ref.node.operation, (inner,), ref.node.shape, inner.dtype)
        if (source := self.source(ref.node, any_rank=True)) is not None:
            return self.reshape(Ref(self.node(Ref(source, ref.factor))), ref.shape).node
        return self.make(Linear((ref.factor,)), (ref.node,), ref.node.shape, FLOAT)

    def _folded(self, function: Callable[..., Any], nodes: Sequence[Node]) -> Ref | None:
        """The value of a function of constants."""
        if not all(node.is_constant for node in nodes):
            return None
        with np.errstate(all="ignore"):
            return self.constant(function(*(node.operation.value for node in nodes)))

    def thin(self, node: Node) -> Node:
        """The array that a node repeats."""
        return node.operands[0] if isinstance(node.operation, Broadcast) else node

    def source(self, node: Node, any_rank: bool = False) -> Node | None:
        """What a node was before axes of length 1 were dropped, or before any reshape; sums drop theirs for nothing."""
        if not isinstance(node.operation, Reshape):
            return None
        inner = node.operands[0]
        if isinstance(inner.operation, Sum):
            return None
        shape, old = node.shape or (), inner.shape or ()
        dropped = len(old) > len(shape) and same_but_ones(old, shape) is not None
        return inner if dropped or any_rank else None

    def _before_reshapes(self, nodes: Sequence[Node]) -> list[Node]:
        """Operands of one shape as they were before axes of length 1 were dropped from any: an operation is done
        in the form that has most axes, so that it is done once.
        """
        wide = [node for node in nodes if node.shape != ()]
        sources = [source for node in wide if (source := self.source(node, any_rank=len(wide) == 1)) is not None]
        if not sources or any(node.shape != wide[0].shape for node in wide):
            return list(nodes)
        shape = max(sources, key=lambda node: len(node.shape or ())).shape or ()
        return [node if node.shape == () else self.reshape(Ref(node), shape).node for node in nodes]

    def _after_reshapes(self, ref: Ref, early: Sequence[Node], nodes: Sequence[Node]) -> Ref:
        """What was computed of `early`, which are `_before_reshapes(nodes)`, in the shape that it has of `nodes`."""
        before, after = (broadcast_shape(node.shape or () for node in group) for group in (early, nodes))
        return self.reshape(self.broadcast(ref, before), after)

    @abstractmethod
    def elementwise(self, operation: Elementwise, refs: Sequence[Ref], dtype: Any = FLOAT) -> Ref:
        """A function that works element by element."""

    @abstractmethod
    def multiply(self, a: Ref, b: Ref) -> Ref:
        """The product, broadcast."""

    @abstractmethod
    def divide(self, a: Ref, b: Ref) -> Ref:
        """The quotient, broadcast."""

    @abstractmethod
    def linear(self, refs: Iterable[Ref]) -> Ref:
        """The sum of references, broadcast."""

    @abstractmethod
    def broadcast(self, ref: Ref, shape: Shape) -> Ref:
        """Repeated to a shape."""

    @abstractmethod
    def reshape(self, ref: Ref, shape: Shape) -> Ref:
        """The same elements in another shape."""

    @abstractmethod
    def rebuild(self, node: Node, refs: Sequence[Ref]) -> Ref:
        """The operation of a node applied to other operands."""
