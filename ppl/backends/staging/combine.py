"""Linear combinations and the parts that arrays are put together from, as instructions."""

from __future__ import annotations

import numpy as np

from ppl.backends.staging.graph import FLOAT, Linear, Node, Place, Shape
from ppl.backends.staging.instructions import Writing
from ppl.backends.staging.shapes import broadcast_shape, key_of
from ppl.backends.staging.sums import tiles

Signed = tuple[str, Shape, float]
"""A value by its name, its shape, and the sign that stands before it."""


class Combining(Writing):
    """Sums of terms by their factors; slices assigned into one array."""

    _uses: dict[Node, int]

    def linear(self, node: Node) -> str:
        terms = list(zip(node.operands, node.operation.factors, strict=True))
        places = [term for term in terms if isinstance(term[0].operation, Place)]
        dense = [term for term in terms if term not in places]
        total = self._combination(dense)
        if not places:
            return total[0]
        shape = node.shape or ()
        return self._assembled(places, self._buffer(places, total, shape))

    def _combination(self, terms: list[tuple[Node, float]]) -> tuple[str, Shape]:
        """Terms of one factor are added up first, small arrays before large ones; the name and shape of the sum."""
        groups: dict[float, list[tuple[Node, float]]] = {}
        for node, factor in sorted(terms, key=lambda term: (term[0].size, term[0].number)):
            groups.setdefault(abs(factor), []).append((node, factor))
        total: Signed | None = None
        for size, group in sorted(groups.items(), key=lambda item: max(node.size for node, _ in item[1])):
            one = self._scaled(self._signed(group), size)
            total = one if total is None else self._joined(total, one)
        return ("", ()) if total is None else self._positive(total)

    def _signed(self, group: list[tuple[Node, float]]) -> Signed:
        """The sum of terms by their signs; its name, shape and the sign that stands before it."""
        found: Signed | None = None
        for node, factor in group:
            sign = 1.0 if factor >= 0 else -1.0
            if node.is_constant and node.shape == ():
                value = float(node.operation.value)
                one: Signed = (repr(value) if np.isfinite(value) else self.named(value), (), sign)
            else:
                one = (self._done[node], node.shape or (), sign)
            found = one if found is None else self._joined(found, one)
        assert found is not None
        return found

    def _joined(self, a: Signed, b: Signed) -> Signed:
        if a[2] < 0 < b[2]:
            a, b = b, a
        function = np.add if a[2] == b[2] else np.subtract
        shape = broadcast_shape((a[1], b[1]))
        parts = [self._beside(one[0], shape) for one in (a, b)]
        return self.apply(function, parts, [a[1], b[1]], FLOAT), shape, a[2]

    def _beside(self, name: str, shape: Shape) -> str:
        """A literal beside an array is written as an array."""
        if shape == () or name in self.listing.names or not name[0].isdigit():
            return name
        return self.number(float(name), shape)

    def _scaled(self, one: Signed, size: float) -> Signed:
        name, shape, sign = one
        if size == 1.0:
            return one
        if name[0].isdigit():
            return repr(float(name) * size), shape, sign
        factor = self.number(sign * size, shape)
        return self.apply(np.multiply, [name, factor], [shape, ()], FLOAT), shape, 1.0

    def _positive(self, one: Signed) -> tuple[str, Shape]:
        name, shape, sign = one
        if sign > 0:
            return name, shape
        if shape == ():
            return self.emit("-{}", [name], ()), shape
        return self.apply(np.negative, [name], [shape], FLOAT), shape

    def _buffer(self, places: list[tuple[Node, float]], total: tuple[str, Shape], shape: Shape) -> tuple[str, bool]:
        """An array to write the places into, and whether that adds to what it holds."""
        if total[0]:
            text = f"{self.function(np.add)}({{}}, {{}})"
            parts = [self._beside(total[0], shape), self.named(np.zeros(shape))]
            return self.emit(text, parts, shape, takes_out=True, elementwise=True), True
        filled = tiles(shape, [node for node, _ in places])
        text = f"{self.function(np.empty if filled else np.zeros)}({shape})"
        return self.emit(text, (), shape), not filled

    def _assembled(self, places: list[tuple[Node, float]], start: tuple[str, bool]) -> str:
        buffer, adds = start
        for node, factor in places:
            key = self.named(key_of(node.operation.spans))
            part = node.operands[0]
            value = self._done[part]
            if abs(factor) != 1.0:
                number = self.number(abs(factor), part.shape or ())
                value = self.apply(np.multiply, [value, number], [part.shape or (), ()], FLOAT)
            if adds:
                sign = "+" if factor > 0 else "-"
                self.emit(f"{{}}[{key}] {sign}= {{}}", [buffer, value], store=True)
            else:
                sign = "" if factor > 0 else "-"
                self.emit(f"{{}}[{key}] = {sign}{{}}", [buffer, value], store=True)
        return buffer

    def place(self, node: Node) -> str:
        if all(isinstance(reader.operation, Linear) for reader in self._uses if node in reader.operands):
            read = any(node in reader.operands for reader in self._uses)
            if read and self._uses[node] == sum(reader.operands.count(node) for reader in self._uses):
                return ""  # written by its readers
        return self._assembled([(node, 1.0)], self._buffer([(node, 1.0)], ("", ()), node.shape or ()))
