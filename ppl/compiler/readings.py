"""Which element of a site each element of a statement reads.

The question is answered by running the indexing that the statement's expressions do on the site's own positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.functions import FUNCTIONS
from ppl.model import expressions as ex
from ppl.model.elimination import Reading
from ppl.model.model import Deterministic, Model, Site, Statement
from ppl.model.resolve import NumpyLanguage, Resolved, Resolver


class NotElementwise(Exception):
    """An element of the statement reads several elements of the site. The message says how, in words."""


def reading(model: Model, statement: Statement, site: Site) -> Reading | None:
    """How `statement` reads `site`; None where it does not.

    Raises NotElementwise where one of its elements reads more than one of the site's.
    """
    if statement is site:
        if site.name in model.circular:
            raise NotElementwise("an element depends on earlier ones")
        return Reading(site.axes)
    tracer = _Tracer(model, site)
    places = tracer.joined(statement.inputs)
    return None if places is None else _as_reading(site, places)


@dataclass(frozen=True, eq=False)
class _Places:
    """For each plate of the site, the positions read: arrays over named axes.

    `rank` is the number of event dimensions over which they vary: all of the value's or none.
    """

    arrays: tuple[Resolved[Any], ...]
    rank: int

    def same_as(self, other: _Places) -> bool:
        pairs = zip(self.arrays, other.arrays, strict=True)
        return self.rank == other.rank and all(a.axes == b.axes and np.array_equal(a.array, b.array) for a, b in pairs)


class _Tracer:
    """Follows the positions of one site through expressions."""

    def __init__(self, model: Model, site: Site) -> None:
        self._model = model
        self._site = site
        self._done: dict[int, _Places | None] = {}

    def joined(self, nodes: Iterable[ex.Expr]) -> _Places | None:
        """What the nodes read together."""
        found: _Places | None = None
        for node in nodes:
            places = self(node)
            if places is None or found is None:
                found = found or places
            elif not found.same_as(places):
                raise NotElementwise("two of its elements are read at once")
        return found

    def __call__(self, root: ex.Expr) -> _Places | None:
        for node in ex.walk(root):
            if id(node) not in self._done:
                self._done[id(node)] = _VISITORS.get(type(node), _Tracer._whole)(self, node)
        return self._done[id(root)]

    def _value(self, node: ex.Value) -> _Places | None:
        if node.name == self._site.name:
            return self._own()
        parent = self._model.by_name[node.name]
        return self(parent.value) if isinstance(parent, Deterministic) else None

    def _before(self, node: ex.Before) -> _Places | None:
        """An earlier element, which the table of a chain has beside the present one."""
        return self._own() if node.name == self._site.name else None

    def _own(self) -> _Places:
        return _Places(tuple(Resolved(np.arange(axis.size), (axis,), 0) for axis in self._site.axes), 0)

    def _whole(self, node: ex.Expr) -> _Places | None:
        """A node that may mix the elements of its arguments' events."""
        places = self.joined(node.children)
        if places is not None and places.rank:
            raise NotElementwise("many of its elements are read at once")
        return places

    def _call(self, node: ex.Call) -> _Places | None:
        return self.joined(node.children) if FUNCTIONS[node.function].elementwise else self._whole(node)

    def _moved(self, node: Any) -> _Places | None:
        """A node that only moves elements about: done to the positions."""
        places = self.joined([node.base])
        lifted = node.axes if isinstance(node, ex.Lift) else ()
        if places is None or not (places.rank or any(axis in a.axes for axis in lifted for a in places.arrays)):
            return places
        return self._ran(node, _over_event(places, node.base.type.event))

    def _gather(self, node: ex.Gather) -> _Places | None:
        base, items = self.joined([node.base]), self.joined([item for item in node.items if item is not None])
        if items is not None and (items.rank or base is not None):
            raise NotElementwise("many of its elements are read at once")
        if base is None or not base.rank:
            return items or base
        if not all(item is None or item.type.static for item in node.items):
            raise NotElementwise("which of its elements is read is random")
        return self._ran(node, base)

    def _recurrence(self, node: ex.Recurrence) -> _Places | None:
        """Every step reads what the earlier steps read."""
        places = self.joined(node.children)
        if places is not None and (places.rank or any(node.time in positions.axes for positions in places.arrays)):
            raise NotElementwise("all earlier elements are read at once")
        return places

    def _ran(self, node: Any, places: _Places) -> _Places:
        stand_in = replace(node, base=ex.Value(node.base.type, None, self._site.name))
        arrays = tuple(Resolver(NumpyLanguage(), {self._site.name: positions})(stand_in) for positions in places.arrays)
        pairs = zip(arrays, self._site.axes, strict=True)
        minimal = tuple(_without_constant_axes(positions, plate) for positions, plate in pairs)
        return _Places(minimal, arrays[0].event_rank)


_VISITORS: dict[type[ex.Expr], Callable[[_Tracer, Any], _Places | None]] = {
    ex.Value: _Tracer._value,
    ex.Call: _Tracer._call,
    ex.Lift: _Tracer._moved,
    ex.Named: _Tracer._moved,
    ex.SliceOf: _Tracer._moved,
    ex.Gather: _Tracer._gather,
    ex.Recurrence: _Tracer._recurrence,
    ex.Before: _Tracer._before,
}


def _without_constant_axes(positions: Resolved[Any], plate: Axis) -> Resolved[Any]:
    """Without the axes, but `plate` itself, along which the positions are all the same."""
    array, axes = positions.array, list(positions.axes)
    for axis in positions.axes:
        if axis == plate or not axis.size:
            continue
        first = np.take(array, [0], axis=axes.index(axis))
        if np.array_equal(np.broadcast_to(first, array.shape), array):
            array = first.squeeze(axes.index(axis))
            axes.remove(axis)
    return Resolved(array, tuple(axes), positions.event_rank)


def _over_event(places: _Places, event: tuple[int, ...]) -> _Places:
    """The same positions for every element of an event."""
    if places.rank:
        return places
    rank, arrays = len(event), []
    for positions in places.arrays:
        shape = positions.array.shape
        spread = np.broadcast_to(positions.array.reshape(shape + (1,) * rank), shape + event)
        arrays.append(Resolved(spread, positions.axes, rank))
    return _Places(tuple(arrays), rank)


def _as_reading(site: Site, places: _Places) -> Reading:
    if places.rank:
        raise NotElementwise("many of its elements are read at once")
    found = dict(zip(site.axes, places.arrays, strict=True))
    moved = [axis for axis, positions in found.items() if not _is_own(positions, axis)]
    source = union(found[axis].axes for axis in moved)
    target = tuple(axis for axis in site.axes if axis in moved or axis in source)
    source = union([source, [axis for axis in target if axis not in moved]])
    direct = tuple(axis for axis in site.axes if axis not in target)
    if not target:
        return Reading(direct)
    return Reading(direct, target, source, _flat_positions([found[axis] for axis in target], target, source))


def _is_own(positions: Resolved[Any], axis: Axis) -> bool:
    """Whether each element along the axis reads its own."""
    return positions.axes == (axis,) and np.array_equal(positions.array, np.arange(axis.size))


def _flat_positions(arrays: list[Resolved[Any]], target: tuple[Axis, ...], source: tuple[Axis, ...]) -> np.ndarray:
    """Positions over the flattened `target`, for every element of `source`."""
    zero = Resolved(np.zeros([axis.size for axis in source], int), source, 0)
    aligned = Resolver(NumpyLanguage()).align([*arrays, zero])
    flat = np.zeros((), int)
    for axis, positions in zip(target, aligned[:-1], strict=True):
        flat = flat * axis.size + positions
    return np.broadcast_to(flat, aligned[-1].shape)
