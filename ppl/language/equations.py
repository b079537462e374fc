"""`ode(f, z0, t0, ts, …)`: the call as an expression of the model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ppl.axes import union
from ppl.errors import ModelError
from ppl.functions import UNKNOWN
from ppl.language import syntax
from ppl.model import expressions as ex
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.hoisting import Hoisting
from ppl.model.messages import extent, number, plural, written
from ppl.model.resolve import evaluate

_numbers = itertools.count()

SIGNATURE = "ode(f, z0, t0, ts, …, rtol = 1e-5, atol = 1e-6)"
TOLERANCES = {"rtol": 1e-5, "atol": 1e-6}


class Names(Protocol):
    """What names mean at one place."""

    @property
    def functions(self) -> Mapping[str, syntax.Def]: ...

    def expression(self, node: syntax.Expression) -> Expr: ...


Inlined = Callable[[syntax.Def, Sequence[Expr]], Expr]
"""What a `def` returns for some arguments."""


def solution(names: Names, node: syntax.Call, inlined: Inlined) -> Expr:
    """The states at the times of the call, those in front. Raises ModelError."""
    definition = _checked_call(names, node)
    initial, begin, times, *arguments = (names.expression(argument) for argument in node.positional[1:])
    if len(definition.parameters) != 2 + len(arguments):
        parameters = ", ".join(parameter.name for parameter in definition.parameters)
        found = f"{definition.name.name}({parameters}) takes {plural(len(definition.parameters), 'argument')}"
        raise ModelError.of("E303", node.span, f"{found}, `ode` gives it time, state and {len(arguments)} more")
    time, state = _leaves(initial, arguments)
    slope = inlined(definition, [time, state, *arguments])
    if slope.type.event != state.type.event:
        found = f"the slope that `{definition.name.name}` returns {extent(slope.type)}, the state {extent(state.type)}"
        raise ModelError.of("E301", node.span, found)
    keywords = {keyword.name: names.expression(keyword.value) for keyword in node.keywords}
    tolerances = {name: _tolerance(keywords.get(name), name) for name in TOLERANCES}
    start = _start(begin)
    at = _times(times, start)
    inner = Hoisting(time.name, state.name)
    inside = inner.inside(slope)
    assert inside is not None
    dims = (Dim(len(at), times.type.dims[0].label), *state.type.dims)
    return ex.Solution(
        type=Type(state.type.axes, dims, UNKNOWN, static=False),
        span=node.span,
        name=definition.name.name,
        slope=inside,
        time=time,
        state=state,
        given=tuple(inner.inputs),
        initial=initial,
        inputs=tuple(inner.inputs.values()),
        start=start,
        times=at,
        **tolerances,
    )


def _checked_call(names: Names, node: syntax.Call) -> syntax.Def:
    """The `def` that a call of `ode` names, its arguments counted."""
    wrong = next((keyword for keyword in node.keywords if keyword.name not in TOLERANCES), None)
    if wrong is not None:
        raise ModelError.of("E303", wrong.span, f"ode has no argument `{wrong.name}`", f"it is {SIGNATURE}")
    if len(node.positional) < 4:
        raise ModelError.of("E303", node.span, f"{SIGNATURE} takes at least 4 arguments, {len(node.positional)} given")
    function = node.positional[0]
    definition = names.functions.get(function.name) if isinstance(function, syntax.Name) else None
    if definition is None:
        raise ModelError.of(
            "E106", function.span, "the slope of `ode` must be a `def`", "as in `def f(t, z, a) {` before it"
        )
    return definition


def _leaves(initial: Expr, arguments: Sequence[Expr]) -> tuple[ex.Value, ex.Value]:
    """What stands for the time and the state in the slope."""
    number = next(_numbers)
    axes = union([initial.type.axes, *(argument.type.axes for argument in arguments)])
    dims = tuple(Dim(dim.size, dim.label) for dim in initial.type.dims)
    time = ex.Value(Type((), (), UNKNOWN, static=False), None, f"time {number}")
    return time, ex.Value(Type(axes, dims, UNKNOWN, static=False), None, f"state {number}")


def _start(value: Expr) -> float:
    """The value of `t0`. Raises ModelError where it is not a number known from data."""
    if value.type.static and not value.type.dims and not value.type.axes:
        return float(evaluate(value).array)
    found = f"the start of `ode` must be a number known from data, `{written(value)}` is not"
    raise ModelError.of("E310", value.span, found)


def _times(times: Expr, start: float) -> np.ndarray:
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


def _tolerance(value: Expr | None, name: str) -> float:
    """A positive number known from data, or the default. Raises ModelError."""
    if value is None:
        return TOLERANCES[name]
    if value.type.static and not value.type.dims and not value.type.axes:
        found = float(evaluate(value).array)
        if found > 0:
            return found
    raise ModelError.of("E310", value.span, f"`{name}` must be a positive number, known from data")
