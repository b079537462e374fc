"""Draws and their derivatives: scaled ones, and implicit ones (Figurnov, Mohamed and Mnih 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from autograd.extend import defvjp, primitive
from autograd.numpy.numpy_vjps import unbroadcast_f


@primitive
def scale_gradient(value: Any, factor: Any) -> Any:
    """The value; what is carried back through it is multiplied by `factor`."""
    return value


defvjp(scale_gradient, lambda answer, value, factor: lambda g: g * factor, argnums=(0,))


@primitive
def _moved(pull_back: Callable[..., dict[str, Any]], names: tuple[str, ...], draw: Any, *parameters: Any) -> Any:
    return draw


@primitive
def _pulled(
    pull_back: Callable[..., dict[str, Any]], names: tuple[str, ...], place: int, draw: Any, g: Any, *parameters: Any
) -> Any:
    return pull_back(draw, g, **dict(zip(names, parameters, strict=True)))[names[place]]


def _rule(argument: int) -> Callable[..., Any]:
    """The derivative by the parameter at position `argument` of `_moved`."""

    def vjp(answer: Any, pull_back: Any, names: tuple[str, ...], draw: Any, *parameters: Any) -> Any:
        place = argument - 3
        return unbroadcast_f(parameters[place], lambda g: _pulled(pull_back, names, place, draw, g, *parameters))

    return vjp


MOST_PARAMETERS = 4
defvjp(_moved, *(_rule(3 + place) for place in range(MOST_PARAMETERS)), argnums=range(3, 3 + MOST_PARAMETERS))


def implicit(pull_back: Callable[..., dict[str, Any]], draw: Any, parameters: Mapping[str, Any]) -> Any:
    """See `ppl.numeric.Namespace.implicit`."""
    return _moved(pull_back, tuple(parameters), draw, *parameters.values())
