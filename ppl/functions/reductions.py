"""Functions of a whole event, or along one of its axes.

Those with signature `(...)->()` are told how many of the last axes are the event by the keyword
`event_rank`; `axis`, counted among the event axes, reduces that one only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ppl.functions.base import FUNCTIONS, Function, always, unknown_domain
from ppl.functions.domains import keeps, sum_domain

Implementation = Callable[..., Any]


def event_axes(event_rank: int, axis: int | None) -> tuple[int, ...]:
    """The axes to reduce, counted from the right."""
    if axis is None:
        return tuple(range(-event_rank, 0))
    return (axis - event_rank if axis >= 0 else axis,)


def _along(reduce: Callable[[Any, Any, tuple[int, ...]], Any]) -> Implementation:
    """An implementation that reduces the whole event, or one axis of it; a scalar counts as one element."""

    def implementation(xp: Any, x: Any, axis: int | None = None, *, event_rank: int) -> Any:
        if event_rank == 0:
            return reduce(xp, xp.reshape(x, (*xp.shape(x), 1)), (-1,))
        return reduce(xp, x, event_axes(event_rank, axis))

    return implementation


def _variance(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    deviation = x - xp.mean(x, axis=axes, keepdims=True)
    return xp.mean(deviation * deviation, axis=axes)


def log_sum_exp(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """`log(sum(exp(x)))` over `axes`, shifted by the largest element; `-inf` where every element is."""
    top = xp.stop_gradient(xp.max(x, axis=axes, keepdims=True))
    shift = xp.where(xp.isfinite(top), top, 0.0)
    return xp.log(xp.sum(xp.exp(x - shift), axis=axes)) + xp.sum(shift, axis=axes)


_each = keeps("boolean", "positive", "count", "unit_interval", "nonnegative", "integer")


def _mean_domain(domain: str) -> str:
    return "real" if domain == "real" else keeps("positive", "unit_interval", "nonnegative")(domain)


# name, doc, reduction, domain rule, names at the Python door
REDUCTIONS: tuple[tuple[str, str, Callable[..., Any], Callable[..., str], str], ...] = (
    ("sum", "Sum.", lambda xp, x, axes: xp.sum(x, axis=axes), sum_domain, "numpy.sum"),
    ("mean", "Arithmetic mean.", lambda xp, x, axes: xp.mean(x, axis=axes), _mean_domain, "numpy.mean"),
    ("prod", "Product.", lambda xp, x, axes: xp.prod(x, axis=axes), _each, "numpy.prod"),
    ("min", "Smallest element.", lambda xp, x, axes: xp.min(x, axis=axes), _each, "numpy.min numpy.amin"),
    ("max", "Largest element.", lambda xp, x, axes: xp.max(x, axis=axes), _each, "numpy.max numpy.amax"),
    ("variance", "Mean squared deviation from the mean.", _variance, always("nonnegative"), "numpy.var"),
    (
        "sd",
        "Square root of the variance.",
        lambda xp, x, axes: xp.sqrt(_variance(xp, x, axes)),
        always("nonnegative"),
        "numpy.std",
    ),
    ("log_sum_exp", "`log(sum(exp(x)))`.", log_sum_exp, unknown_domain, "scipy.special.logsumexp"),
)

for _name, _doc, _reduce, _domain, _numpy in REDUCTIONS:
    FUNCTIONS.register(
        Function(
            _name,
            ("x",),
            _along(_reduce),
            "(...)->()",
            _doc,
            static=("axis",),
            domain=_domain,
            numpy=tuple(_numpy.split()),
            example=(((0.3, -1.2, 2.1), (0.8, 1.7, -0.4)),),
        )
    )
