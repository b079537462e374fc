"""The default backend: NumPy differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.numpy.numpy_vjps import unbroadcast_f

from ppl.backends import chains, equations, linear, loops
from ppl.backends.staging import staged_value_and_grad, value_and_grad
from ppl.loops import Loop
from ppl.numeric import Namespace
from ppl.ode import System


@primitive
def stop_gradient(value: Any) -> Any:
    """The value as a constant. A primitive with zero derivatives, so that it holds at every nesting level."""
    return value


defvjp(stop_gradient, lambda answer, value: lambda g: np.zeros(np.shape(value)))
defjvp(stop_gradient, lambda g, answer, value: np.zeros(np.shape(value)))


_TINY = float(np.finfo(float).tiny)


def _nonzero(x: Any) -> Any:
    """`x` with zeros replaced by the smallest normal number, to divide by."""
    return anp.where(x == 0.0, _TINY, x)


@primitive
def log(x: Any) -> Any:
    """`numpy.log`. At 0 a zero cotangent stays zero: an impossible state has no weight and no gradient."""
    return np.log(x)


@primitive
def log1p(x: Any) -> Any:
    """`numpy.log1p`, with derivatives at -1 as those of `log` at 0."""
    return np.log1p(x)


defvjp(log, lambda answer, x: lambda g: g / _nonzero(x))
defjvp(log, lambda g, answer, x: g / _nonzero(x))
defvjp(log1p, lambda answer, x: lambda g: g / _nonzero(1.0 + x))
defjvp(log1p, lambda g, answer, x: g / _nonzero(1.0 + x))


@primitive
def where(condition: Any, a: Any, b: Any) -> Any:
    """`numpy.where`, whose arguments broadcast; in autograd's own they must not."""
    return np.where(condition, a, b)


defvjp(
    where,
    lambda answer, condition, a, b: unbroadcast_f(a, lambda g: where(condition, g, 0.0)),
    lambda answer, condition, a, b: unbroadcast_f(b, lambda g: where(condition, 0.0, g)),
    argnums=(1, 2),
)
defjvp(
    where,
    lambda g, answer, condition, a, b: where(condition, anp.broadcast_to(g, np.shape(answer)), 0.0),
    lambda g, answer, condition, a, b: where(condition, 0.0, anp.broadcast_to(g, np.shape(answer))),
    argnums=(1, 2),
)


class AutogradNamespace(Namespace):
    """`autograd.numpy` with `ppl.backends.special`."""

    def __init__(self) -> None:
        super().__init__(anp, "ppl.backends.special")

    def stop_gradient(self, value: Any) -> Any:
        return stop_gradient(value)

    def take(self, array: Any, index: Any, axis: int) -> Any:
        return linear.take(array, index, axis)

    def scan(self, loop: Loop, inputs: Sequence[Any]) -> Any:
        return loops.scan(self, loop, *inputs)

    def chain(self, log_weights: Any) -> Any:
        return chains.chain(log_weights)

    def ode(self, system: System, initial: Any, inputs: Sequence[Any]) -> Any:
        return equations.solve(self, system, initial, *inputs)

    def segment_sum(self, values: Any, index: Any, size: int) -> Any:
        return linear.segment_sum(values, index, size)

    def solve_triangular(self, matrix: Any, right: Any, lower: bool) -> Any:
        return linear.solve_triangular(matrix, right, lower)

    def eigenvalues(self, matrix: Any) -> Any:
        return linear.eigenvalues(matrix)

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        return where(condition, a, b)

    def log(self, x: Any) -> Any:
        return log(x)

    def log1p(self, x: Any) -> Any:
        return log1p(x)


class AutogradBackend:
    """See `ppl.backends.Backend`."""

    name = "autograd"

    def __init__(self) -> None:
        self.xp = AutogradNamespace()

    def value_and_grad(
        self, function: Callable[..., Any], arrays: bool = True
    ) -> Callable[..., tuple[float, np.ndarray]]:
        return staged_value_and_grad(function) if arrays else value_and_grad(function)
