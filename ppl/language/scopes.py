"""What each name of a program is, and from where it can be seen.

Statements stand in any order, so all definitions are collected before anything is looked up. A name defined
without an index inside a block is local to the block; with its indices it belongs to the whole model (or to the
`predict` block, or to the body of a `def` or `model`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from ppl.language import syntax
from ppl.language.walk import MODEL, PREDICT, Block, Placed, function_root, statements, target_binders, target_of
from ppl.source import Span


class Kind(Enum):
    """What a name stands for; the value is how messages say it."""

    DATA = "data"
    PARAM = "param"
    LATENT = "latent"
    VALUE = "definition"
    FACTOR = "factor"
    INDEX = "index"
    ARGUMENT = "parameter"


@dataclass(frozen=True)
class Definition:
    """One name with the place of its defining statement.

    `room` says where it is visible: a root (`"model"`, `"predict"`, …) or the `id` of a block or statement;
    `within` is what messages call that room, `None` for a whole model.
    """

    name: str
    kind: Kind
    span: Span
    room: str | int
    within: Span | None = None
    extent: Span | None = None

    @property
    def line(self) -> int:
        return self.span.line


@dataclass
class Scopes:
    """All definitions of a program: by room and name, with everything defined twice and the observations."""

    rooms: dict[str | int, dict[str, Definition]] = field(default_factory=dict)
    repeated: list[tuple[Definition, Definition]] = field(default_factory=list)  # (earlier, later)
    observations: dict[str, Placed] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)  # data of which values may be missing

    def find(self, name: str, placed: Placed) -> Definition | None:
        """The definition that `name` means at a statement."""
        for room in rooms_around(placed):
            definition = self.rooms.get(room, {}).get(name)
            if definition is not None:
                return definition
        return None

    def visible(self, placed: Placed) -> dict[str, Definition]:
        """All names that can be read at a statement."""
        found: dict[str, Definition] = {}
        for room in reversed(list(rooms_around(placed))):
            found.update(self.rooms.get(room, {}))
        return found

    def hidden(self, name: str) -> Definition | None:
        """A definition of `name` in any room."""
        return next((names[name] for names in self.rooms.values() if name in names), None)

    def is_data(self, name: str) -> bool:
        definition = self.rooms.get(MODEL, {}).get(name)
        return definition is not None and definition.kind is Kind.DATA

    def add(self, definition: Definition, around: Placed) -> None:
        earlier = self.find(definition.name, around)
        if earlier is not None:
            self.repeated.append((earlier, definition))
        else:
            self.rooms.setdefault(definition.room, {})[definition.name] = definition


def rooms_around(placed: Placed) -> Iterator[str | int]:
    """The rooms whose names a statement sees, innermost first."""
    yield id(placed.statement)
    for block in reversed(placed.blocks):
        yield id(block)
    yield placed.root
    if placed.root == PREDICT:
        yield MODEL


def home(placed: Placed, target: syntax.Target) -> str | int:
    """The room that a left side defines its name in."""
    if placed.blocks and not target.indices and isinstance(placed.statement, syntax.Assign):
        return id(placed.blocks[-1])
    return placed.root


def collect(program: syntax.Program) -> Scopes:
    """Roots first, then what is local to blocks and statements, so that hiding an outer name is seen in any order."""
    scopes = Scopes()
    everything = list(statements(program))
    for placed in everything:
        _declare(scopes, placed)
    for placed in everything:
        _define(scopes, placed, local=False)
    for placed in everything:
        _bind(scopes, placed)
    for placed in sorted(everything, key=lambda placed: len(placed.blocks)):
        _define(scopes, placed, local=True)
    return scopes


def _declare(scopes: Scopes, placed: Placed) -> None:
    match placed.statement:
        case syntax.Data(names=names, missing=missing):
            for name in names:
                scopes.add(Definition(name.name, Kind.DATA, name.span, MODEL), placed)
            if missing:
                scopes.missing.update(name.name for name in names)
        case syntax.Param(name=name):
            scopes.add(Definition(name.name, Kind.PARAM, name.span, MODEL), placed)
        case syntax.Def(parameters=parameters) | syntax.Submodel(parameters=parameters):
            root = function_root(placed.statement)
            inside = Placed(placed.statement, (), root)
            for name in parameters:
                scopes.add(Definition(name.name, Kind.ARGUMENT, name.span, root), inside)


def _define(scopes: Scopes, placed: Placed, local: bool) -> None:
    target = target_of(placed.statement)
    if target is None:
        return
    room = home(placed, target)
    if isinstance(room, int) != local:
        return
    name = target.name.name
    if isinstance(placed.statement, syntax.Sample) and placed.root == MODEL and scopes.is_data(name):
        _observe(scopes, placed, target)
        return
    kinds = {syntax.Sample: Kind.LATENT, syntax.Assign: Kind.VALUE, syntax.Factor: Kind.FACTOR}
    block = placed.blocks[-1] if local else None
    scopes.add(
        Definition(
            name,
            kinds[type(placed.statement)],
            target.span,
            room,
            block.header if block else None,
            block.span if block else None,
        ),
        placed,
    )


def _observe(scopes: Scopes, placed: Placed, target: syntax.Target) -> None:
    name = target.name.name
    earlier = scopes.observations.setdefault(name, placed)
    if earlier is not placed:
        before = target_of(earlier.statement)
        assert before is not None
        first = Definition(name, Kind.DATA, before.span, MODEL)
        scopes.repeated.append((first, Definition(name, Kind.DATA, target.span, MODEL)))


def _bind(scopes: Scopes, placed: Placed) -> None:
    """Indices of blocks, and of one-statement plates."""
    statement = placed.statement
    if isinstance(statement, Block):
        _add_index(scopes, placed, statement.binder, statement.header, statement.span)
    target = target_of(statement)
    for binder in target_binders(statement):
        assert target is not None
        _add_index(scopes, placed, binder, target.span, statement.span)


def _add_index(scopes: Scopes, placed: Placed, binder: syntax.Binder, within: Span, extent: Span) -> None:
    name = binder.name
    scopes.add(Definition(name.name, Kind.INDEX, name.span, id(placed.statement), within, extent), placed)
