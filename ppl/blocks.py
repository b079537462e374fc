"""Sums over the rows of a large plate, computed a block of rows at a time, on all cores.

The terms of a block stay in the cache, and no array with an element for each draw and each row is ever made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np

Array = Any
T = TypeVar("T")
ROWS = 8192
"""Rows in a block."""
NUMBERS = 1 << 17
"""Elements, draws times rows, that are computed at once."""


class Terms(Protocol):
    """A generated program; `load` gives `prepare(data)` and `run(rows, given, prepared)`."""

    @property
    def listing(self) -> str: ...

    def load(self, xp: Any) -> tuple[Callable[..., Any], Callable[..., Any]]: ...


@dataclass(frozen=True, eq=False)
class Blocks:
    """The sum of a term over `size` rows.

    `row_at` is the dimension of the rows in each array of data, None in those that are the same for all rows. What is
    given is random: (draws, …), or without draws where `drawn` is False. `one`, `last` and `every` are the programs
    for a block of `ROWS` rows, for what is left over, and for all rows at once; each gives `{"total": (draws,)}`.
    """

    size: int
    row_at: tuple[int | None, ...]
    drawn: tuple[bool, ...]
    one: Terms
    last: Terms
    every: Terms
    _loaded: dict[tuple[Any, ...], Any] = field(default_factory=dict, repr=False)

    def program(self, terms: Terms, xp: Any) -> Callable[..., Array]:
        """`run(rows, given)`: (draws,)."""

        def build() -> Callable[..., Array]:
            prepare, run = terms.load(xp)
            prepared = prepare({})
            return lambda rows, given: run(rows, given, prepared)["total"]

        return self.remembered((id(terms), id(xp), "values"), build)

    def remembered(self, key: tuple[Any, ...], build: Callable[[], T]) -> T:
        """What was built under a key before, else built now."""
        if key not in self._loaded:
            self._loaded[key] = build()
        return self._loaded[key]

    def parts(self, rows: Sequence[Array]) -> Iterator[tuple[Terms, list[Array]]]:
        """The blocks: their program and their part of the data."""
        for start in range(0, self.size, ROWS):
            stop = min(start + ROWS, self.size)
            yield self.one if stop - start == ROWS else self.last, self._part(rows, start, stop)

    def _part(self, rows: Sequence[Array], start: int, stop: int) -> list[Array]:
        key = slice(start, stop)
        return [
            array if at is None else array[(slice(None),) * at + (key,)]
            for array, at in zip(rows, self.row_at, strict=True)
        ]

    def leading(self, given: Sequence[Array]) -> list[Array]:
        """What is given, all with a first axis of draws, of length 1 where it has none."""
        return [item if drawn else item[None] for item, drawn in zip(given, self.drawn, strict=True)]

    def draws(self, given: Sequence[Array]) -> int:
        return max((np.shape(item)[0] for item in self.leading(given)), default=1)

    def chunks(self, given: Sequence[Array]) -> list[list[Array]]:
        """Arrays with a first axis of draws, a few draws at a time."""
        draws, most = max((len(item) for item in given), default=1), NUMBERS // ROWS
        return [
            [item[start : start + most] if len(item) == draws else item for item in given]
            for start in range(0, draws, most)
        ]

    def run(self, xp: Any, rows: Sequence[Array], given: Sequence[Array]) -> Array:
        """The sum for each draw, on plain arrays: (draws,)."""
        chunks = self.chunks(self.leading(given))

        def totals(part: tuple[Terms, list[Array]]) -> Array:
            run = self.program(part[0], xp)
            with np.errstate(all="ignore"):
                return np.concatenate([np.reshape(run(part[1], chunk), -1) for chunk in chunks])

        return sum(mapped(totals, self.parts(rows)))

    def at_once(self, xp: Any, rows: Sequence[Array], given: Sequence[Array]) -> Array:
        """The same from all rows at once, for name spaces that cut up loops themselves."""
        return self.program(self.every, xp)(rows, self.leading(given))


def mapped(function: Callable[[Any], T], items: Iterator[Any]) -> Iterator[T]:
    """`map` on all cores; the answers come in order, so that sums of them do not depend on the cores."""
    threads = _threads(os.getpid())
    return map(function, items) if threads is None else threads.map(function, items)


@cache
def _threads(process: int) -> ThreadPoolExecutor | None:
    """One pool for each process: a fork has none of its parent's threads."""
    usable = getattr(os, "sched_getaffinity", None)
    cores = (len(usable(0)) if usable else os.cpu_count()) or 1
    return ThreadPoolExecutor(cores, "ppl") if cores > 1 else None
