"""Forms that look like functions and are not: they need lengths, shapes or a distribution, not values alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ppl.errors import ModelError
from ppl.language import syntax
from ppl.model import construct
from ppl.model.expressions import Dim, Expr
from ppl.model.messages import plural, written
from ppl.model.resolve import evaluate

if TYPE_CHECKING:
    from ppl.language.meaning import Scope


def positional_arguments(node: syntax.Call, signature: str, low: int, high: int) -> tuple[syntax.Expression, ...]:
    """The arguments of a call that takes so many by position and none by keyword."""
    given = len(node.positional) + len(node.keywords)
    if node.keywords or not low <= given <= high:
        takes = plural(low, "argument") if low == high else f"{low} to {high} arguments"
        raise ModelError.of("E303", node.span, f"{signature} takes {takes} by position, {given} given")
    return node.positional


def _size(scope: Scope, node: syntax.Call) -> Expr:
    """`size(x)` or `size(x, dimension)`."""
    array, *rest = positional_arguments(node, "size(x, dimension)", 1, 2)
    value = scope.expression(array)
    dims = value.type.dims
    which = scope.number(rest[0], "the dimension") if rest else 0
    if not 0 <= which < len(dims):
        has = plural(len(dims), "dimension")
        raise ModelError.of("E307", node.span, f"{written(value)} has {has}, counted from 0: there is no {which}")
    return construct.constant(dims[which].size, node.span)


def _rep(scope: Scope, node: syntax.Call) -> Expr:
    """`rep(x, n, …)`: x in every element of an array of that shape."""
    first, *lengths = positional_arguments(node, "rep(x, length, …)", 2, 4)
    value = scope.expression(first)
    axes = [construct.fresh_axis("rep", scope.length(length)) for length in lengths]
    construct.check_room([axis.size for axis in axes], node.span)
    labels = [length.span.text if isinstance(length, syntax.Name) else None for length in lengths]
    if value.type.static and not value.type.axes and not value.type.dims:
        array = np.full([axis.size for axis in axes], evaluate(value).array)
        filled = construct.constant(array, node.span)
        dims = tuple(Dim(axis.size, label) for axis, label in zip(axes, labels, strict=True))
        return replace(filled, type=replace(filled.type, dims=dims))
    return replace(construct.lift(value, axes, labels), span=node.span)


def _eye(scope: Scope, node: syntax.Call) -> Expr:
    (length,) = positional_arguments(node, "eye(length)", 1, 1)
    size = scope.length(length)
    construct.check_room([size, size], node.span)
    return construct.constant(np.eye(size), node.span)


def _logpdf(scope: Scope, node: syntax.Call) -> Expr:
    """`logpdf(distribution, value)`."""
    which, at = positional_arguments(node, "logpdf(distribution, value)", 2, 2)
    use = scope.distribution(which)
    return construct.log_density(use.family, scope.expression(at), use.arguments, node.span)


FORMS: dict[str, Callable[[Scope, syntax.Call], Expr]] = {
    "size": _size,
    "rep": _rep,
    "eye": _eye,
    "logpdf": _logpdf,
}
