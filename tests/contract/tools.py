"""What the contract tests share: a differentiable name space, finite differences and members of supports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import autograd
import autograd.numpy
import numpy as np

from ppl.backends import get_backend
from ppl.constraints import SUPPORTS
from ppl.numeric import NUMPY

AUTOGRAD = get_backend("autograd").xp


def finite_difference(function: Callable[[Any], float], at: Any, step: float = 2e-4) -> Any:
    """Gradient of a scalar function of an array by the fourth-order central stencil."""
    at = np.asarray(at, dtype=float)
    gradient = np.empty(at.shape)
    for place in np.ndindex(at.shape):
        values = []
        for multiple in (-2, -1, 1, 2):
            moved = at.copy()
            moved[place] += multiple * step
            values.append(function(moved))
        far_below, below, above, far_above = values
        gradient[place] = (far_below - 8 * below + 8 * above - far_above) / (12 * step)
    return gradient


def check_gradient(function: Callable[..., Any], arguments: Sequence[Any], places: Sequence[int]) -> None:
    """Compare autograd with finite differences of `sum(weight * function(xp, *arguments))` at each of `places`."""
    value = np.asarray(function(NUMPY, *arguments))
    weight = np.cos(1.0 + np.arange(value.size)).reshape(value.shape)
    for place in places:

        def total(xp: Any, moved: Any, place: int = place) -> Any:
            replaced = [*arguments[:place], moved, *arguments[place + 1 :]]
            return xp.sum(weight * function(xp, *replaced))

        at = np.asarray(arguments[place], dtype=float)
        exact = autograd.grad(partial(total, AUTOGRAD))(at)
        approximate = finite_difference(partial(total, NUMPY), at)
        np.testing.assert_allclose(exact, approximate, rtol=1e-6, atol=1e-8)


def members(name: str, rng: np.random.Generator, shape: tuple[int, ...], arguments: tuple[Any, ...] = ()) -> Any:
    """Random members of a support; `shape` includes the event."""
    support = SUPPORTS[name]
    if support.bijection is None:
        return DISCRETE_MEMBERS[name](rng, shape, *arguments)
    split = len(shape) - support.event_rank
    free = support.bijection.unconstrained(shape[split:])
    return support.bijection.forward(NUMPY, 1.5 * rng.standard_normal(shape[:split] + free), *arguments)


def _symmetric(matrix: Any) -> Any:
    below = np.tril(matrix, -1)
    return below + np.swapaxes(below, -1, -2)


DISCRETE_MEMBERS: dict[str, Callable[..., Any]] = {
    "boolean": lambda rng, shape: rng.integers(0, 2, shape),
    "count": lambda rng, shape: rng.integers(0, 9, shape),
    "integer": lambda rng, shape: rng.integers(-9, 9, shape),
    "integer_from": lambda rng, shape, lower: lower + rng.integers(0, 9, shape),
    "integer_interval": lambda rng, shape, lower, upper: rng.integers(lower, upper + 1, shape),
    "adjacency": lambda rng, shape: _symmetric(rng.integers(0, 2, shape)),
    "composition": lambda rng, shape, total: rng.multinomial(total, np.ones(shape[-1]) / shape[-1], shape[:-1]),
}
