"""The default backend: NumPy differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.core import VJPNode
from autograd.extend import defjvp, defvjp, primitive, register_notrace
from autograd.numpy.numpy_vjps import unbroadcast_f

from ppl.backends import Moving, apart, chains, draws, equations, linear, loops
from ppl.backends import blocks as sums
from ppl.backends.staging import (
    STAGE_AFTER,
    StagedFunction,
    StagedProducts,
    staged_value_and_grad,
    values_and_slopes,
)
from ppl.backends.staging.translate import RULES, Rule, elementwise_as, kept, taken
from ppl.blocks import Blocks
from ppl.loops import Loop
from ppl.numeric import Namespace
from ppl.ode import System


@primitive
def stop_gradient(value: Any) -> Any:
    """The value as a constant, at every nesting level: a reverse pass does not see it, a forward pass has zeros."""
    return value


register_notrace(VJPNode, stop_gradient)
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


_RULES: dict[Any, Rule] = {
    stop_gradient.fun: kept,
    log.fun: elementwise_as(np.log),
    log1p.fun: elementwise_as(np.log1p),
    where.fun: RULES[np.where],
    linear.take.fun: taken,
}
RULES.update(_RULES)


class AutogradNamespace(Namespace):
    """`autograd.numpy` with `ppl.backends.special`."""

    def __init__(self) -> None:
        super().__init__(anp, "ppl.backends.special")

    def stop_gradient(self, value: Any) -> Any:
        return stop_gradient(value)

    def take(self, array: Any, index: Any, axis: int) -> Any:
        return linear.take(array, index, axis)

    def element(self, array: Any, key: tuple[Any, ...]) -> Any:
        holes, places = linear.split_key(key)
        return linear.element(array, holes, *places)

    def scale_gradient(self, value: Any, factor: Any) -> Any:
        return draws.scale_gradient(value, factor)

    def implicit(self, pull_back: Callable[..., dict[str, Any]], draw: Any, parameters: Mapping[str, Any]) -> Any:
        return draws.implicit(pull_back, draw, parameters)

    def scan(self, loop: Loop, inputs: Sequence[Any]) -> Any:
        return loops.scan(self, loop, *inputs)

    def chain(self, log_weights: Any) -> Any:
        return chains.chain(log_weights)

    def blocks(self, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any]) -> Any:
        return sums.total(self, blocks, rows, given)

    def ode(self, system: System, initial: Any, inputs: Sequence[Any]) -> Any:
        return equations.solve(self, system, initial, *inputs)

    def segment_sum(self, values: Any, index: Any, size: int) -> Any:
        return linear.segment_sum(values, index, size)

    def solve_triangular(self, matrix: Any, right: Any, lower: bool) -> Any:
        return linear.solve_triangular(matrix, right, lower)

    def cholesky(self, matrix: Any) -> Any:
        return linear.cholesky(matrix)

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
        self, function: Callable[..., Any], kept: dict[Any, Any] | None = None
    ) -> Callable[..., tuple[float, np.ndarray]]:
        return staged_value_and_grad(function, ({} if kept is None else kept).setdefault("gradient", {}))

    def rows(
        self,
        function: Callable[..., Any],
        most: int,
        kept: dict[Any, Any] | None = None,
        long: bool = False,
        moving: Moving | None = None,
    ) -> AutogradRows:
        return AutogradRows(function, {} if kept is None else kept, 1 if long else STAGE_AFTER, moving)

    def descent(
        self, function: Callable[..., Any], update: Callable[..., Any], kept: dict[Any, Any] | None = None
    ) -> None:
        return None


class AutogradRows:
    """See `ppl.backends.Rows`."""

    def __init__(self, function: Callable[..., Any], kept: dict[Any, Any], after: int, moving: Moving | None) -> None:
        values, slopes, products = (kept.setdefault(name, {}) for name in ("values", "slopes", "products"))
        self._moving = moving
        self._values = StagedFunction(lambda *parts: (function(*parts),), after=after, kept=values)
        self._slopes = StagedFunction(values_and_slopes(function), after=after, kept=slopes)
        self._products = StagedProducts(function, kept=products)

    def values(self, rows: np.ndarray) -> np.ndarray:
        return self._values(*apart(rows, self._moving))[0]

    def gradients(self, rows: np.ndarray) -> np.ndarray:
        return self._slopes(*apart(rows, self._moving))[1]

    def values_and_gradients(self, rows: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, gradients = self._slopes(*apart(rows, self._moving), *others)
        return values, gradients

    def products(self, rows: np.ndarray, vectors: np.ndarray, *others: np.ndarray) -> np.ndarray | None:
        moved, *fixed = apart(rows, self._moving)
        return self._products(moved, vectors, *fixed, *others)

    @property
    def inexact(self) -> str:
        return self._products.inexact
