"""Forward mode over a graph: the tangents of its values in several directions at once.

The tangent of a value of shape `s` has the shape `(directions, *s)`, None where the value does not move. Values are
computed once for all directions, and what a tangent repeats along an axis is not computed again either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ppl.backends.staging.build import Builder
from ppl.backends.staging.graph import (
    FLOAT,
    Broadcast,
    Call,
    Constant,
    Elementwise,
    Hole,
    Input,
    Linear,
    Node,
    Place,
    Ref,
    Reshape,
    Shape,
    Slice,
    Sum,
    Transpose,
    in_order,
)
from ppl.backends.staging.kernels import Runs
from ppl.backends.staging.pushed import Pushed, is_flat
from ppl.backends.staging.shapes import padded
from ppl.backends.staging.tangent_algebra import ALGEBRA
from ppl.backends.staging.tangent_calls import CALLS, summed
from ppl.backends.staging.tangent_elements import ELEMENTWISE, by_slopes

Tangent = Ref | None


def tangents_of(builder: Builder, outputs: Sequence[Ref], moving: Node, seed: Ref) -> list[Ref]:
    """The tangents of references as the input `moving` goes in the directions `seed` (directions, *shape).

    Raises NotRecordable where a function has no derivative.
    """
    found = Tangents(builder, seed)
    for node in in_order([ref.node for ref in outputs]):
        found.of[node] = seed if node is moving else found.made(node)
    zero = Ref(builder.one, 0.0)
    return [
        builder.broadcast(zero, (found.count, *ref.shape)) if tangent is None else tangent.times(ref.factor)
        for ref in outputs
        for tangent in (found.of[ref.node],)
    ]


class Tangents:
    """The tangents found so far, by node, and the rules for those of another node."""

    def __init__(self, builder: Builder, seed: Ref) -> None:
        self.builder = builder
        self.count = seed.shape[0]
        self.of: dict[Node, Tangent] = {}

    def made(self, node: Node) -> Tangent:
        """The tangent of a node from those of its operands."""
        still = node.shape is not None and node.dtype != FLOAT
        if still or all(self.of[operand] is None for operand in node.operands):
            return None
        found = _RULES[type(node.operation)](self, node)
        if found is None or node.shape is None:
            return found
        return self.builder.broadcast(found, (self.count, *node.shape))

    def tangent(self, node: Node, rank: int) -> Tangent:
        """That of an operand, with axes of length 1 so that it stands beside values of a rank."""
        found = self.of[node]
        return None if found is None else self._raised(found, rank)

    def _raised(self, ref: Ref, rank: int) -> Ref:
        """With axes of length 1 after that of the directions."""
        return self.builder.reshape(ref, (self.count, *padded(ref.shape[1:], rank)))

    def elementwise(self, node: Node) -> Tangent:
        rank = len(node.shape or ())
        parts = [self.tangent(operand, rank) for operand in node.operands]
        values = [Ref(operand) for operand in node.operands]
        rule = ELEMENTWISE.get(node.operation.function, by_slopes)
        return rule(self.builder, Ref(node), values, parts)

    def linear(self, node: Node) -> Tangent:
        rank = len(node.shape or ())
        terms = [
            tangent.times(factor)
            for operand, factor in zip(node.operands, node.operation.factors, strict=True)
            if (tangent := self.tangent(operand, rank)) is not None
        ]
        return self.builder.linear(terms)

    def sum(self, node: Node) -> Tangent:
        return self.builder.sum(self._only(node), [axis + 1 for axis in node.operation.axes])

    def broadcast(self, node: Node) -> Tangent:
        return self._raised(self._only(node), len(node.shape or ()))

    def reshape(self, node: Node) -> Tangent:
        return self.builder.reshape(self._only(node), (self.count, *node.operation.shape))

    def slice(self, node: Node) -> Tangent:
        return self.builder.slice(self._only(node), ((0, self.count, 1), *node.operation.spans))

    def place(self, node: Node) -> Tangent:
        spans = ((0, self.count, 1), *node.operation.spans)
        return self.builder.place(self._only(node), spans, (self.count, *node.operation.shape))

    def transpose(self, node: Node) -> Tangent:
        return self.builder.transpose(self._only(node), (0, *(axis + 1 for axis in node.operation.order)))

    def _only(self, node: Node) -> Ref:
        found = self.of[node.operands[0]]
        assert found is not None
        return found

    def call(self, node: Node) -> Tangent:
        operation: Call = node.operation
        function = operation.function
        rule = summed if isinstance(function, Runs) else CALLS.get(function, ALGEBRA.get(function))
        if rule is not None and (found := rule(self, node)) is not None:
            return found
        return None if is_flat(function) else self._pushed(node)

    def _pushed(self, node: Node) -> Ref:
        """By a kernel that carries one direction after the other through the function's derivative."""
        moved = tuple(place for place, operand in enumerate(node.operands) if self.of[operand] is not None)
        kernel = Pushed.of(node.operation, moved, self.count)
        refs = [Ref(node), *map(Ref, node.operands), *(ref for place in moved if (ref := self._at(node, place)))]
        key = (Pushed, moved, self.count, *node.operation.key)
        call = Call(kernel, tuple(map(Hole, range(len(refs)))), (), key)
        return self.builder.call(call, refs, self.shape_of(node), node.dtype)

    def _at(self, node: Node, place: int) -> Tangent:
        return self.of[node.operands[place]]

    def shape_of(self, node: Node) -> Shape | None:
        return None if node.shape is None else (self.count, *node.shape)


_RULES: dict[type, Callable[[Tangents, Node], Tangent]] = {
    Constant: lambda tangents, node: None,
    Input: lambda tangents, node: None,
    Elementwise: Tangents.elementwise,
    Linear: Tangents.linear,
    Sum: Tangents.sum,
    Broadcast: Tangents.broadcast,
    Reshape: Tangents.reshape,
    Slice: Tangents.slice,
    Place: Tangents.place,
    Transpose: Tangents.transpose,
    Call: Tangents.call,
}
