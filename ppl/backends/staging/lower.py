"""From a graph to instructions: one NumPy call each, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.combine import Combining
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
    Reshape,
    Shape,
    Slice,
    Sum,
    Transpose,
    in_order,
    use_counts,
)
from ppl.backends.staging.instructions import OPERATORS
from ppl.backends.staging.kernels import gather, product
from ppl.backends.staging.nodes import EXP, MULTIPLY, NONZERO, TINY
from ppl.backends.staging.shapes import broadcast_shape, key_of

_FUSED = 4096
"""Sums of products over other axes than the last are fused from this size on."""


ADD_REDUCE = np.add.reduce


class Lowering(Combining):
    """Writes the nodes of a graph as instructions.

    With `alone` BLAS is not let use threads: then several threads may run the program without getting in each other's
    way.
    """

    def __init__(self, outputs: Sequence[Node], inputs: int, alone: bool = False) -> None:
        self._alone = alone
        super().__init__(inputs)
        self._uses = use_counts(outputs)
        fused = {part for node in self._uses if (part := self._fused_into(node)) is not None}
        for node in in_order(outputs):
            if node not in fused:
                self._done[node] = _WRITERS[type(node.operation)](self, node)
        self.listing.results = [self._done[node] for node in outputs]

    def _fused_into(self, node: Node) -> Node | None:
        """The operand that is computed together with its only reader."""
        if not node.operands or self._uses[node.operands[0]] != 1:
            return None
        inner = node.operands[0]
        if isinstance(node.operation, Sum) and inner.operation == MULTIPLY:
            return inner if self._product_kind(node) else None
        if isinstance(node.operation, Reshape) and isinstance(inner.operation, Sum | Slice):
            return inner if self._dropped(inner, node) is not None else None
        return None

    def input(self, node: Node) -> str:
        return self.listing.inputs[node.operation.number]

    def constant(self, node: Node) -> str:
        value = node.operation.value
        if node.shape == () and node.dtype == FLOAT:
            return self.number(float(value), (1,))
        return self.literal(value)

    def elementwise(self, node: Node) -> str:
        parts = [self._done[operand] for operand in node.operands]
        shapes = [operand.shape or () for operand in node.operands]
        if node.operation == NONZERO:
            return self._nonzero(node, parts[0], shapes[0])
        if broadcast_shape(shapes) == () and node.operation.function in OPERATORS:
            parts = [self._scalar(operand) for operand in node.operands]
        return self.apply(node.operation.function, parts, shapes, node.dtype)

    def _scalar(self, node: Node) -> str:
        return self.number(float(node.operation.value), ()) if node.is_constant else self._done[node]

    def _nonzero(self, node: Node, part: str, shape: Shape) -> str:
        tiny = self.number(TINY, (1,))
        if node.operands[0].operation == EXP:
            return self.apply(np.maximum, [part, tiny], [shape, ()], FLOAT)
        zero = self.emit(f"{self.function(np.equal)}({{}}, {{}})", [part, self.number(0.0, (1,))], shape)
        return self.emit(f"{self.function(np.where)}({{}}, {{}}, {{}})", [zero, tiny, part], shape)

    def sum(self, node: Node) -> str:
        return self._reduced(node, node.shape or ())

    def _reduced(self, node: Node, shape: Shape) -> str:
        """A sum with its axes kept or dropped, as `shape` says."""
        inner, axes = node.operands[0], node.operation.axes
        rank = len(inner.shape or ())
        kept = len(shape) == rank
        kind = self._product_kind(node) if self._uses[inner] == 1 and inner.operation == MULTIPLY else None
        if kind is not None:
            return self._product(node, kind, shape)
        every = all(size == 1 or axis in axes for axis, size in enumerate(inner.shape or ()))
        whole = kept or shape == ()
        axis = "None" if every and whole else repr(axes[0] if len(axes) == 1 else axes)
        rest = f"{axis}, None, None, True" if kept else axis
        return self.emit(f"{self._reduce()}({{}}, {rest})", [self._done[inner]], shape)

    def _reduce(self) -> str:
        return self.named(ADD_REDUCE, "add_reduce")

    def _product_kind(self, node: Node) -> Callable[..., Any] | None:
        """How a sum of products is computed in one go, if it is."""
        inner = node.operands[0]
        x, y = inner.operands
        shape, axes = inner.shape or (), node.operation.axes
        last = getattr(np, "vecdot", None)
        if not all(part.dtype == FLOAT for part in (x, y)):
            return None
        if not x.shape == y.shape == shape:
            vector = self._vector_operand(node) is not None
            return (last if self._alone else np.matmul) if vector else None
        if all(size == 1 or axis in axes for axis, size in enumerate(shape)) and not self._alone:
            return np.vdot
        if last is not None and axes == (len(shape) - 1,):
            return last
        return np.einsum if inner.size >= _FUSED and len(shape) < 20 else None

    def _vector_operand(self, node: Node) -> int | None:
        """Which operand of a large product that is summed over its last axis is one vector for all rows."""
        inner = node.operands[0]
        shape = inner.shape or ()
        if inner.size < _FUSED or node.operation.axes != (len(shape) - 1,):
            return None
        for place, (one, other) in enumerate((inner.operands, inner.operands[::-1])):
            if one.size == shape[-1] and (one.shape or (0,))[-1] == shape[-1] and other.shape == shape:
                return place
        return None

    def _product(self, node: Node, kind: Callable[..., Any], shape: Shape) -> str:
        inner = node.operands[0]
        parts = [self._done[operand] for operand in inner.operands]
        if kind is np.matmul:
            place = self._vector_operand(node)
            parts = parts[::-1] if place == 0 else parts
            if len(inner.operands[place or 0].shape or ()) > 1:
                parts[1] = self.emit("{}.reshape(-1)", [parts[1]], None, view=True)
        letters = "abcdefghijklmnopqrst"[: len(inner.shape or ())]
        left = "".join(letter for axis, letter in enumerate(letters) if axis not in node.operation.axes)
        lead = f"'{letters},{letters}->{left}', " if kind is np.einsum else ""
        bare = tuple(size for axis, size in enumerate(inner.shape or ()) if axis not in node.operation.axes)
        bare = () if kind is np.vdot else bare
        found = self.emit(f"{self.function(kind)}({lead}{{}}, {{}})", parts, bare)
        if bare == shape:
            return found
        return self.emit(f"{{}}.reshape({shape})", [found], shape, view=True)

    def reshape(self, node: Node) -> str:
        inner = node.operands[0]
        if self._fused_into(node) is not None:
            if isinstance(inner.operation, Sum):
                return self._reduced(inner, node.shape or ())
            key = self.named(self._dropped(inner, node))
            return self.emit(f"{{}}[{key}]", [self._done[inner.operands[0]]], node.shape, view=True)
        return self.emit(f"{{}}.reshape({node.shape})", [self._done[inner]], node.shape, view=True)

    def _dropped(self, inner: Node, node: Node) -> Any:
        """The index that slices and drops axes at once, or for a sum whether all its axes are dropped."""
        old, new = inner.shape or (), node.shape or ()
        if isinstance(inner.operation, Sum):
            bare = tuple(size for axis, size in enumerate(old) if axis not in inner.operation.axes)
            return True if new == bare or (new == () and set(old) <= {1}) else None
        gone = [axis for axis, size in enumerate(old) if size == 1]
        if tuple(size for size in old if size != 1) != new:
            return None
        spans = key_of(inner.operation.spans)
        return tuple(inner.operation.spans[axis][0] if axis in gone else span for axis, span in enumerate(spans))

    def slice(self, node: Node) -> str:
        key = self.named(key_of(node.operation.spans))
        return self.emit(f"{{}}[{key}]", [self._done[node.operands[0]]], node.shape, view=True)

    def broadcast(self, node: Node) -> str:
        read = [reader for reader in self._uses if node in reader.operands]
        if read and all(self._thin_reader(reader) for reader in read):
            return self._done[node.operands[0]]
        text = f"{self.function(np.broadcast_to)}({{}}, {node.shape})"
        return self.emit(text, [self._done[node.operands[0]]], node.shape, view=True)

    def _thin_reader(self, reader: Node) -> bool:
        return isinstance(reader.operation, Place)

    def transpose(self, node: Node) -> str:
        order, rank = node.operation.order, len(node.shape or ())
        reverse = order == tuple(range(rank))[::-1]
        text = "{}.T" if reverse else f"{self.function(np.transpose)}({{}}, {order})"
        return self.emit(text, [self._done[node.operands[0]]], node.shape, view=True)

    def call(self, node: Node) -> str:
        call: Call = node.operation
        operands: list[str] = []

        def written(value: Any) -> str:
            if isinstance(value, Hole):
                operands.append(self._done[node.operands[value.number]])
                return "{}"
            return self.literal(value).replace("{", "{{").replace("}", "}}")

        parts = [written(value) for value in call.arguments]
        parts += [f"{name}={written(value)}" for name, value in call.keywords]
        matrices = call.function is np.matmul and all(len(one.shape or ()) == 2 for one in node.operands)
        text = f"{self.function(product if matrices and self._alone else call.function)}({', '.join(parts)})"
        fresh = call.function in (np.matmul, gather) and node.dtype == FLOAT and bool(node.shape)
        return self.emit(text, operands, node.shape, view=not fresh, takes_out=fresh)


_WRITERS: dict[type, Callable[[Lowering, Node], str]] = {
    Input: Lowering.input,
    Constant: Lowering.constant,
    Elementwise: Lowering.elementwise,
    Linear: Lowering.linear,
    Sum: Lowering.sum,
    Broadcast: Lowering.broadcast,
    Reshape: Lowering.reshape,
    Slice: Lowering.slice,
    Place: Lowering.place,
    Transpose: Lowering.transpose,
    Call: Lowering.call,
}
