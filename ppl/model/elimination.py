"""How finite discrete sites are summed out, as data: who reads which of their elements, and in which order they go."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ppl.axes import Axis
from ppl.model.chains import Chain


@dataclass(frozen=True, eq=False)
class Reading:
    """Which element of a site each element of a reader reads.

    Along `direct` plates, which the reader shares, its own. Along the site's other plates, `target`, the one that
    `positions` tells: flat positions over `target`, an array over the reader's plates `source`.
    """

    direct: tuple[Axis, ...]
    target: tuple[Axis, ...] = ()
    source: tuple[Axis, ...] = ()
    positions: np.ndarray | None = None

    @property
    def needs(self) -> frozenset[Axis]:
        """The reader's plates on which the element read depends."""
        return frozenset((*self.direct, *self.source))

    def looks_up_as(self, other: Reading) -> bool:
        """Whether both find elements along the same plates by the same positions."""
        return (
            (self.target, self.source) == (other.target, other.source)
            and (self.positions is None) == (other.positions is None)
            and (self.positions is None or np.array_equal(self.positions, other.positions))  # type: ignore[arg-type]
        )

    def same_as(self, other: Reading) -> bool:
        return set(self.direct) == set(other.direct) and self.looks_up_as(other)


@dataclass(frozen=True)
class Part:
    """One log factor of a table. It stands over `plates` and is summed onto the plates of the table's site.

    With a `lookup`, its elements are first added up by the element of the site that they read.
    """

    factor: str
    plates: tuple[Axis, ...]
    lookup: Reading | None = None


@dataclass(frozen=True)
class Step:
    """`site` is summed out of a table over its plates: the sum of `parts`.

    `others` are the sites in the table that go later, with the elements that are read. `result` names the new factor,
    which is left over the plates but the one along which the site is a `chain`.
    """

    site: str
    plates: tuple[Axis, ...]
    parts: tuple[Part, ...]
    others: dict[str, Reading]
    chain: Chain | None = None

    @property
    def left(self) -> tuple[Axis, ...]:
        """The plates of the result."""
        return tuple(axis for axis in self.plates if self.chain is None or axis != self.chain.time)

    @property
    def result(self) -> str:
        return f"sum over {self.site}"


@dataclass(frozen=True)
class Elimination:
    """A group of finite discrete sites that share factors, summed out together, in the order of `steps`.

    `members` are the statements whose log densities it joins, in the model's order; `states` has the axis of the states
    of each site.
    """

    members: tuple[str, ...]
    states: dict[str, Axis]
    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        return ", ".join(self.members)

    @property
    def plates(self) -> tuple[Axis, ...]:
        """The plates over which the sum is left: those of the site that goes last."""
        return self.steps[-1].left

    @property
    def chains(self) -> tuple[Chain, ...]:
        return tuple(step.chain for step in self.steps if step.chain is not None)

    @property
    def lookups(self) -> frozenset[Axis]:
        """The plates that some reading goes through by position."""
        readings = [part.lookup for step in self.steps for part in step.parts if part.lookup is not None]
        readings += [reading for step in self.steps for reading in step.others.values()]
        return frozenset(axis for reading in readings for axis in (*reading.source, *reading.target))

    def table_states(self, step: Step) -> int:
        """States of a table for one element of its plates."""
        before = 1 if step.chain is None else step.chain.before.size
        return before * math.prod(self.states[name].size for name in (step.site, *step.others))

    @property
    def largest(self) -> int:
        """Numbers in the largest array of one draw, factors before they are summed over inner plates included."""
        return max(
            self.table_states(step) * math.prod(axis.size for axis in part.plates)
            for step in self.steps
            for part in (*step.parts, Part(step.result, step.left))
        )
