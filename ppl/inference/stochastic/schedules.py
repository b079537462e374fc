"""How the step size falls along a stochastic fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

HOLD = 10
"""Steps for which a step size is held."""
LAST = 0.001
"""Of the first step size, where a schedule ends."""


@dataclass(frozen=True)
class Schedule:
    """`factor(share)` of the first step size where this share of all steps is done. A `staged` one waits at each size
    until the ELBO no longer rises, and ends by itself.
    """

    name: str
    doc: str
    factor: Callable[[float], float]
    staged: bool = False

    def at(self, step: int, steps: int, warmup: int) -> float:
        """The factor at a step, which first rises over `warmup` steps."""
        step -= step % HOLD
        rise = min(1.0, (step + HOLD) / warmup) if warmup else 1.0
        return rise * self.factor(step / steps)


SCHEDULES = {
    schedule.name: schedule
    for schedule in (
        Schedule("staged", "A quarter of it whenever the ELBO stops rising, down to 1/256.", lambda share: 1.0, True),
        Schedule("constant", "The same for all steps.", lambda share: 1.0),
        Schedule("exponential", "Falling by the same factor each step, to a thousandth.", lambda share: LAST**share),
        Schedule(
            "cosine", "Half a cosine wave, to a thousandth (Loshchilov and Hutter 2017).",
            lambda share: LAST + (1.0 - LAST) * 0.5 * (1.0 + math.cos(math.pi * share)),
        ),
    )
}  # fmt: skip
