"""Slices, reshapes and the like, folded into each other and moved to where they cost nothing."""

from __future__ import annotations

import numpy as np

from ppl.backends.staging.graph import (
    Broadcast,
    Constant,
    Elementwise,
    Linear,
    Node,
    Place,
    Ref,
    Reshape,
    Shape,
    Slice,
    Span,
    Sum,
    Transpose,
)
from ppl.backends.staging.nodes import Nodes
from ppl.backends.staging.shapes import carried, composed, key_of, length, padded, same_but_ones, whole


class Views(Nodes):
    """What gives the same elements in another arrangement, or some of them."""

    def broadcast(self, ref: Ref, shape: Shape) -> Ref:
        if ref.shape == shape:
            return ref
        inner = self.thin(ref.node)
        if inner.shape == shape:
            return Ref(inner, ref.factor)
        return Ref(self.make(Broadcast(shape), (inner,), shape, inner.dtype), ref.factor)

    def reshape(self, ref: Ref, shape: Shape) -> Ref:
        node = ref.node
        if node.shape == shape:
            return ref
        if isinstance(node.operation, Constant):
            return self.constant(node.operation.value.reshape(shape)).times(ref.factor)
        if isinstance(node.operation, Reshape):
            return self.reshape(Ref(node.operands[0], ref.factor), shape)
        pushed = self._pushed(node, shape)
        if pushed is not None:
            return pushed.times(ref.factor)
        return Ref(self.make(Reshape(shape), (node,), shape, node.dtype), ref.factor)

    def _pushed(self, node: Node, shape: Shape) -> Ref | None:
        """A reshape that only adds or drops axes of length 1, of the operands instead, where that is free."""
        old = node.shape or ()
        axes = same_but_ones(old, shape)
        if axes is None or not isinstance(node.operation, Broadcast | Linear | Elementwise):
            return None
        if not isinstance(node.operation, Broadcast):
            if sum(operand.shape != () for operand in node.operands) < 2:
                return None
            free = len(shape) > len(old) and self.alone(node) and all(map(self._free, node.operands))
            if not free:
                return None
        parts = [self.reshape(Ref(part), carried(part.shape or (), len(old), axes)) for part in node.operands]
        return self.broadcast(parts[0], shape) if isinstance(node.operation, Broadcast) else self.rebuild(node, parts)

    def _free(self, node: Node) -> bool:
        return isinstance(node.operation, Constant | Reshape | Sum | Slice)

    def slice(self, ref: Ref, spans: tuple[Span, ...]) -> Ref:
        node, shape = ref.node, tuple(map(length, spans))
        if spans == whole(ref.shape):
            return ref
        if isinstance(node.operation, Constant):
            return self.constant(node.operation.value[key_of(spans)]).times(ref.factor)
        if isinstance(node.operation, Slice):
            joined = tuple(map(composed, node.operation.spans, spans))
            return self.slice(Ref(node.operands[0], ref.factor), joined)
        if isinstance(node.operation, Place) and node.operation.spans == spans:
            return Ref(node.operands[0], ref.factor)
        if isinstance(node.operation, Broadcast):
            inner = self.reshape(Ref(node.operands[0], ref.factor), padded(node.operands[0].shape or (), len(shape)))
            kept = tuple((0, 1, 1) if size == 1 else span for size, span in zip(inner.shape, spans, strict=True))
            return self.broadcast(self.slice(inner, kept), shape)
        return Ref(self.make(Slice(spans), (node,), shape, node.dtype), ref.factor)

    def place(self, ref: Ref, spans: tuple[Span, ...], shape: Shape) -> Ref:
        if spans == whole(shape):
            return ref
        return Ref(self.make(Place(spans, shape), (ref.node,), shape, ref.node.dtype), ref.factor)

    def transpose(self, ref: Ref, order: tuple[int, ...]) -> Ref:
        node = ref.node
        if order == tuple(range(len(order))):
            return ref
        if isinstance(node.operation, Constant):
            return self.constant(np.transpose(node.operation.value, order)).times(ref.factor)
        if isinstance(node.operation, Transpose):
            inner = node.operation.order
            return self.transpose(Ref(node.operands[0], ref.factor), tuple(inner[axis] for axis in order))
        shape = tuple(ref.shape[axis] for axis in order)
        return Ref(self.make(Transpose(order), (node,), shape, node.dtype), ref.factor)
