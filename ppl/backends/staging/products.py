"""Exact Hessian-vector products of functions of independent rows: staged, or by autograd where that cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np

from ppl.backends.staging.emit import Staged, emitted
from ppl.backends.staging.lower import Lowering
from ppl.backends.staging.optimise import moved
from ppl.backends.staging.recording import NotRecordable, record, value_and_grad, values_and_slopes
from ppl.backends.staging.stages import agree, rounding, signature_of

STEP = 1e-4
"""Of the differences that a program is checked against, in units of 1 + |x|."""
NEAR = 1e-3
"""How near its products must be to differences."""


class StagedProducts:
    """Products of each row's Hessian with vectors, by a program for each signature of rows and vectors.

    The program holds the gradient and its tangents, so that all vectors share what depends on the rows alone. It is
    checked at another point than that of the record. Those `kept` are used, and new ones added to them. `refused` says
    why there is none, where there is none; `inexact` why autograd cannot do it either.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        alone: bool = False,
        kept: dict[tuple[Any, ...], Staged] | None = None,
    ) -> None:
        self._slopes = values_and_slopes(function)
        self._eager = eager_products(function)
        self._alone = alone
        self.programs = {} if kept is None else kept
        self.refused = ""
        self.inexact = ""

    def __call__(self, rows: np.ndarray, vectors: np.ndarray, *others: np.ndarray) -> np.ndarray | None:
        """(draws, dim) and (directions, draws or 1, dim) to (directions, draws, dim), None where there is no rule.

        `others` are further arguments of the function.
        """
        if self.inexact:
            return None
        program = None if self.refused else self._program(rows, vectors, others)
        try:
            if program is None:
                return self._eager(rows, vectors, *others)
            found: np.ndarray = program.run(rows, *others, vectors)[2]
        except NotImplementedError as error:
            self.inexact = str(error)
            return None
        return found

    def _program(self, rows: np.ndarray, vectors: np.ndarray, others: tuple[np.ndarray, ...]) -> Staged | None:
        signature = signature_of((rows, vectors, *others))
        if signature not in self.programs:
            try:
                program = products_program(self._slopes, (rows, *others), vectors.shape, self._alone)
                self._check(program, rows, vectors, others)
            except (NotRecordable, NotImplementedError) as error:
                self.refused = str(error)
                return None
            self.programs[signature] = program
        return self.programs[signature]

    def _check(self, program: Staged, rows: np.ndarray, vectors: np.ndarray, others: tuple[np.ndarray, ...]) -> None:
        """Raises NotRecordable where a program's gradients or products are not those of the function."""
        rng = np.random.default_rng(0)
        size = STEP * (1.0 + np.abs(rows))
        place = rows + size * rng.uniform(-1.0, 1.0, rows.shape)
        scaled = size.mean(axis=0) * rng.choice([-1.0, 1.0], rows.shape[1])
        values, slopes, products = program.run(place, *others, np.broadcast_to(scaled, vectors.shape))
        if not agree((values, slopes), self._slopes(place, *others)):
            raise NotRecordable("its replay differs from an eager run")
        after, before = (program.run(place + sign * scaled, *others, vectors)[1] for sign in (1.0, -1.0))
        if not _near(products[0], 0.5 * (after - before), rounding([values])):
            raise NotRecordable("its products differ from differences of gradients")


def products_program(
    slopes: Callable[..., Any], arguments: tuple[np.ndarray, ...], directions: tuple[int, ...], alone: bool = False
) -> Staged:
    """The program of values, gradients and products: of the arguments, the first of which moves, and of directions.

    Raises NotRecordable.
    """
    tape = record(slopes, arguments)
    return emitted(Lowering(moved(tape, [1], directions), len(arguments) + 1, alone).listing, len(tape.calls))


def eager_products(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """The same by autograd alone, reverse over reverse, one vector after the other.

    Raises NotImplementedError where a derivative has none itself.
    """
    slopes = values_and_slopes(function)

    def call(rows: np.ndarray, vectors: np.ndarray, *others: np.ndarray) -> np.ndarray:
        def along(vector: np.ndarray) -> np.ndarray:
            product: np.ndarray = value_and_grad(lambda varied: anp.sum(slopes(varied, *others)[1] * vector))(rows)[1]
            return product

        return np.array([along(vector) for vector in vectors])

    return call


def _near(products: np.ndarray, differences: np.ndarray, lost: float) -> bool:
    """Whether most rows agree: a difference may step over an edge, and loses digits where gradients are large."""
    usable = np.isfinite(products).all(axis=1) & np.isfinite(differences).all(axis=1)
    if not usable.any():
        return True
    error = np.linalg.norm(products - differences, axis=1)[usable]
    size = np.linalg.norm(differences, axis=1)[usable]
    return float(np.median(error / (size + lost / NEAR))) <= NEAR
