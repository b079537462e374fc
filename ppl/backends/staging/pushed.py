"""Derivatives of functions that are not looked into, from autograd's tables, as kernels of staged programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from autograd import make_vjp
from autograd.builtins import tuple as traced_tuple
from autograd.core import VJPNode, primitive_vjps, vspace
from autograd.tracer import notrace_primitives, trace_primitives_map

from ppl.backends.staging.graph import Call, Hole
from ppl.backends.staging.recording import NotRecordable


def is_flat(function: Callable[..., Any]) -> bool:
    """Whether nothing is carried back through it: it has steps only, or is held constant."""
    primitive = trace_primitives_map.get(function)
    return primitive in notrace_primitives[VJPNode]


def _rule_of(function: Callable[..., Any]) -> Callable[..., Any]:
    primitive = trace_primitives_map.get(function)
    if primitive not in primitive_vjps:
        name = getattr(function, "__name__", type(function).__name__)
        raise NotRecordable(f"`{name}` has no second derivatives")
    rule: Callable[..., Any] = primitive_vjps[primitive]
    return rule


@dataclass(frozen=True, eq=False)
class Slope:
    """The derivative of a function that works element by element by its argument `place`.

    Called with the function's value and its arguments. Where it is to be differentiated itself, autograd sees through
    it.
    """

    function: Callable[..., Any]
    place: int

    @staticmethod
    @cache
    def of(function: Callable[..., Any], place: int) -> Slope:
        """One object for each function and place. Raises NotRecordable where there is no rule."""
        _rule_of(function)
        return Slope(function, place)

    def __call__(self, value: Any, *arguments: Any) -> Any:
        full = np.broadcast_arrays(*arguments, value)
        rule = _rule_of(self.function)
        (slope,) = rule((self.place,), full[-1], tuple(full[:-1]), {})(np.ones(full[-1].shape))
        return slope


@dataclass(frozen=True, eq=False)
class Pushed:
    """The tangents of a call's outcome in each direction: its vector-Jacobian product is linear in the cotangent, and
    the adjoint of that is the Jacobian-vector product.

    Called with the outcome, the operands, and the tangents (directions, …) of those that are `moved`.
    """

    call: Call
    moved: tuple[int, ...]
    directions: int

    @classmethod
    def of(cls, call: Call, moved: tuple[int, ...], directions: int) -> Pushed:
        """Raises NotRecordable where the function has no derivative."""
        _rule_of(call.function)
        if any(isinstance(value, Hole) for _, value in call.keywords):
            raise NotRecordable("a keyword varies")
        return cls(call, moved, directions)

    def __call__(self, value: Any, *rest: Any) -> Any:
        holes = [place for place, part in enumerate(self.call.arguments) if isinstance(part, Hole)]
        numbers = {self.call.arguments[place].number: place for place in holes}
        arguments = list(self.call.arguments)
        for number, place in numbers.items():
            arguments[place] = rest[number]
        places = tuple(numbers[number] for number in self.moved)
        tangents = rest[len(holes) :]
        rule = _rule_of(self.call.function)

        def back(cotangent: Any) -> Any:
            return traced_tuple(tuple(rule(places, value, tuple(arguments), dict(self.call.keywords))(cotangent)))

        try:
            forward, _ = make_vjp(back)(vspace(value).ones())  # at zero some rules leave parts out
            found = [forward(tuple(_part(one, k) for one in tangents)) for k in range(self.directions)]
        except (NotImplementedError, TypeError) as error:
            raise NotRecordable(str(error)) from error
        if isinstance(value, tuple):
            return tuple(np.stack(parts) for parts in zip(*found, strict=True))
        return np.stack(found)


def _part(tangent: Any, number: int) -> Any:
    return tuple(part[number] for part in tangent) if isinstance(tangent, tuple) else tangent[number]
