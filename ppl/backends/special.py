"""`autograd.scipy.special`, and the functions of `ppl.special` made differentiable from their slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd.extend import defvjp, primitive
from autograd.numpy.numpy_vjps import unbroadcast_f
from autograd.scipy import special as _scipy

from ppl.special import SLOPES


def _differentiable(function: Callable[..., Any], slopes: tuple[Callable[..., Any], ...]) -> Callable[..., Any]:
    """A primitive whose slopes are primitives without slopes of their own: first derivatives only."""
    wrapped = primitive(function)
    defvjp(wrapped, *(_rule(place, primitive(slope)) for place, slope in enumerate(slopes)))
    return wrapped


def _rule(place: int, slope: Callable[..., Any]) -> Callable[..., Any]:
    def vjp(answer: Any, *arguments: Any) -> Any:
        return unbroadcast_f(arguments[place], lambda g: g * slope(answer, *arguments))

    return vjp


_OWN = {name: _differentiable(function, slopes) for name, (function, slopes) in SLOPES.items()}


def __getattr__(name: str) -> Any:
    return _OWN[name] if name in _OWN else getattr(_scipy, name)
