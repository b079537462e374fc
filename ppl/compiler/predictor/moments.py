"""Mean and variance of an affine expression of Gaussian coordinates, as expressions of their moments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from ppl.axes import Axis, union
from ppl.compiler.collapse.linear import fingerprint
from ppl.compiler.predictor.affine import Affine, signless
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Dim, Expr, Type, values_read
from ppl.model.model import Model
from ppl.model.resolve import evaluate
from ppl.model.rewrite import substituted

MEAN, VARIANCE, COLUMN = "mean", "variance", "column"


@dataclass(frozen=True)
class Covariance:
    """How a guide gives the covariance of its coordinates: a diagonal, to which the outer products of some `columns`
    are added, or one of the two. `independent` says that all coordinates are.
    """

    diagonal: bool
    columns: int
    independent: bool

    @property
    def axis(self) -> Axis:
        return Axis("column of the covariance", self.columns, order=-200_000)

    @property
    def parts(self) -> tuple[str, ...]:
        return (MEAN, *([VARIANCE] if self.diagonal else []), *([COLUMN] if self.columns else []))


@dataclass(frozen=True, eq=False)
class Moments:
    mean: Expr
    variance: Expr


def moment(kind: str, name: str) -> str:
    """The name under which a moment of the coordinates of a site is read."""
    return f"{kind} of {name}"


def moments(model: Model, found: Affine, covariance: Covariance) -> Moments | None:
    """None where it cannot be told whether a row reads a coordinate twice."""
    reads = _reads(found)
    parts: list[Expr] = []
    if covariance.diagonal:
        own = _independent(model, found, reads)
        if own is None:
            return None
        parts.append(own)
    if covariance.columns:
        parts.append(_correlated(model, found, reads, covariance.axis))
    variance = parts[0] if len(parts) == 1 else _call("add", *parts)
    return Moments(substituted(found.node, _given(model, found, MEAN)), variance)


def _given(model: Model, found: Affine, kind: str) -> dict[str, Expr]:
    """A moment for each of the sites."""
    return {name: replace(coordinate(model, name), name=moment(kind, name)) for name in found.sites}


def coordinate(model: Model, name: str) -> ex.Value:
    """The Gaussian coordinate of a real site."""
    kind = model.value_type(name)
    return ex.Value(replace(kind, axes=union([kind.axes])), None, name)


@dataclass(frozen=True)
class _Read:
    """`coefficient * factor`, coordinates of one site as they stand; the inner product of vectors."""

    coefficient: Expr
    factor: Expr
    site: str

    def times(self, coefficient: Expr, factor: Expr) -> Expr:
        return _call("dot" if factor.type.dims else "multiply", coefficient, factor)


def _reads(found: Affine) -> list[_Read]:
    """The terms that read coordinates, those of the same ones as one."""
    together: dict[object, _Read] = {}
    for term in found.terms:
        if term.factor is None:
            continue
        factor, sign = signless(term.factor)
        coefficient = term.coefficient or construct.constant(1.0)
        coefficient = coefficient if sign > 0 else _call("negative", coefficient)
        key = fingerprint(factor)
        if key in together:
            coefficient = _call("add", together[key].coefficient, coefficient)
        (site,) = values_read(factor) & found.sites
        together[key] = _Read(coefficient, factor, site)
    return list(together.values())


def _independent(model: Model, found: Affine, reads: list[_Read]) -> Expr | None:
    """The variance where all coordinates are independent; None where two reads may have some in common."""
    given = _given(model, found, VARIANCE)
    total: Expr | None = None
    cancels = False
    for read in reads:
        part = read.times(_call("square", read.coefficient), substituted(read.factor, given))
        total = part if total is None else _call("add", total, part)
    for one, other in combinations(reads, 2):
        if one.site != other.site:
            continue
        same = _same_element(one.factor, other.factor)
        if same is None:
            return None
        if same.type.static and not np.any(evaluate(same).array):
            continue
        twice = _call("multiply", construct.constant(2.0), _call("multiply", one.coefficient, other.coefficient))
        shared = _call("multiply", twice, substituted(one.factor, given))
        assert total is not None
        total, cancels = _call("add", total, _call("where", same, shared, construct.constant(0.0))), True
    # a row may read an element and take it away again: what rounding leaves may be below 0
    return _call("maximum", total, construct.constant(0.0)) if cancels and total is not None else total


def _same_element(one: Expr, other: Expr) -> Expr | None:
    """Whether two lookups find the same element, row by row; None where they are not lookups of single elements."""
    if not (isinstance(one, ex.Gather) and isinstance(other, ex.Gather)) or one.type.dims or other.type.dims:
        return None
    if fingerprint(one.base) != fingerprint(other.base) or None in (*one.items, *other.items):
        return None
    same: Expr | None = None
    for left, right in zip(one.items, other.items, strict=True):
        assert left is not None
        assert right is not None
        equal = _call("equal", left, right)
        same = equal if same is None else _call("logical_and", same, equal)
    return same


def _correlated(model: Model, found: Affine, reads: list[_Read], axis: Axis) -> Expr:
    """The sum of squares over columns whose outer products are the covariance."""
    given = _given(model, found, COLUMN)
    total: Expr | None = None
    for read in reads:
        part = read.times(read.coefficient, substituted(read.factor, given))
        total = part if total is None else _call("add", total, part)
    assert total is not None
    kind = Type(found.node.type.axes, (Dim(axis.size),), "real", static=False)
    return _call("sum", ex.Lift(kind, None, _call("square", total), (axis,)))


def _call(name: str, *parts: Expr) -> Expr:
    return construct.call(name, list(parts))
