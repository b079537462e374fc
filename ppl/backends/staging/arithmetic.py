"""Elementwise functions and the identities they obey."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.graph import FLOAT, Constant, Elementwise, Linear, Node, Ref
from ppl.backends.staging.nodes import DIVIDE, EXP, MULTIPLY, NONZERO, Nodes, as_float, held, nonzero
from ppl.backends.staging.shapes import broadcast_shape

_SEVERAL = 32
"""From this size on several fast functions beat one slow one."""
_LARGE = 4096
"""From this size on a division by a smaller array is a multiplication by its reciprocal."""


class Arithmetic(Nodes):
    """Products, quotients, powers, logarithms."""

    def elementwise(self, operation: Elementwise, refs: Sequence[Ref], dtype: Any = FLOAT) -> Ref:
        """The function applied before its arguments are broadcast."""
        if len(refs) == 1 and (inner := self.source(refs[0].node, any_rank=True)) is not None:
            return self.reshape(self.elementwise(operation, [Ref(inner, refs[0].factor)], dtype), refs[0].shape)
        special = _SPECIAL.get(operation.function)
        if special is not None and dtype == FLOAT and len(refs) == special[0]:
            return special[1](self, *map(self._floating, refs))
        return self._applied(operation, [self.node(ref) for ref in refs], dtype)

    def _applied(self, operation: Elementwise, nodes: Sequence[Node], dtype: Any = FLOAT) -> Ref:
        shape = broadcast_shape(node.shape or () for node in nodes)
        nodes = [self.thin(node) for node in nodes]
        early = self._before_reshapes(nodes)
        done = self._folded(operation.function, early)
        if done is None:
            own = broadcast_shape(node.shape or () for node in early)
            done = Ref(self.make(operation, tuple(early), own, dtype))
        return self.broadcast(self._after_reshapes(done, early, nodes), shape)

    def _floating(self, ref: Ref) -> Ref:
        """Whole numbers and truth values as floating-point numbers."""
        if ref.is_float:
            return ref
        if isinstance(ref.node.operation, Constant):
            return self.constant(np.asarray(ref.node.operation.value, float))
        return self._applied(Elementwise(as_float), (ref.node,))

    def multiply(self, a: Ref, b: Ref) -> Ref:
        shape = broadcast_shape((a.shape, b.shape))
        factor, x, y = a.factor * b.factor, self.thin(a.node), self.thin(b.node)
        if x is self.one or y is self.one:
            return self.broadcast(Ref(y if x is self.one else x, factor), shape)
        early = self._before_reshapes((x, y))
        found = self._product(*early).times(factor)
        return self.broadcast(self._after_reshapes(found, early, (x, y)), shape)

    def _product(self, x: Node, y: Node) -> Ref:
        for one, other in ((x, y), (y, x)):
            found = self._cancelled(one, other) or self._distributed(one, other) or self._gathered(one, other)
            if found is not None:
                return found
        return self._applied(MULTIPLY, (x, y) if x.number <= y.number else (y, x))

    def _cancelled(self, quotient: Node, y: Node) -> Ref | None:
        """`(p / y) * y` is `p`."""
        if quotient.operation == DIVIDE and quotient.operands[1] in (y, self._known.get((NONZERO, y))):
            shape = broadcast_shape((quotient.shape or (), y.shape or ()))
            return self.broadcast(Ref(quotient.operands[0]), shape)
        return None

    def _distributed(self, total: Node, y: Node) -> Ref | None:
        """`(p / y + q) * y` is `p + q * y`."""
        if not isinstance(total.operation, Linear) or not self.alone(total):
            return None
        if not any(self._cancelled(term, y) for term in total.operands):
            return None
        terms = zip(total.operands, total.operation.factors, strict=True)
        return self.linear([self.multiply(Ref(term, factor), Ref(y)) for term, factor in terms])

    def _gathered(self, product: Node, y: Node) -> Ref | None:
        """`(x * c) * d` is `x * (c * d)` for constants, and for arrays smaller than `x`."""
        if product.operation != MULTIPLY or not self.alone(product):
            return None
        for x, c in (product.operands, product.operands[::-1]):
            if (c.is_constant and y.is_constant) or (max(c.size, y.size) < x.size and _together(c, y) < x.size):
                return self.multiply(Ref(x), self.multiply(Ref(c), Ref(y)))
        return None

    def divide(self, a: Ref, b: Ref) -> Ref:
        shape = broadcast_shape((a.shape, b.shape))
        x, y = self.thin(a.node), self.thin(b.node)
        if y is self.one:
            return self.broadcast(Ref(a.node, float(np.divide(a.factor, b.factor))), shape)
        if y.is_constant:
            with np.errstate(all="ignore"):
                return self.multiply(a, self.constant(1.0 / (b.factor * y.operation.value)))
        early = self._before_reshapes((x, y))
        found = self._quotient(*early).times(float(np.divide(a.factor, b.factor)))
        return self.broadcast(self._after_reshapes(found, early, (x, y)), shape)

    def _quotient(self, x: Node, y: Node) -> Ref:
        if y.operation == MULTIPLY and y.operands[0] is y.operands[1] and x.operation == MULTIPLY:
            for p, q in (x.operands, x.operands[::-1]):  # (p q) / y^2 where p / y is known
                if (known := self._known.get((DIVIDE, p, y.operands[0]))) is not None:
                    return self.multiply(Ref(known), self.divide(Ref(q), Ref(y.operands[0])))
        if x.operation == MULTIPLY and y in x.operands and self.alone(x):
            return Ref(x.operands[x.operands[0] is y])
        if x.operation == MULTIPLY and self.alone(x):  # (p q) / y is p (q / y) for small q and y
            for p, q in (x.operands, x.operands[::-1]):
                if max(q.size, y.size) < x.size and _together(q, y) < x.size:
                    return self.multiply(Ref(p), self.divide(Ref(q), Ref(y)))
        if x.size >= _LARGE and y.size < x.size:
            return self.multiply(Ref(x), self._applied(DIVIDE, (self.one, y)))
        return self._applied(DIVIDE, (x, y))

    def power(self, a: Ref, b: Ref) -> Ref:
        exponent = b.factor if self.thin(b.node) is self.one else None
        shape = broadcast_shape((a.shape, b.shape))
        simple = _POWERS.get(exponent) if exponent is not None else None
        if simple is None:
            return self._applied(Elementwise(np.power), (self.node(a), self.node(b)))
        return self.broadcast(simple(self, a), shape)

    def log(self, a: Ref) -> Ref:
        if a.node.operation == EXP and a.factor == 1.0:
            return Ref(a.node.operands[0])
        return self._applied(Elementwise(np.log), (self.node(a),))

    def nonzero(self, a: Ref) -> Ref:
        if a.factor > 0 and _is_positive(a.node):
            return a
        return self._applied(NONZERO, (self.node(a),))

    def hold(self, a: Ref) -> Ref:
        return self._applied(Elementwise(held), (self.node(a),)) if self.holding else a

    def log_add_exp(self, a: Ref, b: Ref) -> Ref:
        """`log(1 + exp(u))` for larger arrays by functions that are much faster."""
        u, number = (b, self.thin(a.node)) if self.thin(a.node) is self.one else (a, self.thin(b.node))
        zero = number is self.one and (a if u is b else b).factor == 0.0
        if not zero or u.node.size < _SEVERAL:
            return self._applied(Elementwise(np.logaddexp), (self.node(a), self.node(b)))
        size = self._applied(Elementwise(np.abs), (self.node(u),))
        tail = self._applied(EXP, (self.node(size.times(-1.0)),))
        above = self._applied(Elementwise(np.maximum), (self.node(u), self.node(Ref(self.one, 0.0))))
        return self.linear((above, self._applied(Elementwise(np.log1p), (self.node(tail),))))

    def sqrt(self, a: Ref) -> Ref:
        return self._applied(Elementwise(np.sqrt), (self.node(a),))


def _nonnegative(node: Node) -> bool:
    return node.operation == EXP or (node.operation == MULTIPLY and node.operands[0] is node.operands[1])


def _is_positive(node: Node) -> bool:
    """Certainly above 0, rounding included."""
    if not isinstance(node.operation, Linear):
        return False
    terms = list(zip(node.operands, node.operation.factors, strict=True))
    offset = [factor for term, factor in terms if term.is_constant and term.shape == ()]
    return bool(offset) and all(factor > 0 and (term.is_constant or _nonnegative(term)) for term, factor in terms)


def _together(a: Node, b: Node) -> int:
    """How many elements an operation on two arrays gives."""
    return math.prod(broadcast_shape((a.shape or (), b.shape or ())))


_SPECIAL: dict[Any, tuple[int, Callable[..., Ref]]] = {
    np.add: (2, lambda builder, a, b: builder.linear((a, b))),
    np.subtract: (2, lambda builder, a, b: builder.linear((a, b.times(-1.0)))),
    np.negative: (1, lambda builder, a: a.times(-1.0)),
    np.multiply: (2, Arithmetic.multiply),
    np.divide: (2, Arithmetic.divide),
    np.power: (2, Arithmetic.power),
    np.square: (1, lambda builder, a: builder.multiply(a, a)),
    np.reciprocal: (1, lambda builder, a: builder.divide(builder.constant(1.0), a)),
    np.log: (1, Arithmetic.log),
    nonzero: (1, Arithmetic.nonzero),
    np.logaddexp: (2, Arithmetic.log_add_exp),
    held: (1, Arithmetic.hold),
}
_POWERS: dict[float, Callable[[Arithmetic, Ref], Ref]] = {
    0.0: lambda builder, a: builder.constant(1.0),
    1.0: lambda builder, a: a,
    2.0: lambda builder, a: builder.multiply(a, a),
    3.0: lambda builder, a: builder.multiply(builder.multiply(a, a), a),
    0.5: lambda builder, a: builder.sqrt(a),
    -1.0: lambda builder, a: builder.divide(builder.constant(1.0), a),
    -0.5: lambda builder, a: builder.divide(builder.constant(1.0), builder.sqrt(a)),
    -2.0: lambda builder, a: builder.divide(builder.constant(1.0), builder.multiply(a, a)),
}
