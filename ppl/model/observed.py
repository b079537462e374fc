"""Checks of what is observed, and of values that must exist: shapes, and values against supports known from data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ppl.axes import union
from ppl.constraints import SUPPORTS
from ppl.errors import ModelError
from ppl.model import messages
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.model import Site, SupportOf
from ppl.model.resolve import NumpyLanguage, Resolved, Resolver, evaluate
from ppl.source import Span


def check_room(name: str, support_of: SupportOf, dims: Sequence[Dim], span: Span | None) -> None:
    """A value of a support such as the simplex has at least one element."""
    bijection = SUPPORTS[support_of.name].bijection
    event = tuple(dim.size for dim in dims)
    if bijection is not None and min(bijection.unconstrained(event), default=0) < 0:
        raise ModelError.of("E305", span, f"`{name}` has no elements", f"a {support_of.name} has at least one")


def check_observed(site: Site, observed: Expr) -> None:
    """Shape and, where the support is known from data alone, the values."""
    if observed.type.event != tuple(dim.size for dim in site.dims):
        given = f"{messages.written(observed)} {messages.extent(observed.type)}"
        draw = f"a draw of {site.distribution.name} {messages.extent(Type((), site.dims))}"
        raise ModelError.of("E302", observed.span or site.span, f"{given}, {draw}")
    if not observed.type.static or any(not a.type.static for a in site.support.arguments):
        return
    support = SUPPORTS[site.support.name]
    arguments = [evaluate(argument) for argument in site.support.arguments]
    found = evaluate(observed)
    value, *ends = Resolver(NumpyLanguage()).align([found, *arguments])
    gaps = np.any(np.isnan(value), axis=tuple(range(-support.event_rank, 0)))
    inside = np.asarray(support.contains(value, *ends)) | gaps
    if not np.all(inside):
        _raise_outside(site, support.describe, Resolved(value, found.axes, found.event_rank), arguments, inside)


def _raise_outside(
    site: Site, describe: str, found: Resolved[Any], arguments: Sequence[Resolved[Any]], inside: np.ndarray
) -> None:
    where = messages.first_false(inside)
    axes = union([found.axes, *(argument.axes for argument in arguments)])
    places = dict(zip(axes, where, strict=False))
    at = ", ".join(str(places[axis] + axis.start) for axis in site.axes if axis in places)
    name = f"{site.name}[{at}]" if at else site.name
    if not site.dims:
        name += f" = {messages.number(np.broadcast_to(found.array, inside.shape)[where])}"
    pairs = zip(site.support.arguments, arguments, strict=True)
    ends = [messages.range_end(expression, argument, places) for expression, argument in pairs]
    outside = f"is outside {ends[0]}..{ends[1]}" if len(ends) == 2 else f"is not {describe.format(*ends)}"
    raise ModelError.of("E504", site.span, f"{name} {outside}: the log density is -inf for every parameter value")
