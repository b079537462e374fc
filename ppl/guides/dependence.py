"""Which numbers of the flat vector depend on each other given all others: the moralised graph, element by element.

Every term of the log density is asked which elements of which latents it reads, through lookups by data and sums; all
that one term reads is joined. What cannot be told apart (the inside of a recurrence, of a matrix function, behind a
random index) counts as read, so that an edge may be there without need but none is missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ppl.axes import Axis, Layout, union
from ppl.compiler.programs.writer import location_and_scale
from ppl.constraints import SUPPORTS
from ppl.functions import FUNCTIONS, Function
from ppl.guides.layout import Entry, VectorLayout
from ppl.model import expressions as ex
from ppl.model.model import Deterministic, Factor, Param, Site, Statement
from ppl.model.plan import Plan
from ppl.model.resolve import ArrayLanguage, Key, NumpyLanguage, Resolved, Resolver

NOTHING = -1
"""Stands where an element reads fewer numbers than another."""


def joined(plan: Plan) -> np.ndarray:
    """Which elements of the plan's flat vector occur in one term together: symmetric, boolean (dim, dim)."""
    reader = _Reader(plan)
    dim = reader.layout.size
    mask = np.zeros((dim + 1, dim + 1), bool)
    done: set[str] = set()
    for elimination in plan.eliminations:
        straight = tuple(axis for axis in elimination.plates if axis not in elimination.lookups)
        members = [plan.model.by_name[name] for name in elimination.members]
        _mark(mask, reader.terms(members, straight))
        done.update(elimination.members)
    for statement in plan.model.statements:
        if isinstance(statement, Site | Factor) and statement.name not in done:
            _mark(mask, reader.terms([statement]))
    mask = mask[:dim, :dim]
    np.fill_diagonal(mask, True)
    return mask


def _mark(mask: np.ndarray, rows: np.ndarray) -> None:
    """Join the numbers of each row (terms, width)."""
    rows = np.unique(rows, axis=0)
    if len(rows) < rows.shape[1] ** 2:
        for row in rows:
            mask[np.ix_(row, row)] = True
        return
    for one in rows.T:
        for other in rows.T:
            mask[one, other] = True


@dataclass(frozen=True)
class _Read:
    """An array whose elements read these numbers of the flat vector: `ids` (*shape, width). What is computed from data
    alone reads none and has a `value`.
    """

    ids: np.ndarray
    value: np.ndarray | None = None

    @classmethod
    def fixed(cls, value: Any) -> _Read:
        array = np.asarray(value)
        return cls(np.zeros((*array.shape, 0), int), array)


class _Language(ArrayLanguage[_Read]):
    """Array operations on what elements read."""

    def constant(self, value: Any) -> _Read:
        return _Read.fixed(value)

    def data(self, name: str, value: np.ndarray) -> _Read:
        return _Read.fixed(value)

    def apply(self, function: Function, arguments: Sequence[_Read], static: dict[str, Any]) -> _Read:
        """Elementwise: each element reads what the arguments' elements read."""
        return _together([argument.ids for argument in arguments])

    def take(self, array: _Read, key: Key) -> _Read:
        places = tuple(item.value if isinstance(item, _Read) else item for item in key)
        return self._moved(array, lambda part, rest: part[places])

    def transpose(self, array: _Read, permutation: tuple[int, ...]) -> _Read:
        return self._moved(array, lambda part, rest: np.transpose(part, (*permutation, *rest)))

    def reshape(self, array: _Read, shape: tuple[int, ...]) -> _Read:
        return self._moved(array, lambda part, rest: np.reshape(part, (*shape, *(part.shape[i] for i in rest))))

    def stretch(self, array: _Read, dimension: int, size: int) -> _Read:
        return self._moved(array, lambda part, rest: np.repeat(part, size, axis=dimension))

    def counter(self, array: _Read, dimension: int) -> _Read:
        return _Read.fixed(np.arange(array.ids.shape[dimension]))

    def matmul(self, left: _Read, right: _Read) -> _Read:
        rows = left.ids.reshape((*left.ids.shape[:-2], -1))[..., :, None, :]
        columns = np.swapaxes(right.ids, -3, -2)
        columns = columns.reshape((*columns.shape[:-2], -1))[..., None, :, :]
        return _together([rows, columns])

    def _moved(self, array: _Read, move: Callable[[np.ndarray, tuple[int, ...]], np.ndarray]) -> _Read:
        """`move(part, rest)` of the ids, whose last dimension is the rest, and of the value, where there is one."""
        value = None if array.value is None else move(array.value, ())
        return _Read(move(array.ids, (array.ids.ndim - 1,)), value)


def _together(parts: Sequence[np.ndarray]) -> _Read:
    """Ids (*shape, width) whose shapes broadcast, joined."""
    shape = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    return _Read(np.concatenate([np.broadcast_to(part, (*shape, part.shape[-1])) for part in parts], axis=-1))


class _Values(dict[str, Resolved[_Read]]):
    """What the values of statements read, told when it is asked for."""

    def __init__(self, reader: _Reader) -> None:
        super().__init__()
        self._reader = reader

    def __missing__(self, name: str) -> Resolved[_Read]:
        self[name] = self._reader.of_statement(self._reader.plan.model.by_name[name])
        return self[name]


class _Reader(Resolver[_Read]):
    """Resolves expressions to what their elements read."""

    visitors: ClassVar = dict(Resolver.visitors)

    def __init__(self, plan: Plan) -> None:
        super().__init__(_Language(), _Values(self))
        self.plan = plan
        self.layout = VectorLayout.of_sites(plan.continuous)
        self._entries = {entry.name: entry for entry in self.layout.entries}
        self._fixed = Resolver(NumpyLanguage())

    def __call__(self, expression: ex.Expr) -> Resolved[_Read]:
        for node in ex.walk(expression):
            if id(node) not in self._done:
                if node.type.static and not isinstance(node, ex.Recurrence):
                    found = self._fixed(node)
                    result = Resolved(_Read.fixed(found.array), found.axes, found.event_rank)
                else:
                    result = self.visitors[type(node)](self, node)
                self._done[id(node)] = (node, result)
        return self._done[id(expression)][1]

    def terms(self, statements: Sequence[Statement], straight: tuple[Axis, ...] | None = None) -> np.ndarray:
        """What each term of the joined log density of statements reads: (terms, width); along `straight` only the terms
        are told apart, where it is given.
        """
        items = []
        for statement in statements:
            items += [self._folded(self(part)) for part in statement.inputs]
            if isinstance(statement, Site) and statement.observed is None:
                items.append(self._folded(self.values[statement.name]))
        if straight is not None:
            items = [self._folded(item, tuple(a for a in item.axes if a not in straight)) for item in items]
        ids = _together([array.ids for array in self.align(items)]).ids
        return ids.reshape(math.prod(ids.shape[:-1]), ids.shape[-1])

    def of_statement(self, statement: Statement) -> Resolved[_Read]:
        if isinstance(statement, Deterministic):
            return self(statement.value)
        if isinstance(statement, Site) and statement.observed is not None:
            return self(statement.observed)
        assert isinstance(statement, Site | Param)
        own = np.full((*statement.shape, 1), NOTHING)
        if isinstance(statement, Site) and statement.name in self._entries:
            own = _numbers(statement, self._entries[statement.name])
        value = self.in_order(_Read(own), statement.axes, len(statement.dims))
        carried = [self._folded(self(part)) for part in self._carriers(statement)]
        if not carried:
            return value
        arrays = self.align([value, *carried], value.event_rank)
        axes = union(item.axes for item in (value, *carried))
        return Resolved(_together([array.ids for array in arrays]), axes, value.event_rank)

    def _carriers(self, statement: Site | Param) -> list[ex.Expr]:
        """What a latent's value is computed from besides its own coordinate."""
        if statement.name not in self._entries or not isinstance(statement, Site):
            return []
        parts = [part for part in statement.support.arguments if not part.type.static]
        if self.plan.sites[statement.name].standardised:
            parts += location_and_scale(statement)
        return parts

    def _folded(self, item: Resolved[_Read], axes: tuple[Axis, ...] = ()) -> Resolved[_Read]:
        """A scalar over the other axes, which reads what the whole event, and all elements along `axes`, read."""
        kept = tuple(axis for axis in item.axes if axis not in axes)
        order = [item.axes.index(axis) for axis in (*kept, *axes)]
        ids = np.transpose(item.array.ids, (*order, *range(len(order), item.array.ids.ndim)))
        return Resolved(_Read(ids.reshape((*ids.shape[: len(kept)], -1))), kept, 0)

    def _mixed(self, node: ex.Expr, mixed: tuple[Axis, ...] = ()) -> Resolved[_Read]:
        """Every element of the event reads what all children read; so does every element along the axes `mixed`."""
        items = [self._done[id(child)][1] for child in node.children]
        folded = [self._folded(item, tuple(axis for axis in mixed if axis in item.axes)) for item in items]
        axes = union([node.type.axes, *(item.axes for item in folded)])
        parts = [self.expand(item, Layout(axes, 0)).ids for item in folded]
        shape = tuple(axis.size for axis in axes)
        ids = _together([*parts, np.zeros((*shape, 0), int)]).ids
        event = node.type.event
        ids = ids.reshape((*shape, *(1 for _ in event), ids.shape[-1]))
        return Resolved(_Read(np.broadcast_to(ids, (*shape, *event, ids.shape[-1]))), axes, len(event))

    def _call(self, node: ex.Call) -> Resolved[_Read]:
        function = FUNCTIONS[node.function]
        if function.elementwise or function.signature == "(n),(n)->()":
            return super()._call(node)
        return self._mixed(node)

    def _gather(self, node: ex.Gather) -> Resolved[_Read]:
        if any(item is not None and not item.type.static for item in node.items):
            return self._mixed(node)
        return super()._gather(node)

    def _everything(self, node: ex.Expr) -> Resolved[_Read]:
        children = [self._done[id(child)][1] for child in node.children]
        return self._mixed(node, union(child.axes for child in children))

    def _unread(self, node: ex.Expr) -> Resolved[_Read]:
        axes, event = union([node.type.axes]), node.type.event
        shape = (*(axis.size for axis in axes), *event)
        return Resolved(_Read(np.zeros((*shape, 0), int)), axes, len(event))


_Reader.visitors |= {
    ex.Call: _Reader._call,
    ex.Gather: _Reader._gather,
    ex.LogDensity: _Reader._mixed,
    ex.Recurrence: _Reader._everything,
    ex.State: _Reader._everything,
    ex.Solution: _Reader._everything,
    ex.Before: _Reader._unread,
    ex.BatchIndex: _Reader._unread,
    ex.Streamed: _Reader._unread,
    ex.BatchRows: _Reader._unread,
}


def _numbers(site: Site, entry: Entry) -> np.ndarray:
    """The places in the flat vector that each element of a latent's value is computed from: (*shape, width)."""
    places = np.full(int(np.prod(entry.shape, dtype=int)), NOTHING)
    existing = slice(None) if entry.places is None else entry.places
    places[existing] = np.arange(entry.start, entry.stop)
    places = places.reshape(entry.shape)
    rank = SUPPORTS[site.support.name].event_rank
    if not rank:
        return places[..., None]
    batch = len(site.shape) - rank
    flat = places.reshape((*site.shape[:batch], *(1 for _ in range(rank)), -1))
    return np.broadcast_to(flat, (*site.shape, flat.shape[-1]))
