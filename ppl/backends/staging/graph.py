"""The graph of a staged program: what each value is computed from, with its shape and type.

Nodes are made by `Builder` alone, which simplifies as it goes. In the normal form reductions keep their axes with
length 1, slices keep all axes, and numbers that multiply a value stand beside it in a `Ref`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Shape = tuple[int, ...]
Span = tuple[int, int, int]
"""Start, stop and step along one axis, as `range` takes them."""
FLOAT = np.dtype(float)


@dataclass(frozen=True)
class Input:
    """Argument `number` of the program."""

    number: int


@dataclass(frozen=True, eq=False)
class Constant:
    """An array that does not depend on the arguments, or what is no array."""

    value: Any


@dataclass(frozen=True)
class Elementwise:
    """A ufunc, or another function that works and broadcasts like one."""

    function: Callable[..., Any]


@dataclass(frozen=True)
class Linear:
    """`factors[0] * a + factors[1] * b + …`, broadcast."""

    factors: tuple[float, ...]


@dataclass(frozen=True)
class Sum:
    """Over `axes`, which stay with length 1."""

    axes: tuple[int, ...]


@dataclass(frozen=True)
class Broadcast:
    """Repeated to a shape."""

    shape: Shape


@dataclass(frozen=True)
class Reshape:
    """The same elements in another shape."""

    shape: Shape


@dataclass(frozen=True)
class Slice:
    """One span along each axis."""

    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Place:
    """Zeros of a shape with the operand at the spans: the adjoint of `Slice`."""

    spans: tuple[Span, ...]
    shape: Shape


@dataclass(frozen=True)
class Transpose:
    """Axes in another order."""

    order: tuple[int, ...]


@dataclass(frozen=True)
class Hole:
    """Where operand `number` stands among the arguments of a `Call`."""

    number: int


@dataclass(frozen=True, eq=False)
class Call:
    """Any other function. Equal calls have one `key`."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]
    key: tuple[Any, ...]


def key_of_argument(value: Any) -> Any:
    """What tells equal arguments: themselves, or for those that have no hash which object they are."""
    if isinstance(value, tuple):
        return tuple(map(key_of_argument, value))
    try:
        hash(value)
    except TypeError:
        return ("object", id(value))
    return (type(value), value)


class Node:
    """One value. `shape` and `dtype` are None for what is no array; `number` counts the nodes of a builder."""

    __slots__ = ("dtype", "number", "operands", "operation", "shape")

    def __init__(
        self, number: int, operation: Any, operands: tuple[Node, ...], shape: Shape | None, dtype: Any
    ) -> None:
        self.number = number
        self.operation = operation
        self.operands = operands
        self.shape = shape
        self.dtype = dtype

    @property
    def is_constant(self) -> bool:
        return isinstance(self.operation, Constant)

    @property
    def size(self) -> int:
        return math.prod(self.shape or ())


@dataclass(frozen=True)
class Ref:
    """`factor` times the value of a node."""

    node: Node
    factor: float = 1.0

    @property
    def shape(self) -> Shape:
        assert self.node.shape is not None
        return self.node.shape

    @property
    def is_float(self) -> bool:
        return self.node.dtype == FLOAT

    def times(self, factor: float) -> Ref:
        return Ref(self.node, self.factor * factor)


def in_order(roots: Iterable[Node]) -> list[Node]:
    """Every node the roots need, each after its operands."""
    ordered: list[Node] = []
    seen: set[Node] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            ordered.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((operand, False) for operand in reversed(node.operands))
    return ordered


def use_counts(roots: Sequence[Node]) -> dict[Node, int]:
    """How often each value is read; a result counts as one reading more."""
    counts = dict.fromkeys(in_order(roots), 0)
    for node in list(counts):
        for operand in node.operands:
            counts[operand] += 1
    for root in roots:
        counts[root] += 1
    return counts
