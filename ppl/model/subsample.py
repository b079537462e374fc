"""The model of one step of a fit that goes through a plate in random parts.

The plate is cut to the elements drawn, whose positions are handed in, and whatever is read along it is looked up at
these positions. The density of what stands on the plate then counts `total / size` times (see `Plan.scale`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ppl.axes import Axis, union
from ppl.errors import Diagnostic, ModelError
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr, Type
from ppl.model.model import Batch, Model, Note, Param, Site, Statement, rows_of
from ppl.model.rewrite import with_children, with_every_expression
from ppl.model.streamed import read_by
from ppl.source import Span
from ppl.streams import Column


def subsampled(model: Model, batches: Sequence[Batch]) -> Model:
    """The model with each of the plates cut to the elements of one step.

    Raises ModelError where a statement reads all of what stands on such a plate, or walks along it.
    """
    cut = {batch.axis: replace(batch, axis=replace(batch.axis, size=batch.size, start=0)) for batch in batches}
    step = _Step(model, cut)
    statements, problems = list[Statement](), list[Diagnostic]()
    for statement in model.statements:
        try:
            statements.append(step.statement(statement))
        except ModelError as error:
            problems += error.diagnostics
    if problems:
        raise ModelError(problems)
    parts = tuple(replace(batch, columns=_columns(statements, batch.axis)) for batch in cut.values())
    return replace(model, statements=tuple(statements), predicted=(), batches=parts)


def _columns(statements: Sequence[Statement], axis: Axis) -> tuple[Column, ...]:
    """The columns of which a step sees rows, by name."""
    nodes = [node for statement in statements for node in ex.walk(*read_by(statement))]
    found = {node.name: node.column for node in nodes if isinstance(node, ex.BatchRows) and node.axis == axis}
    return tuple(found[name] for name in sorted(found))


@dataclass(frozen=True)
class _Step:
    """Rewrites statements; `cut` gives for each plate that is gone through in parts the part."""

    model: Model
    cut: Mapping[Axis, Batch]

    def statement(self, statement: Statement) -> Statement:
        if isinstance(statement, Param):
            return statement
        done: dict[int, Expr] = {}

        def change(root: Expr) -> Expr:
            for node in ex.walk(root):
                if id(node) not in done:
                    done[id(node)] = self._node(node, done, statement)
            return done[id(root)]

        changed = with_every_expression(statement, change)
        present = None if statement.present is None else change(statement.present)
        moved: Statement = replace(changed, axes=self._axes(statement.axes), present=present)
        if isinstance(moved, Site):
            return replace(moved, notes=tuple(self._note(note, change) for note in moved.notes))
        return moved

    def _note(self, note: Note, change: Any) -> Note:
        return replace(note, arguments=tuple(change(a) if isinstance(a, Expr) else a for a in note.arguments))

    def _axes(self, axes: Sequence[Axis]) -> tuple[Axis, ...]:
        return tuple(self.cut[axis].axis if axis in self.cut else axis for axis in axes)

    def _type(self, kind: Type, **changes: Any) -> Type:
        return replace(kind, axes=union([self._axes(kind.axes)]), **changes)

    def _node(self, node: Expr, done: Mapping[int, Expr], statement: Statement) -> Expr:
        children = [done[id(child)] for child in node.children]
        if isinstance(node, ex.Lift) and any(axis in self.cut for axis in node.axes):
            return self._whole(node, statement)
        if isinstance(node, ex.Named) and node.axis in self.cut and isinstance(node.base, ex.Streamed):
            column, axis = node.base.column, self.cut[node.axis].axis
            return ex.BatchRows(self._type(node.type), node.span, axis, rows_of(column), column)
        if isinstance(node, ex.Named) and node.axis in self.cut:
            return self._looked_up(children[0], node.dim, node.axis, node.span)
        if isinstance(node, ex.AxisIndex) and node.axis in self.cut:
            at = self._positions(node.axis, node.span)
            return construct.call("add", [at, construct.constant(node.axis.start)]) if node.axis.start else at
        if isinstance(node, ex.Recurrence) and self._touches(node):
            raise self._refused(statement, "steps through a recurrence along it")
        if isinstance(node, ex.Value) and isinstance(self.model.by_name[node.name], Param):
            mine = [axis for axis in node.type.axes if axis in self.cut]
            value: Expr = construct.lift(node, mine)
            for axis in mine:
                value = self._looked_up(value, 0, axis, node.span)
            return value
        kind = self._type(node.type)
        kept = kind.axes == node.type.axes
        if all(new is old for new, old in zip(children, node.children, strict=True)):
            return node if kept else replace(node, type=kind)
        static = node.type.static and all(child.type.static for child in children)
        return with_children(node, children, type=replace(kind, static=static))

    def _whole(self, node: ex.Lift, statement: Statement) -> Expr:
        """All of a plate at once: possible for data alone, which are all there at every step."""
        if node.type.static:
            return node
        names = sorted(ex.values_read(node))
        raise self._refused(statement, f"reads all elements of `{names[0]}` at once" if names else "reads it whole")

    def _touches(self, node: ex.Recurrence) -> bool:
        axes = {node.time, *(axis for past in node.pasts for axis in past.axes)}
        return bool(axes & self.cut.keys())

    def _looked_up(self, base: Expr, dim: int, axis: Axis, span: Span | None) -> Expr:
        """Dimension `dim` of `base` at the elements of the step."""
        return construct.gather(base, [*[None] * dim, self._positions(axis, span)], span)

    def _positions(self, axis: Axis, span: Span | None) -> Expr:
        batch = self.cut[axis]
        return ex.BatchIndex(Type((batch.axis,), (), "integer", static=False), span, batch.axis, batch.name)

    def _refused(self, statement: Statement, what: str) -> ModelError:
        axis = next(iter(self.cut))
        found = f"`{statement.name}` {what}; the plate `{axis.name}` is seen in random parts"
        return ModelError.of("E408", statement.span, found, "fit without `@minibatch`, or move it out of the plate")
