"""The JAX backend: the same generated programs, compiled by XLA for CPU or GPU, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ppl.backends import Moving
from ppl.backends.jax_compile import Compiled
from ppl.backends.jax_namespace import JaxNamespace
from ppl.backends.jax_rows import JaxRows


class JaxBackend:
    """See `ppl.backends.Backend`."""

    name = "jax"

    def __init__(self) -> None:
        self.xp = JaxNamespace()

    def value_and_grad(
        self, function: Callable[..., Any], kept: dict[Any, Any] | None = None
    ) -> Callable[..., tuple[float, np.ndarray]]:
        compiled = ({} if kept is None else kept).setdefault("gradient", Compiled(jax.value_and_grad(function)))

        def call(*arguments: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = compiled(*arguments)
            return float(value), np.array(gradient)

        return call

    def rows(
        self,
        function: Callable[..., Any],
        most: int,
        kept: dict[Any, Any] | None = None,
        long: bool = False,
        moving: Moving | None = None,
    ) -> JaxRows:
        rows: JaxRows = ({} if kept is None else kept).setdefault("rows", JaxRows(function, most, moving))
        return rows

    def descent(
        self, function: Callable[..., Any], update: Callable[..., Any], kept: dict[Any, Any] | None = None
    ) -> Callable[..., Any]:
        gradient = jax.value_and_grad(function)

        def run(state: Any, rate: Any, *blocks: Any) -> tuple[Any, Any, Any]:
            def step(carry: tuple[Any, Any], items: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
                state, total = carry
                value, slope = gradient(state[0], *items)
                state = update(self.xp, state, value, slope, rate)
                return (state, total + state[0]), value

            (state, total), values = jax.lax.scan(step, (state, 0.0 * state[0]), blocks)
            return state, values, total

        compiled = ({} if kept is None else kept).setdefault("descent", Compiled(run))
        return lambda *arguments: jax.tree.map(np.array, compiled(*arguments))
