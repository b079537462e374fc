"""Expressions inside something that is evaluated many times: what does not change there is computed once, outside."""

from __future__ import annotations

from collections.abc import Sequence

from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.rewrite import with_children


class Hoisting:
    """Rewrites expressions that depend on leaves, which are values of these names, into ones over these and `inputs`.

    The keys of `inputs` stand for the largest parts that do not depend on the leaves.
    """

    def __init__(self, *leaves: str) -> None:
        self._leaves = frozenset(leaves)
        self.inputs: dict[ex.Value, Expr] = {}
        self._done: dict[int, tuple[Expr, Expr]] = {}
        self._dependent: dict[int, Expr] = {}

    def depending(self, node: Expr) -> Expr:
        """Say that a node depends on the leaves; it stays as it is."""
        self._dependent[id(node)] = node
        return node

    def inside(self, root: Expr) -> Expr | None:
        """`root` as it is written inside; None where `changed` has no answer for one of its parts."""
        for node in ex.walk(root):
            if id(node) not in self._done:
                found = self.changed(node)
                if found is not None:
                    self._done[id(node)] = (node, found)
        return self.part(self._done[id(root)][1]) if id(root) in self._done else None

    def changed(self, node: Expr) -> Expr | None:
        """The node with its parts as they are inside, None where that is not known (yet)."""
        if isinstance(node, ex.Value) and node.name in self._leaves:
            return self.depending(node)
        if any(id(child) not in self._done for child in node.children):
            return None
        children = [self._done[id(child)][1] for child in node.children]
        if not any(id(child) in self._dependent for child in children):
            return node
        return self.rebuilt(node, [self.part(child) for child in children])

    def rebuilt(self, node: Expr, children: Sequence[Expr]) -> Expr | None:
        return self.depending(with_children(node, children))

    def part(self, node: Expr) -> Expr:
        """A part of what is inside: where it does not depend on the leaves, it becomes an input."""
        if id(node) in self._dependent or isinstance(node, ex.Constant):
            return node
        known = next((leaf for leaf, value in self.inputs.items() if value is node), None)
        if known is None:
            known = ex.Value(node.type, node.span, f"given {len(self.inputs)}")
            self.inputs[known] = node
        return known
