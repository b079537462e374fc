"""Going over a syntax tree: the parts of a node, the names that it reads, and each statement with its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from ppl.language import syntax

Block = syntax.Plate | syntax.Scan
MODEL = "model"
PREDICT = "predict"


_FIELDS: dict[type, tuple[str, ...]] = {}


def children(node: syntax.Node) -> Iterator[syntax.Node]:
    """The direct parts of a node, in the order in which its class names them."""
    kind = type(node)
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(field.name for field in dataclasses.fields(kind))
    for name in _FIELDS[kind]:
        value = getattr(node, name)
        if isinstance(value, syntax.Node):
            yield value
        elif isinstance(value, tuple):
            yield from (part for part in value if isinstance(part, syntax.Node))


def reads(node: syntax.Node | None) -> Iterator[tuple[syntax.Name, syntax.Expression]]:
    """Each name that an expression reads, with the indexed expression around it (or the name itself).

    Names of functions and keywords are not read, nor are those that a comprehension inside binds.
    """
    if node is None:
        return
    if isinstance(node, syntax.Name):
        yield node, node
    elif isinstance(node, syntax.Index) and isinstance(node.base, syntax.Name):
        yield node.base, node
        for item in node.items:
            yield from reads(item)
    elif isinstance(node, syntax.Comprehension):
        bound: set[str] = set()
        for part in (*node.binders, node.body):
            expression = part.range if isinstance(part, syntax.Binder) else part
            yield from ((name, around) for name, around in reads(expression) if name.name not in bound)
            if isinstance(part, syntax.Binder):
                bound.add(part.name.name)
    else:
        for part in children(node):
            if not (isinstance(node, syntax.Call) and part is node.function):
                yield from reads(part)


def nodes(node: syntax.Node) -> Iterator[syntax.Node]:
    """The node and everything below it."""
    yield node
    for part in children(node):
        yield from nodes(part)


@dataclass(frozen=True)
class Placed:
    """A statement with the plates and scans around it (outermost first) and the room it stands in.

    `root` is `MODEL`, `PREDICT`, or a key of its own for the body of each `def` and `model`.
    """

    statement: syntax.Statement
    blocks: tuple[Block, ...]
    root: str


def statements(program: syntax.Program) -> Iterator[Placed]:
    """Every statement, blocks before what is in them, in source order."""
    for statement in program.statements:
        yield from _below(statement, (), MODEL)


def _below(statement: syntax.Statement, blocks: tuple[Block, ...], root: str) -> Iterator[Placed]:
    yield Placed(statement, blocks, root)
    if isinstance(statement, syntax.Plate | syntax.Scan):
        blocks = (*blocks, statement)
    elif isinstance(statement, syntax.Predict):
        root = PREDICT
    elif isinstance(statement, syntax.Def | syntax.Submodel):
        root = function_root(statement)
    else:
        return
    for inner in statement.body:
        yield from _below(inner, blocks, root)


def function_root(statement: syntax.Def | syntax.Submodel) -> str:
    kind = "def" if isinstance(statement, syntax.Def) else "model"
    return f"{kind} {statement.name.name}@{statement.span.start}"


def expressions(statement: syntax.Statement) -> Iterator[syntax.Node]:
    """What a statement reads by itself: its expressions, ranges, dimensions and notes, not its body or left side."""
    match statement:
        case syntax.Data(type=type_):
            yield from type_parts(type_)
        case syntax.Param(type=type_, initial=initial):
            yield from type_parts(type_)
            if initial is not None:
                yield initial
        case syntax.Net(call=call):
            yield call
        case syntax.Sample(distribution=value) | syntax.Assign(value=value) | syntax.Factor(value=value):
            yield value
        case syntax.Return(value=value):
            yield value
        case syntax.Plate(binder=binder) | syntax.Scan(binder=binder):
            yield binder.range
    if isinstance(statement, syntax.Sample | syntax.Plate | syntax.Scan):
        yield from statement.notes
    for binder in target_binders(statement):
        yield binder.range


def type_parts(type_: syntax.TypeExpression) -> Iterator[syntax.Node]:
    """Arguments, bounds and dimensions of a type, without its name."""
    yield from (*type_.arguments, *type_.bounds, *type_.dimensions)


def target_of(statement: syntax.Statement) -> syntax.Target | None:
    """The left side of `~` or `=`, or None."""
    if isinstance(statement, syntax.Sample | syntax.Assign | syntax.Factor):
        return statement.target
    return None


def target_binders(statement: syntax.Statement) -> tuple[syntax.Binder, ...]:
    """The binders of a one-statement plate `x[k in K] ~ …`."""
    target = target_of(statement)
    if target is None:
        return ()
    return tuple(index for index in target.indices if isinstance(index, syntax.Binder))
