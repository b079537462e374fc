"""`ode(f, z0, t0, ts, …)`: the call as an expression of the model."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ppl.axes import union
from ppl.errors import ModelError
from ppl.functions import UNKNOWN
from ppl.language import syntax
from ppl.model import expressions as ex
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.hoisting import Hoisting
from ppl.model.messages import extent, number, written
from ppl.model.resolve import evaluate

_numbers = itertools.count()

SIGNATURE = "ode(f, z0, t0, ts, …, rtol = 1e-5, atol = 1e-6)"
TOLERANCES = {"rtol": 1e-5, "atol": 1e-6}


class Equation:
    """One call of `ode`: its right side is a `def` of time, state and the further arguments."""

    def __init__(self, node: syntax.Call, initial: Expr, arguments: Sequence[Expr]) -> None:
        self._node = node
        self._initial = initial
        self._arguments = arguments
        axes = union([initial.type.axes, *(argument.type.axes for argument in arguments)])
        number = next(_numbers)
        self.time = ex.Value(Type((), (), UNKNOWN, static=False), None, f"time {number}")
        dims = tuple(Dim(dim.size, dim.label) for dim in initial.type.dims)
        self.state = ex.Value(Type(axes, dims, UNKNOWN, static=False), None, f"state {number}")

    @property
    def parameters(self) -> list[Expr]:
        """What the parameters of the `def` stand for."""
        return [self.time, self.state, *self._arguments]

    def solution(self, name: str, slope: Expr, start: float, times: Expr, rtol: float, atol: float) -> Expr:
        """The states at `times`, those in front. Raises ModelError."""
        node = self._node
        if slope.type.event != self.state.type.event:
            found = f"the slope that `{name}` returns {extent(slope.type)}, the state {extent(self.state.type)}"
            raise ModelError.of("E301", node.span, found)
        at = checked_times(times, start)
        inner = Hoisting(self.time.name, self.state.name)
        inside = inner.inside(slope)
        assert inside is not None
        dims = (Dim(times.type.dims[0].size, times.type.dims[0].label), *self.state.type.dims)
        return ex.Solution(
            type=Type(self.state.type.axes, dims, UNKNOWN, static=False),
            span=node.span,
            name=name,
            slope=inside,
            time=self.time,
            state=self.state,
            given=tuple(inner.inputs),
            initial=self._initial,
            inputs=tuple(inner.inputs.values()),
            start=start,
            times=at,
            rtol=rtol,
            atol=atol,
        )


def start_time(value: Expr) -> float:
    """The value of `t0`. Raises ModelError where it is not a number known from data."""
    if value.type.static and not value.type.dims and not value.type.axes:
        return float(evaluate(value).array)
    found = f"the start of `ode` must be a number known from data, `{written(value)}` is not"
    raise ModelError.of("E310", value.span, found)


def checked_times(times: Expr, start: float) -> np.ndarray:
    """The values of `ts`: known from data, increasing, none before the start. Raises ModelError."""
    if not times.type.static or times.type.axes:
        why = "an index" if times.type.static else "latent values"
        found = f"the times of `ode` must be the same data for all, `{written(times)}` depends on {why}"
        raise ModelError.of("E310", times.span, found)
    if len(times.type.dims) != 1:
        found = f"the times of `ode` must be a vector, `{written(times)}` {extent(times.type)}"
        raise ModelError.of("E301", times.span, found)
    values = np.asarray(evaluate(times).array, float)
    late = np.diff(values, prepend=start) < 0
    if late.any():
        place = int(np.argmax(late))
        before = f"the start {number(start)}" if not place else f"the one before, {number(values[place - 1])}"
        found = f"`{written(times)}[{place}]` is {number(values[place])}, less than {before}"
        raise ModelError.of("E310", times.span, found, "the times of `ode` increase from its start on")
    return values


def tolerance(value: Expr, name: str) -> float:
    """A positive number known from data. Raises ModelError."""
    if value.type.static and not value.type.dims and not value.type.axes:
        found = float(evaluate(value).array)
        if found > 0:
            return found
    raise ModelError.of("E310", value.span, f"`{name}` must be a positive number, known from data")
