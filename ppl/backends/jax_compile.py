"""Compilation by XLA: programs of arrays, in double precision, without data folded into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ppl.backends.jax_forms import form_of
from ppl.backends.reuse import programs_for

try:
    from jax import enable_x64
except ImportError:  # before 0.8
    from jax.experimental import enable_x64


class Compiled:
    """A function of arrays, or trees of them, compiled once for each set of shapes.

    Arrays that it closes over, such as data, become arguments of the compiled program: constants in it would be folded
    for minutes, and so it serves any function that does the same to other arrays of the same shapes. Double precision
    is switched on here alone, so other JAX code of the process keeps its own.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._programs: dict[Any, _Program] = {}

    def __call__(self, *arguments: Any) -> Any:
        with enable_x64(True):
            leaves, tree = jax.tree.flatten(arguments)
            return self._program(arguments, leaves, tree).run(leaves)

    def leaves_device(self, *arguments: Any) -> bool:
        """Whether the program for arguments of these shapes calls back to the host."""
        with enable_x64(True):
            return self._program(arguments, *jax.tree.flatten(arguments)).leaves_device

    def _program(self, arguments: tuple[Any, ...], leaves: list[Any], tree: Any) -> _Program:
        signature = (tree, tuple((np.shape(leaf), np.result_type(leaf)) for leaf in leaves))
        if signature not in self._programs:
            self._programs[signature] = _Program(self._function, arguments)
        return self._programs[signature]


class _Program:
    """A function for arguments of one set of shapes; `run` takes their leaves."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*arguments)
        tree = jax.tree.structure(shapes)
        turned = [_is_turned(np.asarray(constant)) for constant in closed.consts]
        stored = [np.asarray(c).T if turn else c for c, turn in zip(closed.consts, turned, strict=True)]

        jaxpr = closed.jaxpr  # without the constants: a program that is kept must not hold data

        def program(stored: list[Any], leaves: list[Any]) -> Any:
            constants = [c.T if turn else c for c, turn in zip(stored, turned, strict=True)]
            return tree.unflatten(jax.core.eval_jaxpr(jaxpr, constants, *leaves))

        self._constants = jax.device_put(stored)
        self._jaxpr = jaxpr
        kept = programs_for("jax", (), {}, form_of(jaxpr), str(tree), turned)
        if "compiled" not in kept:
            kept["compiled"] = jax.jit(program)
        self._compiled = kept["compiled"]

    def run(self, leaves: list[Any]) -> Any:
        return self._compiled(self._constants, leaves)

    @property
    def leaves_device(self) -> bool:
        return "pure_callback[" in str(self._jaxpr)


def _is_turned(array: np.ndarray) -> bool:
    """Whether an array is the transpose of one whose elements lie in order. That one is then kept, and XLA turns it:
    a matrix product reads long rows faster than long columns.
    """
    return array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous
