"""Backends own differentiation: only this room imports autograd or jax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np


class Backend(Protocol):
    """An array name space and the derivatives of functions written over it."""

    name: str
    xp: Any

    def value_and_grad(
        self, function: Callable[..., Any], arrays: bool = True
    ) -> Callable[..., tuple[float, np.ndarray]]:
        """`(value, gradient)` of a scalar function with respect to its first argument.

        With `arrays` every argument is a floating-point array, so that the backend may compile for their shapes.
        """


def get_backend(name: str = "autograd") -> Backend:
    """The backend of that name."""
    if name != "autograd":
        raise ValueError(f"no backend {name!r}; there is 'autograd'")
    from ppl.backends.autograd_backend import AutogradBackend

    return AutogradBackend()


__all__ = ["Backend", "get_backend"]
