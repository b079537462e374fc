"""The expected log joint density of a mean-field family, with its derivatives: what coordinate ascent works with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.backends import Backend
from ppl.backends.reuse import programs_for
from ppl.compiler.conjugacy.program import Points, rows_program, sums_program, tables_program
from ppl.compiler.conjugacy.sites import Conjugacy
from ppl.compiler.programs.arrays import ArrayProgram
from ppl.constraints import SUPPORTS
from ppl.guides.layout import VectorLayout
from ppl.model.resolve import fixed_arguments
from ppl.numeric import NUMPY

Array = Any
Arrays = dict[str, np.ndarray]
CHUNK = 8_000_000
"""Numbers in the largest temporary array, roughly, where rows can be taken in parts."""
NO_BLOCK = -1
"""In place of the number of a block: none has the axis of the draws, all are at the points of the state."""


@dataclass(frozen=True)
class BlockLayout:
    """The coordinates of a block of continuous sites: a flat vector, unconstrained where `transformed`."""

    names: tuple[str, ...]
    layout: VectorLayout
    supports: tuple[tuple[str, tuple[Any, ...]], ...]

    @classmethod
    def of(cls, conjugacy: Conjugacy, names: tuple[str, ...]) -> BlockLayout:
        sites = [site for name in names for site in conjugacy.model.latents if site.name == name]
        supports = tuple(
            (s.support.name, tuple(fixed_arguments(s.axes, len(s.dims), s.support.arguments))) for s in sites
        )
        return cls(names, VectorLayout.of_sites(sites), supports)

    @property
    def size(self) -> int:
        return self.layout.size

    def values(self, xp: Any, rows: Array) -> tuple[dict[str, Array], Array]:
        """Values (rows, *shape) of the sites at rows (rows, size), and log |det J|: (rows,), or 0 if there is none."""
        found: dict[str, Array] = {}
        log_det: Array = 0.0
        unpacked = self.layout.unpack(xp, rows)
        for name, (support, arguments) in zip(self.names, self.supports, strict=True):
            bijection = SUPPORTS[support].bijection
            assert bijection is not None
            found[name] = bijection.forward(xp, unpacked[name], *arguments)
            if support != "real":
                terms = bijection.log_det(xp, unpacked[name], *arguments)
                log_det = log_det + xp.sum(terms, axis=tuple(range(1, len(xp.shape(terms)))))
        return found, log_det


@dataclass(frozen=True)
class State:
    """Where the family stands: mean statistics of the natural factors, and the values of each site of a block at the
    points of the block (points, *shape). `batch` has the positions of the elements that a step sees.
    """

    statistics: Mapping[str, tuple[np.ndarray, ...]]
    points: Mapping[str, np.ndarray]
    batch: Mapping[str, np.ndarray]


class ExpectedJoint:
    """`E_q[log p(x, z)]` with the discrete sites at given weights of their states, for blocks of `sizes` points.

    `batch` names what is handed in for the elements that a step sees.
    """

    def __init__(
        self,
        conjugacy: Conjugacy,
        data: Mapping[str, Any],
        backend: Backend,
        blocks: Sequence[BlockLayout],
        sizes: Sequence[int],
        batch: Sequence[str] = (),
    ) -> None:
        self.conjugacy, self.blocks, self._backend, self._data = conjugacy, tuple(blocks), backend, data
        self._sizes = tuple(sizes)
        self._natural = {name: len(family.kinds) for name, family in conjugacy.natural.items()}
        self._batches = tuple(batch)
        program, self.axes = tables_program(conjugacy, self._points(NO_BLOCK))
        prepare, self._tables = program.load(NUMPY)
        self._constants = prepare(data)
        self._sums = self._sums_function() if self.axes else None
        self._plain: tuple[Callable[..., Any], Any] | None = None
        self._functions: dict[int, Callable[..., tuple[float, np.ndarray]]] = {}

    def _points(self, active: int) -> Points:
        return Points(tuple(block.names for block in self.blocks), active, self._sizes)

    def numbers(self, active: int = NO_BLOCK) -> int:
        """In the largest array, roughly, for one row of the active block."""
        plan = self.conjugacy.plan
        sizes = [math.prod(site.shape) for site in plan.model.sites] + [each.largest for each in plan.eliminations]
        return max(sizes) * math.prod(size for block, size in enumerate(self._sizes) if block != active)

    # Discrete sites -----------------------------------------------------------------------------------

    def tables(self, state: State) -> Arrays:
        """Expected log densities of what eliminations join, over the states of the sites that are summed out."""
        return dict(self._tables(dict(state.batch), state.points, state.statistics, self._constants))

    def sums(self, tables: Mapping[str, np.ndarray]) -> tuple[float, Arrays]:
        """The log of the sum over all states, and the weights of the states of each table: its derivative.

        The weights are the marginals of the optimal discrete factor, added up where a table stands for several
        elements.
        """
        if self._sums is None:
            return 0.0, {}
        shapes = {name: np.shape(table) for name, table in tables.items()}
        value, gradient = self._sums(np.concatenate([np.ravel(table) for table in tables.values()]))
        return value, _unflattened(gradient, shapes)

    def _sums_function(self) -> Callable[..., tuple[float, np.ndarray]]:
        xp = self._backend.xp
        program = sums_program(self.conjugacy, self.axes)
        prepare, run = program.load(xp)
        constants = prepare(self._data)
        shapes = {name: tuple(axis.size for axis in axes) for name, axes in self.axes.items()}
        kept = programs_for(self._backend.name, [program], self._data, shapes)

        def function(vector: Array) -> Array:
            return sum(run(_cut(xp, vector, shapes), constants).values())

        return self._backend.value_and_grad(function, kept)

    # Values and derivatives ---------------------------------------------------------------------------

    def by_statistics(self, state: State, weights: Mapping[str, np.ndarray]) -> tuple[float, dict[str, Any]]:
        """The expectation, and its derivative by every mean statistic: expected natural parameters."""
        if not self._natural:
            return self.value(state, weights), {}
        shapes = self._statistic_shapes(state)
        vector = np.concatenate([np.ravel(part) for parts in state.statistics.values() for part in parts])
        value, gradient = self._function(NO_BLOCK)(vector, *self._arguments(state, weights, NO_BLOCK))
        flat = _unflattened(gradient, shapes)
        return value, {
            name: tuple(flat[f"{name} {place}"] for place in range(count)) for name, count in self._natural.items()
        }

    def by_rows(
        self, active: int, rows: np.ndarray, state: State, weights: Mapping[str, np.ndarray]
    ) -> tuple[float, np.ndarray]:
        """The sum over rows (rows, size) of a block of expectations given the block's values, and its derivative."""
        arguments, size = self._arguments(state, weights, active), max(1, CHUNK // self.numbers(active))
        parts = [self._function(active)(np.ravel(rows[k : k + size]), *arguments) for k in range(0, len(rows), size)]
        return sum(value for value, _ in parts), np.concatenate([gradient for _, gradient in parts]).reshape(rows.shape)

    def value(self, state: State, weights: Mapping[str, np.ndarray]) -> float:
        """The expectation alone."""
        if self._plain is None:
            prepare, run = rows_program(self.conjugacy, self._points(NO_BLOCK), self.axes).load(NUMPY)
            self._plain = run, prepare(self._data)
        run, constants = self._plain
        found = run(dict(state.batch), state.points, state.statistics, weights, constants)
        return float(np.sum(found["rows"]) + np.sum(found["tables"]))

    def _function(self, active: int) -> Callable[..., tuple[float, np.ndarray]]:
        if active not in self._functions:
            program = rows_program(self.conjugacy, self._points(active), self.axes)
            form = self._natural, self.blocks, active, list(self.axes), self._batches
            kept = programs_for(self._backend.name, [program], self._data, form)
            self._functions[active] = self._backend.value_and_grad(self._expectation(program, active), kept)
        return self._functions[active]

    def _expectation(self, program: ArrayProgram, active: int) -> Callable[..., Array]:
        """A function of the flat coordinates of the active block, or of the flat mean statistics if there is none."""
        xp = self._backend.xp
        prepare, run = program.load(xp)
        constants = prepare(self._data)

        def function(vector: Array, *arrays: Array) -> Array:
            given = iter(arrays)
            points = {name: next(given) for k, b in enumerate(self.blocks) if k != active for name in b.names}
            statistics = {name: [next(given) for _ in range(count)] for name, count in self._natural.items()}
            weights = {name: next(given) for name in self.axes}
            values = {name: next(given) for name in self._batches}
            log_det: Array = 0.0
            if active == NO_BLOCK:
                shapes = {f"{n} {k}": np.shape(p) for n, parts in statistics.items() for k, p in enumerate(parts)}
                flat = _cut(xp, vector, shapes)
                statistics = {
                    name: [flat[f"{name} {k}"] for k in range(count)] for name, count in self._natural.items()
                }
            else:
                block = self.blocks[active]
                found, log_det = block.values(xp, xp.reshape(vector, (-1, block.size)))
                values |= found
            sums = run(values, points, statistics, weights, constants)
            return xp.sum(sums["rows"]) + xp.sum(sums["tables"]) + xp.sum(log_det)

        return function

    def _arguments(self, state: State, weights: Mapping[str, np.ndarray], active: int) -> list[np.ndarray]:
        points = [state.points[name] for k, b in enumerate(self.blocks) if k != active for name in b.names]
        statistics = [part for name in self._natural for part in state.statistics[name]]
        return [*points, *statistics, *(weights[name] for name in self.axes), *(state.batch[n] for n in self._batches)]

    def _statistic_shapes(self, state: State) -> dict[str, tuple[int, ...]]:
        return {f"{n} {k}": np.shape(part) for n, parts in state.statistics.items() for k, part in enumerate(parts)}


def _cut(xp: Any, vector: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Parts of a flat vector in the order of `shapes`."""
    found, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape, dtype=int))
        found[name] = xp.reshape(vector[start:stop], shape)
        start = stop
    return found


def _unflattened(vector: np.ndarray, shapes: Mapping[str, tuple[int, ...]]) -> Arrays:
    return _cut(NUMPY, vector, shapes)
