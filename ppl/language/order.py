"""From a tree to a list: one step a statement, each after what it reads.

| code | what |
| --- | --- |
| E201 | a name that depends on other iterations of itself inside a plate |
| E202 | names that depend on each other in a circle |

A program that passed `names.check_names` is expected here.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from ppl.errors import Diagnostic, ModelError
from ppl.language import syntax
from ppl.language.dependencies import Edges, Unit, edges_between, inner_units, name_of, outer_units
from ppl.language.scopes import Scopes, collect
from ppl.language.walk import PREDICT
from ppl.model.notes import NOTES


@dataclass(frozen=True)
class Step:
    """One statement with its surroundings.

    `binders` are those of the plates around it, outermost first; the binders of its own left side
    (`x[k in K] ~ …`) stay there. `notes` are the notes of these plates, then its own. `scope` is
    `"model"` or `"predict"`. `defines` names what it defines, none for an observation: a name that is local to
    a block gets the key `name@line`, any other name is its own key. `locals` maps each local
    name that can be seen at the statement to its key. A scan is a single step, `body` has the steps of one iteration.
    `batches` has the binders of plates that are noted `@minibatch`, with the note.
    """

    statement: syntax.Statement
    binders: tuple[syntax.Binder, ...]
    notes: tuple[syntax.Note, ...]
    scope: str
    defines: tuple[str, ...]
    locals: Mapping[str, str]
    body: tuple[Step, ...] = ()
    batches: tuple[tuple[syntax.Binder, syntax.Note], ...] = ()

    @property
    def key(self) -> str:
        """What an ordinary step defines, or `""`."""
        return self.defines[0] if self.defines else ""


def ordered(program: syntax.Program) -> tuple[Step, ...]:
    """Data first, then other declarations, then statements as they need each other and else as written.

    The steps of `predict` come last. Raises `ModelError` for E201 and E202.
    """
    steps, errors = _arranged(program)
    if errors:
        raise ModelError(errors)
    return steps


def check_order(program: syntax.Program) -> list[Diagnostic]:
    """All errors of the phase."""
    return _arranged(program)[1]


def _arranged(program: syntax.Program) -> tuple[tuple[Step, ...], list[Diagnostic]]:
    scopes = collect(program)
    units = outer_units(program, scopes)
    return _sorted_steps(units, edges_between(units, scopes), scopes)


def _sorted_steps(units: Sequence[Unit], edges: Edges, scopes: Scopes) -> tuple[tuple[Step, ...], list[Diagnostic]]:
    order, errors = _sorted(units, edges)
    steps = []
    for place in order:
        unit = units[place]
        body: tuple[Step, ...] = ()
        if isinstance(unit.statement, syntax.Scan):
            inner = inner_units(unit, scopes)
            body, below = _sorted_steps(inner, edges_between(inner, scopes, unit.statement), scopes)
            errors.extend(below)
        steps.append(_step(unit, body))
    return tuple(steps), errors


def _step(unit: Unit, body: tuple[Step, ...]) -> Step:
    plates = unit.placed.blocks[unit.outside :]
    own = unit.statement.notes if isinstance(unit.statement, syntax.Sample | syntax.Scan) else ()
    return Step(
        statement=unit.statement,
        binders=tuple(plate.binder for plate in plates),
        notes=tuple(note for plate in plates for note in plate.notes if not NOTES[note.name].of_plates) + own,
        batches=tuple((plate.binder, note) for plate in plates for note in plate.notes if NOTES[note.name].of_plates),
        scope=unit.placed.root,
        defines=unit.defines,
        locals=unit.locals,
        body=body,
    )


def _sorted(units: Sequence[Unit], edges: Edges) -> tuple[list[int], list[Diagnostic]]:
    """A topological order, the smallest in rank and source order; names on a cycle are reported and freed."""
    needs = {place: set(edges.get(place, ())) for place in range(len(units))}
    errors: list[Diagnostic] = []
    while True:
        sorter = TopologicalSorter(needs)
        try:
            sorter.prepare()
        except CycleError as error:
            cycle = error.args[1][:0:-1]  # each unit reads the one behind it
            errors.append(_cycle(cycle, units, edges))
            for place in cycle:
                needs[place] -= set(cycle)
            continue
        return _in_source_order(sorter, units), errors


def _in_source_order(sorter: TopologicalSorter[int], units: Sequence[Unit]) -> list[int]:
    order: list[int] = []
    heap = [(_rank(units[place]), place) for place in sorter.get_ready()]
    heapq.heapify(heap)
    while heap:
        _, place = heapq.heappop(heap)
        order.append(place)
        sorter.done(place)
        for ready in sorter.get_ready():
            heapq.heappush(heap, (_rank(units[ready]), ready))
    return order


def _rank(unit: Unit) -> int:
    if isinstance(unit.statement, syntax.Data):
        return 0
    if isinstance(unit.statement, syntax.Use | syntax.Def | syntax.Submodel | syntax.Net | syntax.Param):
        return 1
    return 3 if unit.placed.root == PREDICT else 2


def _cycle(cycle: Sequence[int], units: Sequence[Unit], edges: Edges) -> Diagnostic:
    """E201 where a read of another iteration closes the cycle, otherwise E202."""
    first = cycle.index(min(cycle))
    cycle = [*cycle[first:], *cycle[:first]]
    pairs = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    for reader, read in pairs:
        for edge in edges[reader][read]:
            if edge.plate is not None:
                found = f"`{edge.name}` refers to itself in a plate, whose iterations are independent"
                fix = f"write `scan {edge.plate.text} {{` at line {edge.plate.line}"
                return Diagnostic("E201", edge.span, found, fix=fix)
    edge = edges[cycle[0]][pairs[0][1]][0]
    shown = [f"{name_of(units[place])} (line {units[place].statement.span.line})" for place in cycle]
    return Diagnostic("E202", edge.span, f"cycle: {' -> '.join([*shown, name_of(units[cycle[0]])])}")
