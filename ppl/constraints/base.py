"""What a support is: a set of values and, where one exists, a bijection from the whole real space.

A support may have arguments (the ends of an interval). Batch axes are on the left and broadcast; the last
`event_rank` axes are the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ppl.registry import Registry

Array = Any


@dataclass(frozen=True)
class Bijection:
    """A smooth map from unconstrained reals onto a support.

    `forward(xp, u, *arguments)` gives the value, `inverse(xp, x, *arguments)` undoes it and
    `log_det(xp, u, *arguments)` is `log |det d forward / du|` summed over the event, so its shape is the batch shape.
    `unconstrained` maps the event shape of a value to the event shape of `u`. `formula` is how a
    person would write the map.
    """

    forward: Callable[..., Array]
    inverse: Callable[..., Array]
    log_det: Callable[..., Array]
    formula: str
    unconstrained: Callable[[tuple[int, ...]], tuple[int, ...]] = lambda event: event


@dataclass(frozen=True)
class Support:
    """A set of values.

    `contains(value, *arguments)` takes NumPy arrays and answers elementwise over the batch axes, with the
    event axes reduced. `within` names the supports that hold every member of this one, for arguments in
    general position. `bijection` is None for discrete supports. `describe` says the set in words, with
    `{0}`, `{1}` for the arguments. `example` is (arguments, event shape) for the contract tests.
    """

    name: str
    contains: Callable[..., Array]
    describe: str
    arguments: tuple[str, ...] = ()
    event_rank: int = 0
    discrete: bool = False
    bijection: Bijection | None = None
    within: tuple[str, ...] = ()
    example: tuple[tuple[float, ...], tuple[int, ...]] = ((), ())

    def unconstrained_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the unconstrained values of an array of this shape, batch dimensions first."""
        assert self.bijection is not None
        batch = len(shape) - self.event_rank
        return shape[:batch] + self.bijection.unconstrained(shape[batch:])


SUPPORTS: Registry[Support] = Registry("support", "ppl.constraints")


def is_within(name: str, other: str) -> bool:
    """Whether every member of support `name` is a member of support `other`, whatever the arguments."""
    return name == other or any(is_within(wider, other) for wider in SUPPORTS[name].within)
