"""Calls from compiled programs back to NumPy on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any
Shape = tuple[int, ...]


def call_on_host(
    function: Callable[..., Sequence[np.ndarray]], shapes: Sequence[Shape], *arrays: Array
) -> tuple[Array, ...]:
    """Arrays of double precision, of these shapes, that a function of NumPy arrays of double precision gives.

    The numbers travel as pairs of 32-bit words: JAX runs callbacks in threads that do not know that double precision is
    switched on, and would round them.
    """

    def call(*words: Array) -> tuple[np.ndarray, ...]:
        given = [np.ascontiguousarray(word).view(np.float64)[..., 0] for word in words]
        with np.errstate(all="ignore"):
            answers = function(*given)
        return tuple(
            np.array(answer, np.float64, order="C").reshape(*shape, 1).view(np.uint32)
            for answer, shape in zip(answers, shapes, strict=True)
        )

    words = [jax.lax.bitcast_convert_type(jnp.asarray(array, jnp.float64), jnp.uint32) for array in arrays]
    expected = tuple(jax.ShapeDtypeStruct((*shape, 2), jnp.uint32) for shape in shapes)
    found = jax.pure_callback(call, expected, *words, vmap_method="sequential")
    return tuple(jax.lax.bitcast_convert_type(word, jnp.float64) for word in found)
