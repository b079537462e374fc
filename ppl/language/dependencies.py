"""What each statement of a program defines and reads.

A `Unit` is what becomes one step: a plain statement, or a scan with all that is in it. An edge leads from a unit
to one that it reads. Reading data needs only their declaration; their observing statement counts where values may be
missing, and where the two stand in the same block, since there one iteration would then depend on another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from ppl.language import syntax
from ppl.language.scopes import Definition, Kind, Scopes, home, rooms_around
from ppl.language.walk import (
    MODEL,
    PREDICT,
    Block,
    Placed,
    expressions,
    reads,
    statements,
    target_binders,
    target_of,
)
from ppl.source import Span


@dataclass(frozen=True)
class Unit:
    """`outside` counts the blocks of `placed` that lie around the whole list the unit belongs to."""

    placed: Placed
    members: tuple[Placed, ...]
    defines: tuple[str, ...]
    locals: Mapping[str, str]
    outside: int = 0

    @property
    def statement(self) -> syntax.Statement:
        return self.placed.statement


@dataclass(frozen=True)
class Edge:
    """One read of `name`. `plate` is the binder of a plate whose other iterations it reaches, if any."""

    name: str
    span: Span
    plate: Span | None


Edges = dict[int, dict[int, list[Edge]]]


def outer_units(program: syntax.Program, scopes: Scopes) -> list[Unit]:
    """The units of a whole program; what is in a scan belongs to the scan, a `def` or `model` stays whole."""
    everything = [placed for placed in statements(program) if placed.root in (MODEL, PREDICT)]
    return _units(everything, scopes, outside=0)


def inner_units(unit: Unit, scopes: Scopes) -> list[Unit]:
    """The units of one iteration of a scan."""
    return _units(unit.members[1:], scopes, outside=len(unit.placed.blocks) + 1)


def _units(everything: Sequence[Placed], scopes: Scopes, outside: int) -> list[Unit]:
    units = []
    for placed in everything:
        in_scan = any(isinstance(block, syntax.Scan) for block in placed.blocks[outside:])
        if in_scan or isinstance(placed.statement, syntax.Plate | syntax.Predict):
            continue
        members = (placed, *_inside(placed.statement, everything))
        defines = tuple(key for member in members for key in _defined(member, scopes))
        units.append(Unit(placed, members, defines, _locals(placed, scopes), outside))
    return units


def _inside(statement: syntax.Statement, everything: Sequence[Placed]) -> Iterator[Placed]:
    """What stands in a scan."""
    if isinstance(statement, syntax.Scan):
        for placed in everything:
            if any(block is statement for block in placed.blocks):
                yield placed


def _defined(placed: Placed, scopes: Scopes) -> Iterator[str]:
    match placed.statement:
        case syntax.Data(names=names):
            yield from (name.name for name in names)
        case syntax.Param(name=name) | syntax.Net(name=name):
            yield name.name
    target = target_of(placed.statement)
    if target is not None and not observes(placed, scopes):
        definition = scopes.rooms[home(placed, target)][target.name.name]
        yield key_of(definition)


def observes(placed: Placed, scopes: Scopes) -> bool:
    """Whether a statement observes data."""
    target = target_of(placed.statement)
    return target is not None and placed.root == MODEL and scopes.is_data(target.name.name)


def key_of(definition: Definition) -> str:
    """A name of its own for what is local to a block: `name@line`."""
    return f"{definition.name}@{definition.line}" if isinstance(definition.room, int) else definition.name


def _locals(placed: Placed, scopes: Scopes) -> dict[str, str]:
    names: dict[str, str] = {}
    for room in reversed([room for room in rooms_around(placed) if isinstance(room, int)]):
        for definition in scopes.rooms.get(room, {}).values():
            if definition.kind is Kind.VALUE:
                names[definition.name] = key_of(definition)
    return names


def name_of(unit: Unit) -> str:
    """How messages call a unit."""
    targets = (target_of(member.statement) for member in unit.members)
    named = next((target.name.name for target in targets if target is not None), None)
    return named or (unit.defines[0] if unit.defines else "")


# Edges ----------------------------------------------------------------------------------------------


def edges_between(units: Sequence[Unit], scopes: Scopes, scan: syntax.Scan | None = None) -> Edges:
    """For each unit the units that it reads. Inside a `scan`, reading earlier iterations makes no edge."""
    definers = {key: place for place, unit in enumerate(units) for key in unit.defines}
    observers = _observers(units, scopes)
    edges: Edges = {}
    for place, unit in enumerate(units):
        for reader, name, around in _reads(unit):
            definition = scopes.find(name.name, reader)
            if definition is None or definition.kind is Kind.INDEX:
                continue
            for read in _read_units(definition, unit, units, definers, observers, scopes.missing):
                if read == place and isinstance(unit.statement, syntax.Scan):
                    continue
                edge = _edge(name, around, reader, units[read], scan)
                if edge is not None:
                    edges.setdefault(place, {}).setdefault(read, []).append(edge)
    return edges


def _observers(units: Sequence[Unit], scopes: Scopes) -> dict[str, int]:
    found = {}
    for place, unit in enumerate(units):
        for member in unit.members:
            target = target_of(member.statement)
            if target is not None and observes(member, scopes):
                found[target.name.name] = place
    return found


def _reads(unit: Unit) -> Iterator[tuple[Placed, syntax.Name, syntax.Expression]]:
    """All names that a unit reads, those in the heads of the blocks around it included."""
    for position, block in enumerate(unit.placed.blocks):
        head = Placed(block, unit.placed.blocks[:position], unit.placed.root)
        yield from _direct_reads(head)
    for member in unit.members:
        if not isinstance(member.statement, syntax.Def | syntax.Submodel):
            yield from _direct_reads(member)


def _direct_reads(placed: Placed) -> Iterator[tuple[Placed, syntax.Name, syntax.Expression]]:
    """Guide notes are left out: what an encoder reads is no part of the model."""
    for expression in expressions(placed.statement):
        if not isinstance(expression, syntax.Note):
            for name, around in reads(expression):
                yield placed, name, around


def _read_units(
    definition: Definition,
    unit: Unit,
    units: Sequence[Unit],
    definers: Mapping[str, int],
    observers: Mapping[str, int],
    missing: Set[str],
) -> Iterator[int]:
    definer = definers.get(key_of(definition))
    if definer is not None:
        yield definer
    if definition.kind is Kind.DATA:
        observer = observers.get(definition.name)
        if observer is None:
            return
        if definition.name in missing or units[observer] is unit or _shared(units[observer].placed, unit.placed):
            yield observer


def _shared(one: Placed, other: Placed) -> list[Block]:
    """The blocks around both."""
    return [block for block, partner in zip(one.blocks, other.blocks, strict=False) if block is partner]


def _edge(
    name: syntax.Name, around: syntax.Expression, reader: Placed, read: Unit, scan: syntax.Scan | None
) -> Edge | None:
    """The edge of one read, or None where it only looks back in a `scan`."""
    definer = next((m for m in read.members if (t := target_of(m.statement)) and t.name.name == name.name), read.placed)
    plates: dict[str, Span] = {}
    for block in _shared(definer, reader):
        if _reaches_over(block.binder, around, definer):
            if block is scan:
                return None
            if isinstance(block, syntax.Plate):
                plates[block.binder.name.name] = block.binder.span
    if definer.statement is reader.statement:
        for binder in target_binders(definer.statement):
            if _reaches_over(binder, around, definer):
                plates[binder.name.name] = binder.span
    return Edge(name.name, around.span, next(iter(plates.values()), None))


def _reaches_over(binder: syntax.Binder, around: syntax.Expression, definer: Placed) -> bool:
    """Whether a read `x[…]` takes another iteration of the index `binder` than the present one."""
    target = target_of(definer.statement)
    if target is None or not isinstance(around, syntax.Index):
        return False
    for index, item in zip(target.indices, around.items, strict=False):
        own = index.name if isinstance(index, syntax.Binder) else index
        if isinstance(own, syntax.Name) and own.name == binder.name.name:
            return not (isinstance(item, syntax.Name) and item.name == binder.name.name)
    return False
