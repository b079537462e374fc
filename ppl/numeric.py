"""The array name space that implementations are written against, here over plain NumPy.

Functions, distributions and supports take an argument `xp`: NumPy's names (`xp.exp`, `xp.sum`, …) plus
`xp.special` (special functions, see `ppl/special/`) and `xp.stop_gradient`. This module has the plain one, used for
simulation, checks and anything that is not differentiated; `backends/` has the differentiable ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ppl import chains, linear
from ppl.blocks import Blocks
from ppl.loops import Loop
from ppl.ode import System


class LinearAlgebra:
    """The linear algebra of an array module, with another `cholesky`."""

    def __init__(self, module: Any, cholesky: Callable[[Any], Any]) -> None:
        self._module = module
        self.cholesky = cholesky

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class Namespace:
    """Names of an array module, with special functions imported only when one is first used."""

    in_blocks = True
    """Large plates are worked through in blocks, so that no array holds all their rows for every draw."""

    def __init__(self, arrays: ModuleType, special: str) -> None:
        self._arrays = arrays
        self._special = special
        self.linalg: Any = LinearAlgebra(arrays.linalg, self.cholesky)

    @property
    def special(self) -> Any:
        return importlib.import_module(self._special)

    def stop_gradient(self, value: Any) -> Any:
        return value

    def element(self, array: Any, key: tuple[Any, ...]) -> Any:
        """`array[key]`, where the key may hold computed positions."""
        return array[key]

    def scale_gradient(self, value: Any, factor: Any) -> Any:
        """The value; its derivatives are multiplied by `factor`, which broadcasts to it."""
        return value

    def implicit(self, pull_back: Callable[..., dict[str, Any]], draw: Any, parameters: Mapping[str, Any]) -> Any:
        """The draw, which moves with its distribution's parameters as its quantile does.

        `pull_back(draw, cotangent, **parameters)` is that of a distribution (`Distribution.implicit`).
        """
        return draw

    def scan(self, loop: Loop, inputs: Sequence[Any]) -> Any:
        """The packed states of all steps of a recurrence: (steps, *batch, width)."""
        return loop.run(self, inputs)

    def segment_sum(self, values: Any, index: Any, size: int) -> Any:
        """Sums of the values of each index along the last axis: (…, n), (n,) to (…, size)."""
        shape = np.shape(values)
        return linear.add_runs(values, index, len(shape) - 1, (*shape[:-1], size))

    def solve_triangular(self, matrix: Any, right: Any, lower: bool) -> Any:
        """`x` with `matrix @ x = right`, reading one triangle: (…, n, n) and (…, n, k) of one batch shape."""
        return linear.solve_triangular(matrix, right, lower)

    def cholesky(self, matrix: Any) -> Any:
        """Lower Cholesky factors, NaN where a matrix is not positive definite."""
        return linear.cholesky(matrix)

    def eigenvalues(self, matrix: Any) -> Any:
        """Eigenvalues of symmetric matrices in increasing order."""
        return linear.eigenvalues(matrix)

    def chain(self, log_weights: Any) -> Any:
        """The log sum of the weights of all paths of a hidden Markov chain; see `ppl.chains`."""
        return chains.total(log_weights)

    def blocks(self, blocks: Blocks, rows: Sequence[Any], given: Sequence[Any]) -> Any:
        """A sum over the rows of a large plate, a block of rows at a time: (draws,)."""
        return blocks.run(self, rows, given)

    def ode(self, system: System, initial: Any, inputs: Sequence[Any]) -> Any:
        """The states of a differential equation at the times asked for: (*batch, times, *event)."""
        return system.solve(self, initial, inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arrays, name)


NUMPY = Namespace(np, "ppl.special")
