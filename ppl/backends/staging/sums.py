"""Linear combinations, and sums over axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from ppl.backends.staging.graph import (
    FLOAT,
    Broadcast,
    Constant,
    Elementwise,
    Input,
    Linear,
    Node,
    Place,
    Ref,
    Reshape,
    Shape,
    Sum,
)
from ppl.backends.staging.nodes import DIVIDE, MULTIPLY
from ppl.backends.staging.shapes import broadcast_shape, length, padded, reduced, same_but_ones
from ppl.backends.staging.views import Views


class Sums(Views):
    """Sums of values, and of the elements of one."""

    def linear(self, refs: Iterable[Ref]) -> Ref:
        """The sum of references; sums inside that no other value reads are taken apart."""
        refs = list(refs)
        shape = broadcast_shape(ref.shape for ref in refs)
        factors: dict[Node, float] = {}
        constants: list[Ref] = []
        for ref in self._terms(refs):
            if ref.node.is_constant and ref.node is not self.one:
                constants.append(ref)
            else:
                factors[ref.node] = factors.get(ref.node, 0.0) + ref.factor
        if constants:
            constants.append(Ref(self.one, factors.pop(self.one, 0.0)))
            found = self.constant(sum(ref.factor * ref.node.operation.value for ref in constants))
            inner = self.thin(found.node)
            factors[inner] = factors.get(inner, 0.0) + found.factor
        if factors.get(self.one) == 0.0:
            del factors[self.one]
        if len(factors) < 2:
            return self.broadcast(self._combined(factors), shape)
        nodes = list(factors)
        early = self._before_reshapes(nodes)
        factors = self._tiled(self._merged(early, factors.values()), shape)
        return self.broadcast(self._after_reshapes(self._combined(factors), early, nodes), shape)

    def _merged(self, nodes: Sequence[Node], numbers: Iterable[float]) -> dict[Node, float]:
        """Factors by node, with sums of products that share a factor made one sum, and constants put into places."""
        factors: dict[Node, float] = {}
        weighed: dict[tuple[Node, Sum, Shape], list[Ref]] = {}
        for node, number in zip(nodes, numbers, strict=True):
            key = self._weighed(node)
            if key is None:
                factors[node] = factors.get(node, 0.0) + number
            else:
                weighed.setdefault(key[:3], []).append(Ref(key[3], number))
        for (weight, total, shape), parts in weighed.items():
            product = self.multiply(Ref(weight), self.linear(parts) if len(parts) > 1 else parts[0])
            found = self.reshape(self.sum(product, total.axes), shape)
            factors[found.node] = factors.get(found.node, 0.0) + found.factor
        return factors

    def _weighed(self, node: Node) -> tuple[Node, Sum, Shape, Node] | None:
        """Of a sum of products with an input: the input, the sum, its shape, and the other factor."""
        inner = node.operands[0] if isinstance(node.operation, Reshape) and self.alone(node) else node
        if not isinstance(inner.operation, Sum) or not self.alone(inner):
            return None
        product = inner.operands[0]
        if product.operation != MULTIPLY or not self.alone(product):
            return None
        for weight, other in (product.operands, product.operands[::-1]):
            given = weight.operands[0] if isinstance(weight.operation, Reshape) else weight
            if isinstance(given.operation, Input) and weight.shape == other.shape:
                return weight, inner.operation, node.shape or (), other
        return None

    def _tiled(self, factors: dict[Node, float], shape: Shape) -> dict[Node, float]:
        """A constant beside places that fill an array goes into each of them."""
        places = [node for node in factors if isinstance(node.operation, Place) and self.alone(node)]
        constants = [node for node in factors if node.is_constant]
        if not constants or len(places) + len(constants) < len(factors) or not tiles(shape, places):
            return factors
        offset = self.linear([self.broadcast(Ref(node, factors[node]), shape) for node in constants])
        found: dict[Node, float] = {}
        for node in places:
            spans = node.operation.spans
            part = self.linear([Ref(node.operands[0], factors[node]), self.slice(offset, spans)])
            found[self.place(Ref(self.node(part)), spans, shape).node] = 1.0
        return found

    def _terms(self, refs: Iterable[Ref]) -> Iterable[Ref]:
        for ref in refs:
            node = self.thin(ref.node)
            if isinstance(node.operation, Linear) and self.alone(node):
                inner = zip(node.operands, node.operation.factors, strict=True)
                yield from self._terms(Ref(term, ref.factor * factor) for term, factor in inner)
            else:
                yield Ref(node, ref.factor)

    def _combined(self, factors: dict[Node, float]) -> Ref:
        if not factors:
            return Ref(self.one, 0.0)
        nodes, numbers = tuple(factors), tuple(factors.values())
        if len(nodes) == 1:
            return Ref(nodes[0], numbers[0])
        largest = max(range(len(nodes)), key=lambda position: nodes[position].size)
        first = numbers[largest] if 1e-100 < abs(numbers[largest]) < 1e100 else 1.0
        numbers = tuple(number / first for number in numbers)
        shape = broadcast_shape(node.shape or () for node in nodes)
        return Ref(self.make(Linear(numbers), nodes, shape, FLOAT), first)

    def sum(self, ref: Ref, axes: Sequence[int]) -> Ref:
        """Over axes, which stay with length 1. Whatever is the same along them is taken out."""
        shape = ref.shape
        axes = tuple(axis for axis in axes if shape[axis] != 1)
        if not axes:
            return ref
        node, want = ref.node, reduced(shape, axes)
        found = self._sum_of(node, axes, want) or Ref(self.make(Sum(axes), (node,), want, FLOAT))
        return self.broadcast(found.times(ref.factor), want)

    def _sum_of(self, node: Node, axes: tuple[int, ...], want: Shape) -> Ref | None:
        operation, shape = node.operation, node.shape or ()
        if isinstance(operation, Broadcast):
            inner = self.reshape(Ref(node.operands[0]), padded(node.operands[0].shape or (), len(shape)))
            copies = math.prod(shape[axis] for axis in axes if inner.shape[axis] == 1)
            return self.sum(inner, axes).times(float(copies))
        if isinstance(operation, Constant):
            return self.constant(np.sum(operation.value, axis=axes, keepdims=True))
        if not self.alone(node):
            return None
        if isinstance(operation, Sum):
            return self.sum(Ref(node.operands[0]), tuple(sorted({*axes, *operation.axes})))
        if isinstance(operation, Linear):
            return self._sum_of_terms(node, axes, want)
        if operation in (MULTIPLY, DIVIDE):
            return self._sum_of_product(node, axes)
        if isinstance(operation, Reshape):
            before = node.operands[0]
            found = same_but_ones(before.shape or (), shape)
            if found is not None:
                mapped = tuple(place for axis in axes if (place := found[axis]) is not None)
                return self.reshape(self.sum(Ref(before), mapped), want)
        return None

    def _sum_of_terms(self, node: Node, axes: tuple[int, ...], want: Shape) -> Ref | None:
        shape = node.shape or ()
        apart: list[Ref] = []
        together: list[Ref] = []
        for term, factor in zip(node.operands, node.operation.factors, strict=True):
            full = padded(term.shape or (), len(shape))
            thin = any(full[axis] == 1 for axis in axes)
            (apart if thin or term.is_constant else together).append(Ref(term, factor))
        if not apart or not all(_settled(ref.node) for ref in together):
            return None
        parts = [self.sum(self.broadcast(ref, shape), axes) for ref in apart]
        if together:
            parts.append(self.sum(self.broadcast(self.linear(together), shape), axes))
        return self.broadcast(self.linear(parts), want)

    def _sum_of_product(self, node: Node, axes: tuple[int, ...]) -> Ref | None:
        shape = node.shape or ()
        x, y = node.operands
        for one, other, inside in ((x, y, True), (y, x, node.operation == MULTIPLY)):
            full = padded(other.shape or (), len(shape))
            if inside and all(full[axis] == 1 for axis in axes):
                total = self.sum(self.broadcast(Ref(one), shape), axes)
                outside = self.reshape(Ref(other), full)
                return self.multiply(total, outside) if node.operation == MULTIPLY else self.divide(total, outside)
        return None


def tiles(shape: Shape, places: Sequence[Node]) -> bool:
    """Whether places fill an array without overlap, as far as their spans along single axes tell."""
    spans = [node.operation.spans for node in places]
    filled = sum(math.prod(length(span) for span in one) for one in spans)
    return filled == math.prod(shape) and all(
        any(not set(range(*p)) & set(range(*q)) for p, q in zip(one, other, strict=True))
        for number, one in enumerate(spans)
        for other in spans[:number]
    )


def _settled(node: Node) -> bool:
    """Nothing is lost when such a term is summed without those it stands beside: it is no part of a difference."""
    if not isinstance(node.operation, Elementwise):
        return False
    if node.operation == MULTIPLY:
        return node.operands[0] is node.operands[1]
    return node.operation != DIVIDE
