"""Named axes and where they stand in an array.

A value in the system has named batch axes (plates, the Monte Carlo draw, an enumerated variable's states) and
unnamed event dimensions on the right. An array stores the axes it has, and only those, in the one canonical order
of `Axis.order`; aligning two arrays means inserting axes of length 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A named batch axis whose index runs over `start:start + size`.

    `order` places it among the others. `extent` says what it runs over (the size's name in a text model): dimensions
    of different extents never unify, even where their lengths agree.
    """

    name: str
    size: int
    start: int = 0
    order: int = 0
    extent: str | None = None

    @property
    def stop(self) -> int:
        return self.start + self.size

    def __str__(self) -> str:
        return f"{self.name}: {self.start}:{self.stop}" if self.start else f"{self.name}: {self.size}"


DRAW = Axis("draw", -1, order=-1_000_000)
"""The Monte Carlo draw: always the first axis; its length is known only when a program runs."""


def state_axis(site: str, states: int, position: int) -> Axis:
    """The axis of the states of an enumerated site, the model's `position`-th: behind the draw and before all
    plates.
    """
    return Axis(f"states of {site}", states, order=position - 100_000)


@dataclass(frozen=True)
class Layout:
    """How a value lies in an array: one dimension for each named axis, then `event_rank` unnamed ones."""

    axes: tuple[Axis, ...]
    event_rank: int

    @property
    def rank(self) -> int:
        return len(self.axes) + self.event_rank

    def position(self, axis: Axis) -> int:
        return self.axes.index(axis)


def union(axes: Iterable[Iterable[Axis]]) -> tuple[Axis, ...]:
    """All the axes that occur, in canonical order."""
    return tuple(sorted({axis for group in axes for axis in group}, key=lambda axis: axis.order))


def expansion(have: Layout, want: Layout) -> tuple[slice | None, ...] | None:
    """The index that inserts into an array the dimensions of length 1 it needs to broadcast to `want`.

    None where nothing is to be inserted: leading dimensions come by themselves. `have.axes` must be
    among `want.axes`; an event may only be missing as a whole.
    """
    if have.event_rank not in (0, want.event_rank):
        raise ValueError("an event is either present or missing as a whole")
    key: list[slice | None] = [slice(None) if axis in have.axes else None for axis in want.axes]
    key += [slice(None) if have.event_rank else None] * want.event_rank
    while key and key[0] is None:
        key.pop(0)
    return tuple(key) if None in key else None
