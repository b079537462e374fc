"""`autograd.scipy.special`, and the functions of `ppl.special` made differentiable from their slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.core import VJPNode
from autograd.extend import defvjp, primitive, register_notrace
from autograd.numpy.numpy_vjps import unbroadcast_f
from autograd.scipy import special as _scipy

from ppl.backends.staging.translate import RULES, elementwise_as
from ppl.special import BENDS, SLOPES, no_slope


def _differentiable(function: Callable[..., Any], slopes: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    """A primitive whose slopes are primitives, with slopes of their own where there is a formula."""
    wrapped = _elementwise(function)
    defvjp(wrapped, *(_rule(place, _slope(slope)) for place, slope in enumerate(slopes)))
    return wrapped


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """A primitive that staged programs take for a function of elements."""
    RULES[function] = elementwise_as(function)
    return primitive(function)


def _rule(place: int, slope: Callable[..., Any]) -> Callable[..., Any]:
    def vjp(answer: Any, *arguments: Any) -> Any:
        return unbroadcast_f(arguments[place], lambda g: g * slope(answer, *arguments))

    return vjp


def _slope(slope: Callable[..., Any]) -> Callable[..., Any]:
    """A slope as a primitive of the function's value and its arguments."""
    wrapped = _elementwise(slope)
    if slope is no_slope:
        register_notrace(VJPNode, wrapped)
    elif slope in BENDS:
        defvjp(wrapped, _by_value, *(_bent(1 + place, bend) for place, bend in enumerate(BENDS[slope])))
    return wrapped


def _by_value(slope: Any, answer: Any, *arguments: Any) -> Any:
    return unbroadcast_f(answer, lambda g: -g * slope)


def _bent(place: int, bend: Callable[..., Any]) -> Callable[..., Any]:
    """The rule of a slope that is a density over the function, by the argument at a place."""

    def vjp(slope: Any, answer: Any, *arguments: Any) -> Any:
        def pulled(g: Any) -> Any:
            with np.errstate(all="ignore"):
                return g * np.where(slope == 0.0, 0.0, slope * bend(*arguments))

        return unbroadcast_f(arguments[place - 1], pulled)

    return vjp


_OWN = {name: _differentiable(function, slopes) for name, (function, slopes) in SLOPES.items()}
RULES[_scipy.polygamma.fun] = elementwise_as(_scipy.polygamma.fun)


def __getattr__(name: str) -> Any:
    return _OWN[name] if name in _OWN else getattr(_scipy, name)
