"""Which elements of its plates each step of a fit sees, and the rows that are read for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler import compile_model
from ppl.model.model import Batch, rows_of
from ppl.model.plan import Plan
from ppl.model.subsample import subsampled
from ppl.streams.column import coarsest

POOL_BYTES = 1 << 25
"""Of the rows that are shuffled together. What is larger is read piece by piece, in a random order of the pieces."""
HandedIn = dict[str, np.ndarray]


def step_plan(plan: Plan) -> Plan:
    """The plan of one step: the model with its plates cut to the elements drawn.

    Raises ModelError for models that read a plate as a whole.
    """
    return compile_model(subsampled(plan.model, plan.batches)) if plan.batches else plan


class Batches(Iterator[HandedIn]):
    """What each step is handed, without end: of every plate that is gone through in parts the positions drawn, and the
    rows of its streamed data. Every element comes once before any comes again.

    `plates` are those of the model of one step. `state` is all that the following steps depend on but the generator.
    """

    def __init__(self, plates: Sequence[Batch], rng: np.random.Generator) -> None:
        self._parts = [_Part(plate, rng) for plate in plates if plate.drawn]

    def __next__(self) -> HandedIn:
        found: HandedIn = {}
        for part in self._parts:
            found |= part.next()
        return found

    @property
    def state(self) -> list[dict[str, np.ndarray]]:
        return [{"waiting": part.waiting, "positions": part.positions} for part in self._parts]

    def restore(self, state: Sequence[dict[str, np.ndarray]]) -> None:
        for part, kept in zip(self._parts, state, strict=True):
            part.restore(**kept)

    @property
    def notes(self) -> tuple[str, ...]:
        """How random the order is, where it is not completely."""
        return tuple(note for part in self._parts if (note := part.note))


class _Part:
    """One plate: pieces `waiting` in this round, and rows at `positions` that are in memory and shuffled."""

    def __init__(self, plate: Batch, rng: np.random.Generator) -> None:
        self._plate, self._rng = plate, rng
        self._edges = coarsest(plate.columns) if plate.columns else np.array([0, plate.total])
        self._at_once = self._pieces_at_once()
        self.waiting = np.zeros(0, dtype=np.int64)
        self.positions = np.zeros(0, dtype=np.int64)
        self._rows: HandedIn = {rows_of(c): np.empty((0, *c.shape[1:]), c.dtype) for c in plate.columns}

    @property
    def note(self) -> str:
        pieces = len(self._edges) - 1
        if self._at_once >= pieces:
            return ""
        largest = int(np.diff(self._edges).max())
        return (
            f"rows along {self._plate.axis.name} are read in {pieces:,} pieces of up to {largest:,}, in random order; "
            f"{self._at_once} pieces at a time are shuffled together"
        )

    def _pieces_at_once(self) -> int:
        pieces = len(self._edges) - 1
        if not self._plate.columns:
            return pieces
        row = sum(column.dtype.itemsize * int(np.prod(column.shape[1:])) for column in self._plate.columns)
        largest = int(np.diff(self._edges).max())
        return min(pieces, max(1, POOL_BYTES // max(1, row * largest)))

    def next(self) -> HandedIn:
        size = self._plate.size
        while len(self.positions) < size:
            self._fill()
        found = {self._plate.name: self.positions[:size], **{name: rows[:size] for name, rows in self._rows.items()}}
        self.positions = self.positions[size:]
        self._rows = {name: rows[size:] for name, rows in self._rows.items()}
        return found

    def _fill(self) -> None:
        """More positions, with their rows, in a random order."""
        if not len(self.waiting):
            pieces = len(self._edges) - 1
            self.waiting = np.arange(pieces) if self._at_once >= pieces else self._rng.permutation(pieces)
        chosen, self.waiting = self.waiting[: self._at_once], self.waiting[self._at_once :]
        spans = [(int(self._edges[piece]), int(self._edges[piece + 1])) for piece in chosen]
        positions = np.concatenate([np.arange(*span) for span in spans])
        order = self._rng.permutation(len(positions))
        self.positions = np.concatenate([self.positions, positions[order]])
        for column in self._plate.columns:
            read = np.concatenate([column.read(*span) for span in spans])
            self._rows[rows_of(column)] = np.concatenate([self._rows[rows_of(column)], read[order]])

    def restore(self, waiting: np.ndarray, positions: np.ndarray) -> None:
        """Go on from where another run was."""
        self.waiting, self.positions = waiting, positions
        self._rows = {rows_of(column): column.at(positions) for column in self._plate.columns}


@dataclass(frozen=True)
class Block:
    """Consecutive elements of a plate: the plan for so many of them, what it is handed, and their share of all."""

    plan: Plan
    batch: HandedIn
    share: float


def blocks(plan: Plan, plate: Batch, size: int) -> Iterator[Block]:
    """All of a plate, in order, `size` elements at a time, where a step sees no more than these."""
    plans: dict[int, Plan] = {}
    for start in range(0, plate.total, size):
        count = min(size, plate.total - start)
        if count not in plans:
            plans[count] = compile_model(subsampled(plan.model, [replace(plate, size=count)]))
        (cut,) = plans[count].model.batches
        rows = {rows_of(column): column.read(start, start + count) for column in cut.columns}
        batch = {cut.name: np.arange(start, start + count), **rows}
        yield Block(plans[count], batch, count / plate.total)
