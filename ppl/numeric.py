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

from ppl.loops import Loop


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

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arrays, name)


NUMPY = Namespace(np, "ppl.special")
