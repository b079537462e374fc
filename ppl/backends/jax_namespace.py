"""The array name space over `jax.numpy`. What depends on no traced value is computed by NumPy, once, while tracing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ppl import linear
from ppl.backends import jax_blocks, jax_loops
from ppl.backends.jax_rules import (
    chain,
    implicit,
    log,
    log1p,
    logaddexp,
    scale_gradient,
    segment_sum,
    take,
    traced,
)
from ppl.blocks import Blocks
from ppl.loops import Loop
from ppl.numeric import NUMPY, Namespace
from ppl.ode import System


class JaxNamespace(Namespace):
    """`jax.numpy`, and `numpy` where no argument is traced, with `ppl.backends.jax_special`."""

    in_blocks = False

    def __init__(self) -> None:
        super().__init__(jnp, "ppl.backends.jax_special")
        self.linalg = _Either(NUMPY.linalg, jnp.linalg)
        self._both = _Either(np, jnp)

    def stop_gradient(self, value: Any) -> Any:
        return jax.lax.stop_gradient(value) if traced(value) else value

    def scale_gradient(self, value: Any, factor: Any) -> Any:
        return scale_gradient(value, factor) if traced(value) else value

    def implicit(self, pull_back: Callable[..., dict[str, Any]], draw: Any, parameters: Mapping[str, Any]) -> Any:
        return implicit(pull_back, draw, parameters) if traced(*parameters.values()) else draw

    def element(self, array: Any, key: tuple[Any, ...]) -> Any:
        return jnp.asarray(array)[key] if traced(array, key) else array[key]

    def take(self, array: Any, index: Any, axis: int) -> Any:
        return take(array, index, axis) if traced(array, index) else np.take(array, index, axis=axis)

    def scan(self, loop: Loop, inputs: Sequence[Any]) -> Any:
        return jax_loops.scan(self, loop, inputs) if traced(inputs) else NUMPY.scan(loop, inputs)

    def chain(self, log_weights: Any) -> Any:
        return chain(log_weights) if traced(log_weights) else NUMPY.chain(log_weights)

    def blocks(self, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any]) -> Any:
        if traced(rows, given):
            return jax_blocks.total(self, blocks, rows, given)
        return NUMPY.blocks(blocks, rows, given)

    def ode(self, system: System, initial: Any, inputs: Sequence[Any]) -> Any:
        if traced(initial, inputs):
            return jax_loops.ode(system, initial, inputs)
        return NUMPY.ode(system, initial, inputs)

    def segment_sum(self, values: Any, index: Any, size: int) -> Any:
        return segment_sum(values, index, size) if traced(values, index) else NUMPY.segment_sum(values, index, size)

    def solve_triangular(self, matrix: Any, right: Any, lower: bool) -> Any:
        if traced(matrix, right):
            return jax.scipy.linalg.solve_triangular(jnp.asarray(matrix), jnp.asarray(right), lower=lower)
        return linear.solve_triangular(matrix, right, lower)

    def eigenvalues(self, matrix: Any) -> Any:
        return jnp.linalg.eigvalsh(matrix) if traced(matrix) else linear.eigenvalues(matrix)

    def log(self, x: Any) -> Any:
        return log(x) if traced(x) else np.log(x)

    def log1p(self, x: Any) -> Any:
        return log1p(x) if traced(x) else np.log1p(x)

    def logaddexp(self, a: Any, b: Any) -> Any:
        return logaddexp(jnp.asarray(a), jnp.asarray(b)) if traced(a, b) else np.logaddexp(a, b)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._both, name)


class _Either:
    """The functions of a module of NumPy and of one of JAX with the same names."""

    def __init__(self, plain: ModuleType, other: ModuleType) -> None:
        self._plain = plain
        self._other = other

    def __getattr__(self, name: str) -> Any:
        plain = getattr(self._plain, name)
        return _either(plain, getattr(self._other, name)) if callable(plain) else plain


def _either(plain: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    """`other` where an argument is traced."""

    def call(*arguments: Any, **named: Any) -> Any:
        chosen = other if traced(arguments, *named.values()) else plain
        return chosen(*arguments, **named)

    return call
