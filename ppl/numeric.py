"""The array name space that implementations are written against, here over plain NumPy.

Functions, distributions and supports take an argument `xp`: NumPy's names (`xp.exp`, `xp.sum`, …) plus
`xp.special` (special functions, see `ppl/special.py`) and `xp.stop_gradient`. This module has the plain one, used for
simulation, checks and anything that is not differentiated; `backends/` has the differentiable ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from ppl import chains, linear
from ppl.loops import Loop
from ppl.ode import System


class Namespace:
    """Names of an array module, with special functions imported only when one is first used."""

    def __init__(self, arrays: ModuleType, special: str) -> None:
        self._arrays = arrays
        self._special = special

    @property
    def special(self) -> Any:
        return importlib.import_module(self._special)

    def stop_gradient(self, value: Any) -> Any:
        return value

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

    def eigenvalues(self, matrix: Any) -> Any:
        """Eigenvalues of symmetric matrices in increasing order."""
        return linear.eigenvalues(matrix)

    def chain(self, log_weights: Any) -> Any:
        """The log sum of the weights of all paths of a hidden Markov chain; see `ppl.chains`."""
        return chains.total(log_weights)

    def ode(self, system: System, initial: Any, inputs: Sequence[Any]) -> Any:
        """The states of a differential equation at the times asked for: (*batch, times, *event)."""
        return system.solve(self, initial, inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arrays, name)


NUMPY = Namespace(np, "ppl.special")
