"""What the ways of collapsing start from: an observed site in terms of latents and data alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ppl.axes import Axis, union
from ppl.compiler.collapse.rows import keys, sorted_into_cells, stream_of
from ppl.compiler.work import PARAMETER_OPERATIONS, density_work, work_of
from ppl.distributions import DISTRIBUTIONS
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.collapse import Cells, Collapse
from ppl.model.expressions import Expr
from ppl.model.model import Deterministic, Model, Site
from ppl.model.rewrite import with_children

LEAST_SHARE, LEAST_SAVING = 0.3, 100.0
"""What must be saved: this share of the work, and so many numbers touched for each draw."""
SPARED = 1000.0
"""Numbers touched for each draw that are no reason to go through rows again and again that are read as they come."""
LARGEST_TREE = 1000
"""Nodes of the largest expression that is looked into, shared ones counted wherever they are read."""


@dataclass(frozen=True)
class Candidate:
    """An observed site with its arguments and values inlined; its collapsed log density may take `most_work`.

    `plates` are in canonical order; along `stream`, one of them or None, data are read row by row.
    """

    site: Site
    plates: tuple[Axis, ...]
    arguments: dict[str, Expr]
    values: Expr
    most_work: float
    stream: Axis | None = None

    @classmethod
    def of(cls, model: Model, site: Site) -> Candidate | None:
        """None where something in the way cannot be looked through, nothing is random, or there is nothing to save."""
        assert site.observed is not None
        parts = {name: inlined(model, part, True) for name, part in site.distribution.arguments.items()}
        arguments = {name: part for name, part in parts.items() if part is not None}
        values = inlined(model, site.observed, True)
        if len(arguments) < len(parts) or values is None or not values.type.static:
            return None
        if all(part.type.static for part in arguments.values()):
            return None
        elements = math.prod(axis.size for axis in site.axes)
        work = work_of(arguments.values()) + density_work(arguments.values(), elements)
        most, stream = min((1.0 - LEAST_SHARE) * work, work - LEAST_SAVING), stream_of([*arguments.values(), values])
        most = most if stream is None else max(most, SPARED)
        return cls(site, union([site.axes]), arguments, values, most, stream) if most > 0.0 else None

    @property
    def family(self) -> str:
        """The name of the family, "" where a combinator made it."""
        family = self.site.distribution.family
        return family.name if family.name in DISTRIBUTIONS and DISTRIBUTIONS.get(family.name) is family else ""

    @property
    def most_cells(self) -> float:
        """As many as may be worth it where each has one density."""
        return self.most_work / (2.0 + PARAMETER_OPERATIONS * len(self.arguments))

    def keys(self, *arguments: Expr) -> list[Expr]:
        """What tells rows with different arguments apart."""
        return [key for part in arguments for key in keys(part, self.plates)]

    def cells(self, told_by: Sequence[Expr], most: float) -> Cells | None:
        """Its rows sorted by what tells them apart; see `sorted_into_cells`."""
        return sorted_into_cells(self.site.name, self.plates, told_by, most, self.stream)


def work_of_collapse(found: Collapse) -> float:
    """Numbers touched for one draw."""
    return work_of(found.expressions) + found.work


def inlined(model: Model, root: Expr, streams: bool = False) -> Expr | None:
    """`root` in terms of latents and data alone; None where that is too large.

    With `streams` data that are read row by row are known as any others are: what is static can then only be read
    with a `RowReader`.
    """
    found = _Inliner(model, streams)(root)
    return found if _tree_size(found) <= LARGEST_TREE else None


class _Inliner:
    """Puts the expressions of deterministic statements, and the data of observed sites, in place of their values."""

    def __init__(self, model: Model, streams: bool) -> None:
        self._model, self._streams = model, streams
        self._done: dict[int, tuple[Expr, Expr]] = {}

    def __call__(self, root: Expr) -> Expr:
        for node in ex.walk(root):
            if id(node) not in self._done:
                self._done[id(node)] = (node, self._changed(node))
        return self._done[id(root)][1]

    def _changed(self, node: Expr) -> Expr:
        if isinstance(node, ex.Value):
            statement = self._model.by_name.get(node.name)
            if isinstance(statement, Deterministic):
                return self(statement.value)
            if isinstance(statement, Site) and statement.observed is not None:
                observed = self(statement.observed)
                return observed if observed.type.static else node
            return node
        if isinstance(node, ex.Streamed) and self._streams:
            return replace(node, type=replace(node.type, static=True))
        children = [self._done[id(child)][1] for child in node.children]
        if all(new is old for new, old in zip(children, node.children, strict=True)):
            return node
        if isinstance(node, ex.Named):
            return construct.named(children[0], node.dim, node.axis)
        changed = with_children(node, children)
        if not isinstance(node, ex.Call | ex.Gather | ex.SliceOf | ex.Lift | ex.LogDensity):
            return changed
        axes = union(child.type.axes for child in children)
        if isinstance(node, ex.Lift):
            axes = tuple(axis for axis in axes if axis not in node.axes)
        static = all(child.type.static for child in children)
        return replace(changed, type=replace(node.type, axes=axes, static=static))


def _tree_size(root: Expr) -> int:
    sizes: dict[int, int] = {}
    for node in ex.walk(root):
        sizes[id(node)] = 1 + sum(sizes[id(child)] for child in node.children)
    return sizes[id(root)]
