"""Means that are affine in functions of the latents: `sum of coefficient * factor`, coefficients known from data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr

MOST_PRODUCTS = 8
"""Terms that the product of two sums may have; beyond it is taken as it stands."""


@dataclass(frozen=True)
class Term:
    """`coefficient * factor`, the inner product where they are vectors. None stands for 1."""

    coefficient: Expr | None
    factor: Expr | None

    @property
    def is_vector(self) -> bool:
        return any(part is not None and bool(part.type.dims) for part in (self.coefficient, self.factor))


# Taking sums apart --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kinds:
    """What of an expression is a coefficient (`known`), and what, given the plates of the rows, a factor as a whole."""

    plates: tuple[Axis, ...]
    known: Callable[[Expr], bool]
    whole: Callable[[Expr, Collection[Axis]], bool]

    def along(self, axis: Axis) -> Kinds:
        return replace(self, plates=(*self.plates, axis))


def terms(node: Expr, plates: Collection[Axis]) -> list[Term]:
    """`node` as a sum of terms with coefficients known from data and factors that are the same for all rows; what is
    not affine in anything is a factor as a whole.
    """
    return split(node, Kinds(tuple(plates), _is_static, _is_shared))


def _is_static(node: Expr) -> bool:
    return node.type.static


def _is_shared(node: Expr, plates: Collection[Axis]) -> bool:
    return not set(node.type.axes) & set(plates)


def split(node: Expr, kinds: Kinds) -> list[Term]:
    """`node` as a sum of terms of these kinds; what is not affine in anything is a factor as a whole."""
    if kinds.known(node):
        return [Term(node, None)]
    if kinds.whole(node, kinds.plates):
        return [Term(None, node)]
    rule = _RULES.get(node.function) if isinstance(node, ex.Call) else None
    found = rule(node, kinds) if rule is not None else None
    return [Term(None, node)] if found is None else found


def _sum_of_two(node: Any, kinds: Kinds) -> list[Term]:
    return split(node.arguments[0], kinds) + split(node.arguments[1], kinds)


def _difference(node: Any, kinds: Kinds) -> list[Term]:
    left, right = node.arguments
    return split(left, kinds) + _negated(split(right, kinds))


def _negative(node: Any, kinds: Kinds) -> list[Term]:
    return _negated(split(node.arguments[0], kinds))


def _negated(parts: list[Term]) -> list[Term]:
    """Minus the terms: the sign goes to the factors, so that equal coefficients stay equal."""
    return [
        Term(p.coefficient, construct.call("negative", [p.factor])) if p.factor is not None
        else Term(construct.call("negative", [p.coefficient or construct.constant(1.0)]), None)
        for p in parts
    ]  # fmt: skip


def _product(node: Any, kinds: Kinds) -> list[Term] | None:
    """Every term of one sum times every term of the other, unless there are too many."""
    left, right = (split(argument, kinds) for argument in node.arguments)
    vectors = any(a.is_vector and b.is_vector for a in left for b in right)
    if vectors or len(left) * len(right) > MOST_PRODUCTS or not _roomy([*left, *right], kinds, node):
        return None
    return [Term(_times(a.coefficient, b.coefficient), _times(a.factor, b.factor)) for a in left for b in right]


def _roomy(parts: list[Term], kinds: Kinds, node: Expr) -> bool:
    """Whether a vector for each row, as new coefficients need them, is within the limit of arrays."""
    widths = [p.factor.type.event[0] for p in parts if p.factor is not None and p.factor.type.dims]
    return construct.fits([max([1, *widths]), *(axis.size for axis in kinds.plates)], [node])


def _times(left: Expr | None, right: Expr | None) -> Expr | None:
    if left is None or right is None:
        return left or right
    return construct.call("multiply", [left, right])


def _quotient(node: Any, kinds: Kinds) -> list[Term] | None:
    above, below = node.arguments
    one = construct.constant(1.0)
    parts = split(above, kinds)
    if not kinds.known(below):
        return [Term(p.coefficient, construct.call("divide", [p.factor or one, below])) for p in parts]
    if not _roomy(parts, kinds, node):
        return None
    return [Term(construct.call("divide", [p.coefficient or one, below]), p.factor) for p in parts]


def _inner_product(node: Any, kinds: Kinds) -> list[Term] | None:
    for known, other in (node.arguments, node.arguments[::-1]):
        if kinds.known(known) and kinds.whole(other, kinds.plates):
            return [Term(known, other)]
    axis = construct.fresh_axis("column", node.arguments[0].type.event[0])
    if not construct.fits([axis.size, *(plate.size for plate in kinds.plates)], [node]):
        return None
    left, right = (construct.named(argument, 0, axis) for argument in node.arguments)
    return _summed(construct.call("multiply", [left, right]), axis, kinds)


def _total(node: Any, kinds: Kinds) -> list[Term] | None:
    (part,) = node.arguments
    if len(part.type.dims) != 1:
        return None
    if isinstance(part, ex.Lift) and len(part.axes) == 1 and part.axes[0] in part.base.type.axes:
        return _summed(part.base, part.axes[0], kinds)
    axis = construct.fresh_axis("column", part.type.event[0])
    return _summed(construct.named(part, 0, axis), axis, kinds)


def _summed(node: Expr, axis: Axis, kinds: Kinds) -> list[Term] | None:
    """The sum over `axis` of the terms of `node`."""
    parts = split(node, kinds.along(axis))
    if len(parts) > MOST_PRODUCTS or any(part.is_vector for part in parts):
        return None
    return [_summed_term(part, axis) for part in parts]


def _summed_term(part: Term, axis: Axis) -> Term:
    coefficient, factor = part.coefficient, part.factor
    outside = coefficient is not None and axis in coefficient.type.axes
    inside = factor is not None and axis in factor.type.axes
    if outside and inside:
        return Term(_lifted(coefficient, axis), _lifted(factor, axis))
    if outside:
        return Term(construct.call("sum", [_lifted(coefficient, axis)]), factor)
    if inside:
        return Term(coefficient, construct.call("sum", [_lifted(factor, axis)]))
    return Term(_times(coefficient, construct.constant(float(axis.size))), factor)


def _lifted(node: Expr | None, axis: Axis) -> Expr:
    assert node is not None
    return construct.lift(node, [axis])


_RULES: dict[str, Callable[[Any, Kinds], list[Term] | None]] = {
    "add": _sum_of_two,
    "subtract": _difference,
    "negative": _negative,
    "positive": lambda node, kinds: split(node.arguments[0], kinds),
    "multiply": _product,
    "divide": _quotient,
    "dot": _inner_product,
    "sum": _total,
}


# What is the same ---------------------------------------------------------------------------------------


def fingerprint(node: Expr | None) -> Hashable:
    """Equal for expressions that are written alike: static ones, and what reads the same elements of the same sites."""
    if node is None:
        return None
    parts = tuple(fingerprint(child) for child in node.children)
    own: Hashable = id(node)
    if isinstance(node, ex.Constant):
        array = np.asarray(node.value)
        own = (array.dtype.str, array.shape, array.tobytes())
    elif isinstance(node, ex.Data | ex.Streamed | ex.Value | ex.BatchRows):
        own = node.name
    elif isinstance(node, ex.Call):
        own = (node.function, node.static)
    elif isinstance(node, ex.AxisIndex | ex.BatchIndex | ex.Named):
        own = (getattr(node, "dim", None), node.axis)
    elif isinstance(node, ex.SliceOf):
        own = (node.dim, node.start, node.stop)
    elif isinstance(node, ex.Gather):
        own = tuple(item is None for item in node.items)
    elif isinstance(node, ex.Lift):
        own = node.axes
    return (type(node).__name__, own, parts)
