"""A normal site whose mean is affine in functions of the latents, as a regression with data for its columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ppl.axes import Axis
from ppl.compiler.collapse.candidate import Candidate
from ppl.compiler.collapse.linear import Term, fingerprint, terms
from ppl.compiler.collapse.rows import all_positive, at_cells, first_places, keys
from ppl.model import construct
from ppl.model.collapse import Column, LeastSquares
from ppl.model.expressions import Expr

REGRESSIONS = frozenset({"normal", "lognormal"})
"""The families, the second through the logarithms of its values."""
MOST_COLUMNS = 500
"""Columns of the widest regression."""


def least_squares(candidate: Candidate) -> LeastSquares | None:
    """None where the family is no normal, its mean has too many columns, or the rows fall into too many cells.

    Where the factors of a mean, or the scale, differ by row (by a group that data name), so do the cells.
    """
    if candidate.family not in REGRESSIONS:
        return None
    plates, arguments, values = candidate.plates, candidate.arguments, candidate.values
    spread = _spread(arguments["scale"], plates)
    if spread is None:
        return None
    weight, scale = spread
    by_cell = scale is not None and _varies(scale, plates)
    offset, columns = _columns(terms(arguments["loc"], plates), plates)
    local = [c for c in columns if by_cell or any(_varies(factor, plates) for factor in c.factors)]
    shared = [c for c in columns if c not in local]
    told_by = [key for column in local for factor in column.factors for key in keys(factor, plates)]
    told_by += [] if scale is None else list(keys(scale, plates))
    p, q = (sum(column.width for column in part) for part in (local, shared))
    if p + q > MOST_COLUMNS:
        return None
    most = candidate.most_work / (p * (2.0 * p + 0.2 * q + 4.0) + 5.0 * by_cell) if p or by_cell else 1.0
    cells = candidate.cells(told_by, most)
    if cells is None:
        return None
    places = first_places(cells)
    inside = [replace(c, factors=tuple(at_cells(factor, cells, places) for factor in c.factors)) for c in local]
    lognormal = candidate.family == "lognormal"
    log_values = construct.call("log", [values]) if lognormal else values
    return LeastSquares(
        candidate.site,
        cells,
        values=log_values,
        offset=offset,
        weight=weight,
        scale=None if scale is None else at_cells(scale, cells, places),
        local=tuple(inside),
        shared=tuple(shared),
        log_base=construct.call("negative", [log_values]) if lognormal else None,
    )


def _varies(node: Expr, plates: Iterable[Axis]) -> bool:
    return bool(set(node.type.axes) & set(plates))


def _spread(scale: Expr, plates: tuple[Axis, ...]) -> tuple[Expr | None, Expr | None] | None:
    """The scale as a positive number known from data times one that is not, None standing for 1; None for neither."""
    parts = terms(scale, plates)
    if scale.type.static or (len(parts) == 1 and parts[0].coefficient is not None and not parts[0].is_vector):
        known = parts[0].coefficient
        assert known is not None
        if not all_positive(known, plates):
            return None
        return known, parts[0].factor
    return None, scale


@dataclass
class _Group:
    """Factors with the same coefficient."""

    coefficient: Expr | None
    factors: list[Expr] = field(default_factory=list)

    @property
    def width(self) -> int:
        return self.factors[0].type.event[0] if self.factors[0].type.dims else 1


def _columns(parts: Sequence[Term], plates: tuple[Axis, ...]) -> tuple[Expr | None, list[Column]]:
    """What is known from data, and the columns with their factors; those with the same coefficient are one."""
    offset: Expr | None = None
    groups: dict[object, _Group] = {}
    for part in parts:
        if part.factor is None:
            assert part.coefficient is not None
            offset = part.coefficient if offset is None else construct.call("add", [offset, part.coefficient])
            continue
        term = _constant_moved(part.coefficient, part.factor, plates)
        groups.setdefault(fingerprint(term[0]), _Group(term[0])).factors.append(term[1])
    return offset, [Column(group.coefficient, tuple(group.factors), group.width) for group in groups.values()]


def _constant_moved(coefficient: Expr | None, factor: Expr, plates: tuple[Axis, ...]) -> tuple[Expr | None, Expr]:
    """A coefficient that is the same for all rows belongs to the factor."""
    if coefficient is None or _varies(coefficient, plates):
        return coefficient, factor
    return None, construct.call("dot" if coefficient.type.dims else "multiply", [coefficient, factor])
