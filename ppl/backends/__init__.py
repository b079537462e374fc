"""Backends own differentiation: only this room imports autograd or jax."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ppl.errors import InferenceError

BACKENDS = ("autograd", "jax")


class Rows(Protocol):
    """A function of rows (draws, dim), each by itself, to one number each (draws,).

    `others` are further arguments of it, arrays that are the same for all rows.
    """

    def values(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""

    def gradients(self, rows: np.ndarray) -> np.ndarray:
        """(draws, dim)."""

    def values_and_gradients(self, rows: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(draws,) and (draws, dim)."""

    def products(self, rows: np.ndarray, vectors: np.ndarray, *others: np.ndarray) -> np.ndarray | None:
        """Exact products of each row's Hessian with vectors (directions, draws or 1, dim): (directions, draws, dim).

        None where a part of the function has no second derivatives; `inexact` then names it.
        """

    @property
    def inexact(self) -> str:
        """Why there are no exact products, empty as long as there are."""


Moving = tuple[np.ndarray, np.ndarray]
"""The places of a row's coordinates that move, and of the others."""


def apart(rows: Any, moving: Moving | None) -> tuple[Any, ...]:
    """The rows alone, or their coordinates at the places that move, and the others."""
    return (rows,) if moving is None else tuple(rows[:, places] for places in moving)


class Backend(Protocol):
    """An array name space and the derivatives of functions written over it."""

    name: str
    xp: Any

    def value_and_grad(
        self, function: Callable[..., Any], kept: dict[Any, Any] | None = None
    ) -> Callable[..., tuple[float, np.ndarray]]:
        """`(value, gradient)` of a scalar function with respect to its first argument.

        Every argument is an array, so that the backend may compile for their shapes. `kept` is as for `rows`.
        """

    def rows(
        self,
        function: Callable[..., Any],
        most: int,
        kept: dict[Any, Any] | None = None,
        long: bool = False,
        moving: Moving | None = None,
    ) -> Rows:
        """Values and derivatives of a function of independent rows; `most` rows fit into memory at once.

        With `moving` the function takes two arrays, the coordinates that move and the others, and derivatives are by
        the former, so that vectors have their number.

        A `long` one takes longer than to record it, and is recorded at the first call.

        What is staged or compiled is added to what is `kept`, and taken from there. All of that must be of functions
        that give the same numbers.
        """

    def descent(
        self, function: Callable[..., Any], update: Callable[..., Any], kept: dict[Any, Any] | None = None
    ) -> Callable[..., Any] | None:
        """Many steps of an optimiser in one call; None where nothing is gained by it. `kept` is as for `rows`.

        `run(state, rate, *blocks)` steps through the arrays `blocks`, whose first dimension is the steps:
        `function(state[0], *items)` gives the value, `update(xp, state, value, gradient, rate)` the next state, a tuple
        of arrays. It returns the last state, the values (steps,) and the sum of `state[0]` over the steps.
        """


def get_backend(name: str = "autograd") -> Backend:
    """The backend of that name. Raises InferenceError where there is none, or where what it needs is not installed."""
    if name == "autograd":
        from ppl.backends.autograd_backend import AutogradBackend

        return AutogradBackend()
    if name != "jax":
        raise InferenceError.of("E703", None, f"no backend `{name}`", f"there are {', '.join(BACKENDS)}")
    if importlib.util.find_spec("jax") is None:
        raise InferenceError.of("E703", None, "the backend `jax` needs JAX", "install it: pip install 'ppl[jax]'")
    from ppl.backends.jax_backend import JaxBackend

    return JaxBackend()


__all__ = ["BACKENDS", "Backend", "Moving", "Rows", "apart", "get_backend"]
