"""Functions of many independent rows over JAX: values, gradients and Hessian-vector products of each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl.backends import Moving, apart
from ppl.backends.jax_compile import Compiled

Array = Any
SIZES = (1, 32, 1024)


class JaxRows:
    """See `ppl.backends.Rows`.

    Rows are taken in parts of one of three sizes, the last one filled up, so that few programs are compiled whatever
    the numbers of rows are. At most `most` are evaluated at once.
    """

    def __init__(self, function: Callable[..., Array], most: int, moving: Moving | None = None) -> None:
        def total(moved: Array, *others: Array) -> tuple[Array, Array]:
            values = function(moved, *others)
            return jnp.sum(values), values

        def both(rows: Array, *others: Array) -> tuple[tuple[Array, Array], Array]:
            found: tuple[tuple[Array, Array], Array] = jax.value_and_grad(total, has_aux=True)(
                *apart(rows, moving), *others
            )
            return found

        def second(rows: Array, vectors: Array, *others: Array) -> Array:
            moved, *fixed = apart(rows, moving)
            gradient = jax.grad(lambda varied: total(varied, *fixed, *others)[0])
            return jax.vmap(lambda vector: jax.jvp(gradient, (moved,), (vector[None],))[1][0])(vectors)

        self._sizes = [min(size, most) for size in SIZES]
        self._values = Compiled(lambda rows: function(*apart(rows, moving)))
        self._both = Compiled(both)
        self._products = Compiled(second)
        self.inexact = ""

    def values(self, rows: np.ndarray) -> np.ndarray:
        if len(rows) <= self._sizes[1]:
            return self.values_and_gradients(rows)[0]
        return np.concatenate([np.asarray(self._values(part))[:count] for part, count in self._parts(rows)])

    def gradients(self, rows: np.ndarray) -> np.ndarray:
        return self.values_and_gradients(rows)[1]

    def values_and_gradients(self, rows: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = [], []
        for part, count in self._parts(rows):
            (_, value), gradient = self._both(part, *others)
            values.append(np.asarray(value)[:count])
            gradients.append(np.asarray(gradient)[:count])
        return np.concatenate(values), np.concatenate(gradients)

    def products(self, rows: np.ndarray, vectors: np.ndarray, *others: np.ndarray) -> np.ndarray | None:
        """Forward over reverse, one row after the other: it takes longer to compile than any other program."""
        if not self.inexact and self._both.leaves_device(rows[:1], *others):
            self.inexact = "a function that is computed on the host has first derivatives only"
        if self.inexact:
            return None
        own = np.broadcast_to(vectors, (len(vectors), len(rows), vectors.shape[2]))
        return np.stack([self._products(row[None], own[:, n], *others) for n, row in enumerate(rows)], axis=1)

    def _parts(self, rows: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """The rows in parts of one size, and how many rows of each part count; the others repeat the last one."""
        size = next((size for size in self._sizes if size >= len(rows)), self._sizes[-1])
        missing = -len(rows) % size
        rows = np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows
        starts = range(0, len(rows), size)
        return [(rows[start : start + size], size - missing * (start + size == len(rows))) for start in starts]
