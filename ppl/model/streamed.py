"""Data that are read row by row: where a model may read them, and what is checked of them without having them all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from ppl.axes import Axis
from ppl.constraints import SUPPORTS
from ppl.errors import Diagnostic, ModelError
from ppl.model import expressions as ex
from ppl.model.model import Deterministic, Model, Site, Statement
from ppl.model.resolve import evaluate

OUTCOME = "E504"


def check_streams(model: Model) -> None:
    """Streamed data are read by the index of one plate, and by nothing else.

    Raises ModelError with every place where they are not, and for observations outside their support.
    """
    problems: list[Diagnostic] = []
    plates: dict[Axis, str] = {}
    for statement in (*model.statements, *model.predicted):
        for root in read_by(statement):
            problems += _misread(root, statement.axes, plates)
        if isinstance(statement, Site):
            problems += _outside(statement)
    if len(plates) > 1:
        named = " and ".join(f"`{axis.name}` ({name})" for axis, name in plates.items())
        problems.append(
            Diagnostic("E409", None, f"data of the plates {named} are read row by row", "those of one may be")
        )
    if problems:
        raise ModelError(list(dict.fromkeys(problems)))


def read_by(statement: Statement) -> tuple[ex.Expr, ...]:
    """All that a statement and its notes read."""
    notes = statement.notes if isinstance(statement, Site) else ()
    return (*statement.inputs, *(part for note in notes for part in note.arguments if isinstance(part, ex.Expr)))


def reads_data_alone(value: ex.Expr) -> bool:
    """Whether nothing random is in an expression, streamed data allowed."""
    return not any(isinstance(node, ex.Value | ex.Recurrence | ex.Before) for node in ex.walk(value))


def streamed_axis(model: Model) -> Axis | None:
    """The plate whose data are read row by row; None where all data are at hand."""
    for statement in (*model.statements, *model.predicted):
        for node in ex.walk(*read_by(statement)):
            if isinstance(node, ex.Named) and isinstance(node.base, ex.Streamed):
                return node.axis
    return None


def require_whole(model: Model, what: str) -> None:
    """Raises ModelError where a model has data that are read row by row, for `what` needs them all at once."""
    if streamed_axis(model) is not None:
        found = f"`{what}` needs all rows at once, and some data are read row by row"
        raise ModelError.of("E409", None, found, "pass the rows you ask about as arrays")


def require_parts(model: Model, by_statistics: Collection[str]) -> None:
    """Terms of the density that read rows, directly or through others, are had `by_statistics`, or their plate
    is seen in parts. Raises ModelError with every place where a term reads rows and neither is so.
    """
    axis = streamed_axis(model)
    if axis is None or axis in {batch.axis for batch in model.batches}:
        return
    needed = statements_reading(model, frozenset()) - set(by_statistics)
    terms = [each for each in model.statements if each.name in needed and not isinstance(each, Deterministic)]
    problems = [problem for each in terms for problem in _places(model, each, each, axis)]
    if problems:
        raise ModelError(list(dict.fromkeys(problems)))


def _places(model: Model, term: Statement, statement: Statement, axis: Axis) -> Iterator[Diagnostic]:
    """Where a term, in what one of its statements says, reads rows."""
    for node in ex.walk(*read_by(statement)):
        if isinstance(node, ex.Named) and isinstance(node.base, ex.Streamed):
            found = f"`{node.base.name}` is read row by row, and every step would see all of the plate `{axis.name}`"
            note = f"note the plate `@minibatch(1000)`, with fewer than its {axis.size} elements"
            said = f"no statistics stand for the rows of `{term.name}`: {note if axis.size > 1 else 'load its one row'}"
            yield Diagnostic("E409", node.span or statement.span, found, said)
        elif isinstance(node, ex.Value):
            read = model.by_name[node.name]
            if isinstance(read, Deterministic) or (isinstance(read, Site) and read.observed is not None):
                yield from _places(model, term, read, axis)


def source_of(model: Model) -> str:
    """What the rows are read from, in words."""
    found = {
        node.base.column.source.description: None
        for statement in (*model.statements, *model.predicted)
        for node in ex.walk(*read_by(statement))
        if isinstance(node, ex.Named) and isinstance(node.base, ex.Streamed)
    }
    return " and ".join(found)


def _misread(root: ex.Expr, axes: Sequence[Axis], plates: dict[Axis, str]) -> Iterator[Diagnostic]:
    """Where streamed data are read otherwise than by the index of a plate of the statement, which `plates` gets."""
    found = "`{}` is read row by row, and here all of it is"
    expected = "read it with the index of its plate alone"
    for node in ex.walk(root):
        if isinstance(node, ex.Named) and isinstance(node.base, ex.Streamed) and not node.dim and node.axis in axes:
            plates.setdefault(node.axis, node.base.name)
            continue
        for child in node.children:
            if isinstance(child, ex.Streamed):
                yield Diagnostic("E409", child.span or node.span, found.format(child.name), expected)
    if isinstance(root, ex.Streamed):
        yield Diagnostic("E409", root.span, found.format(root.name), expected)


def _outside(site: Site) -> Iterator[Diagnostic]:
    """Observations that no value of the parameters gives a density."""
    observed = site.observed
    if not (isinstance(observed, ex.Named) and isinstance(observed.base, ex.Streamed)):
        return
    support = SUPPORTS[site.support.name]
    if any(not end.type.static or end.type.axes for end in site.support.arguments):
        return
    ends = [np.asarray(evaluate(end).array) for end in site.support.arguments]
    for start, rows in observed.base.column.blocks():
        inside = np.asarray(support.contains(rows, *ends))
        if not np.all(inside):
            at = np.unravel_index(int(np.argmin(inside)), inside.shape)[0]
            found = f"{site.name}[{start + int(at)}] is not {support.describe.format(*ends)}"
            yield Diagnostic(OUTCOME, site.span, f"{found}: the log density is -inf for every parameter value")
            return


def statements_reading(model: Model, names: frozenset[str]) -> frozenset[str]:
    """The statements that read streamed data, or any of `names`, directly or through others."""
    found = set(names)
    ordered: tuple[Statement, ...] = (*model.statements, *model.predicted)
    for statement in ordered:
        streams = any(isinstance(node, ex.Streamed) for node in ex.walk(*read_by(statement)))
        if streams or statement.reads & found:
            found.add(statement.name)
    return frozenset(found)
