"""Large plates: the log density of an observed site as a sum over rows that can be cut into blocks.

Along the plate the site may use data in any way, since what depends on data alone is computed once, row by row or not.
What is random must not have the plate: it is computed beforehand and given to every block. Gathers, missing data and
ragged plates are data along the plate like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ppl.axes import DRAW, Axis, union
from ppl.blocks import ROWS, Blocks
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.loops import argument
from ppl.compiler.programs.writer import Weights, Writer
from ppl.model import expressions as ex
from ppl.model.model import Deterministic, Model, Site
from ppl.model.plan import Plan
from ppl.model.rewrite import with_children

LEAST = 4 * ROWS
"""Rows from which a plate is worth cutting up."""


def block_axes(plan: Plan) -> dict[str, Axis]:
    """The plate along which the term of each site is cut into blocks; sites whose term is not are left out."""
    return {name: split.axis for name, split in _splits(plan).items()}


def blocked_terms(writer: Writer, plan: Plan) -> dict[str, Ref]:
    """The terms of the sites in `block_axes`, each (draw,)."""
    return {name: _term(writer, split) for name, split in _splits(plan).items()}


def blocked_term(writer: Writer, plan: Plan, site: Site, more: ex.Expr | None, weights: Weights) -> Ref | None:
    """The term of a site whose density is weighed along an axis, with something `more` added for each row: (draw,).
    None where it is not cut.
    """
    split = _split(plan.model, site, more)
    return None if split is None else _term(writer, replace(split, weights=weights))


def _splits(plan: Plan) -> dict[str, _Split]:
    left = {name for members in plan.joined.values() for name in members}
    left |= {cost.name for cost in plan.costs if cost.keep} | plan.collapses.keys()
    found = {site.name: _split(plan.model, site) for site in plan.model.observed if site.name not in left}
    return {name: split for name, split in found.items() if split is not None}


def _split(model: Model, site: Site, more: ex.Expr | None = None) -> _Split | None:
    """The site cut along its largest plate, if that is large and the site a sum over its rows."""
    large = [axis for axis in site.axes if axis.size >= LEAST]
    if not large:
        return None
    try:
        return _Split.of(model, site, max(large, key=lambda axis: axis.size), more)
    except _NotByRows:
        return None


class _NotByRows(Exception):
    """A term is not a sum over rows that need only data of their own."""


@dataclass
class _Split:
    """A site over leaves: `rows` stand for what depends on data alone, `given` for what is random.

    The density counts by `weights` along an axis of their own, where there are any, and `more` is added for each row.
    """

    site: Site
    axis: Axis
    more: ex.Expr | None = None
    weights: Weights | None = None
    rows: dict[str, tuple[ex.Value, ex.Expr]] = field(default_factory=dict)
    given: dict[str, tuple[ex.Value, ex.Expr]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, site: Site, axis: Axis, more: ex.Expr | None) -> _Split:
        split = cls(site, axis)
        inside = _Inside(model, split)
        split.more = None if more is None else inside(more)
        assert site.observed is not None
        arguments = {name: inside(part) for name, part in site.distribution.arguments.items()}
        split.site = replace(
            site,
            distribution=replace(site.distribution, arguments=arguments),
            observed=inside(site.observed),
            present=None if site.present is None else inside(site.present),
            support=replace(site.support, arguments=tuple(inside(part) for part in site.support.arguments)),
        )
        return split

    def leaf(self, node: ex.Expr) -> ex.Value:
        """What stands for an expression, the same for the same one."""
        leaves, stem = (self.rows, "row") if node.type.static else (self.given, "given")
        for known, other in leaves.values():
            if _same(other, node):
                return known
        leaf = ex.Value(node.type, node.span, f"{stem} {len(leaves)}")
        leaves[leaf.name] = (leaf, node)
        return leaf


def _same(one: ex.Expr, other: ex.Expr) -> bool:
    return one is other or (isinstance(one, ex.Value) and isinstance(other, ex.Value) and one.name == other.name)


class _Inside:
    """Rewrites expressions along the rows: what is the same for all rows, or data, becomes a leaf."""

    def __init__(self, model: Model, split: _Split) -> None:
        self._model = model
        self._split = split
        self._done: dict[int, ex.Expr] = {}

    def __call__(self, node: ex.Expr) -> ex.Expr:
        if id(node) not in self._done:
            self._done[id(node)] = self._inside(node)
        return self._done[id(node)]

    def _inside(self, node: ex.Expr) -> ex.Expr:
        axis = self._split.axis
        if isinstance(node, ex.Constant):
            return node
        if node.type.static or axis not in node.type.axes:
            return self._split.leaf(node)
        if isinstance(node, ex.Value):
            statement = self._model.by_name.get(node.name)
            if not isinstance(statement, Deterministic) or statement.value.type.static:
                raise _NotByRows
            return self(statement.value)
        elementwise = isinstance(node, ex.Call | ex.LogDensity | ex.SliceOf | ex.Gather | ex.Lift)
        if not elementwise and not (isinstance(node, ex.Named) and node.axis != axis):
            raise _NotByRows
        return with_children(node, [self(child) for child in node.children])


def _term(writer: Writer, split: _Split) -> Ref:
    """The sum over all rows as one operation of the outer program."""
    rows = {name: writer.resolver(node) for name, (_, node) in split.rows.items()}
    given = {name: writer.resolver(node) for name, (_, node) in split.given.items()}
    axis = split.axis
    layouts = {name: item.axes for name, item in (*rows.items(), *given.items())}
    left = axis.size % ROWS or ROWS
    blocks = Blocks(
        size=axis.size,
        row_at=tuple(item.axes.index(axis) if axis in item.axes else None for item in rows.values()),
        drawn=tuple(DRAW in item.axes for item in given.values()),
        one=_program(split, layouts, ROWS),
        last=_program(split, layouts, left),
        every=_program(split, layouts, axis.size),
    )
    name = writer.recorder.loop(f"{split.site.name.replace('.', '_')}_blocks", blocks)
    tuples = [f"({', '.join('{}' for _ in group)}{',' * (len(group) == 1)})" for group in (rows, given)]
    refs = [item.array for item in (*rows.values(), *given.values())]
    return writer.recorder.record(f"xp.blocks({name}, {', '.join(tuples)})", refs)


def _program(split: _Split, layouts: Mapping[str, tuple[Axis, ...]], size: int) -> ArrayProgram:
    """The term summed over a block of that many rows."""
    short = replace(split.axis, size=size)
    site = replace(split.site, axes=tuple(short if axis == split.axis else axis for axis in split.site.axes))
    writer = Writer(Model(site.name, (site,)))
    for stem, leaves in (("rows", split.rows), ("given", split.given)):
        for number, (name, (leaf, _)) in enumerate(leaves.items()):
            lead = (DRAW,) if stem == "given" else ()
            axes = union([lead, (short if axis == split.axis else axis for axis in layouts[name])])
            writer.values[name] = argument(writer.recorder, f"{stem}[{number}]", leaf, axes)
    assert site.observed is not None
    term = writer.weighed(site, split.more, split.weights)
    total = {"total": writer.reduced(term, site.axes, ())}
    doc = f"the log density of {size} rows of {site.name}"
    return writer.program(["rows", "given"], doc, total=total)
