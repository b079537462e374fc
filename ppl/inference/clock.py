"""The time that a fit may take: one clock for everything in it that goes on in steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np

SECONDS, OVERTIME = 60.0, 2.0
"""That "auto" may work where nothing else is said; and times that after which the clock ends it all the same."""
now = time.perf_counter


class TimeSpent(Exception):
    """The time was spent in the middle of a step, which is worth nothing unfinished; whoever began it goes without."""


@dataclass(frozen=True)
class Clock:
    """Over once `now` shows `until`. What is asked for as a stage and is over by then is noted in `cut`, each once.

    A clock that is over ends loops with the best they have; it makes results depend on the machine. The default is
    never over, and is not looked at.
    """

    until: float = math.inf
    cut: list[str] = field(default_factory=list)

    def over(self, stage: str = "") -> bool:
        """Whether the time is spent; then the stage, where one is named, was cut short."""
        if self.until == math.inf or now() <= self.until:
            return False
        if stage and stage not in self.cut:
            self.cut.append(stage)
        return True

    def lacks(self, stage: str) -> None:
        """Note a stage that would take longer than the time left."""
        self.cut.append(stage)

    def check(self) -> None:
        """Raises TimeSpent where it is."""
        if self.over():
            raise TimeSpent

    def share(self, part: float) -> Clock:
        """One that is over after this part of the time left, and notes in the same place what is cut short."""
        if self.until == math.inf:
            return self
        return replace(self, until=self.until - (1.0 - part) * max(0.0, self.until - now()))

    def stopper(self, stage: str) -> Stopper:
        """What ends a search of `scipy.optimize.minimize`, as its callback."""
        return Stopper(self, stage)


@dataclass(frozen=True)
class Stopper:
    """A callback that ends a search at its latest step, as a stage cut short."""

    clock: Clock
    stage: str

    def __call__(self, xk: np.ndarray) -> None:
        if self.clock.over(self.stage):
            raise StopIteration


ENDLESS = Clock()
