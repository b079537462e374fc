"""How the log density of an observed site is had from statistics, as data.

The elements of such a site are its rows. Where all that its parameters read is the same, rows share a cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ppl.axes import Axis
from ppl.model.elimination import Elimination
from ppl.model.expressions import Expr
from ppl.model.kinds import Kinds
from ppl.model.model import Factor, Site


@dataclass(frozen=True, eq=False)
class Cells:
    """The rows of a site, sorted into cells along `axis`.

    Rows run over `plates` in canonical order, the last one fastest. `members` has the cell of each row, None where
    there is but one cell. Where data are read row by row along the plate `stream`, `kinds` tells the cells instead.
    """

    plates: tuple[Axis, ...]
    axis: Axis
    members: np.ndarray | None = field(default=None, repr=False)
    stream: Axis | None = None
    kinds: Kinds | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        return math.prod(axis.size for axis in self.plates)

    @property
    def counts(self) -> np.ndarray:
        """Rows of each cell, as floating numbers."""
        if self.kinds is not None:
            return self.kinds.counts.astype(float)
        if self.members is None:
            return np.array([float(self.rows)])
        return np.bincount(self.members, minlength=self.axis.size).astype(float)


@dataclass(frozen=True, eq=False)
class Collapse:
    """Base. The log density of `site` is worked out from `expressions`, which are over the cells, and statistics."""

    title: ClassVar[str]
    site: Site
    cells: Cells

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """All that is evaluated at every draw."""
        raise NotImplementedError

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Those of its log density: along the cells, unless they share a sum of squares."""
        return (self.cells.axis,)

    @property
    def statistics(self) -> int:
        """Numbers that stand for the data."""
        raise NotImplementedError

    @property
    def work(self) -> float:
        """Numbers touched for one draw, besides the expressions."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class Counts(Collapse):
    """Rows that agree in their value too are counted. `single` is the site with one element for each cell."""

    title = "different rows, counted"
    single: Site

    @property
    def expressions(self) -> tuple[Expr, ...]:
        return self.single.distribution.expressions

    @property
    def statistics(self) -> int:
        return self.cells.axis.size

    @property
    def work(self) -> float:
        return 5.0 * self.cells.axis.size * (1 + len(self.expressions)) * math.prod(d.size for d in self.site.dims)


@dataclass(frozen=True, eq=False)
class CountedElimination:
    """An elimination whose rows are counted: `members` are its statements, and `elimination` its steps, over cells."""

    cells: Cells
    members: tuple[Site | Factor, ...]
    elimination: Elimination


@dataclass(frozen=True, eq=False)
class NaturalSums(Collapse):
    """The sums of the sufficient statistics of an exponential family, one set for each cell.

    `arguments` are the parameters over the cells; `values` is the observed value and `fixed` are the parameters that
    the statistics need, over the rows. The values, and the location among the arguments, are counted from `origin`
    (over the cells; None for 0). A row has `weights` times the log normaliser (over the rows; None for 1), and
    `log_base` is added to its density (over the rows, or None).
    """

    title = "sums of sufficient statistics"
    arguments: dict[str, Expr]
    values: Expr
    fixed: dict[str, Expr]
    origin: Expr | None
    weights: Expr | None
    log_base: Expr | None

    @property
    def expressions(self) -> tuple[Expr, ...]:
        return tuple(self.arguments.values())

    @property
    def statistics(self) -> int:
        form = self.site.distribution.family.exponential
        assert form is not None
        length = math.prod(dim.size for dim in self.site.dims)
        return self.cells.axis.size * (1 + sum(length**rank for rank in form.ranks))

    @property
    def work(self) -> float:
        return 10.0 * self.statistics


@dataclass(frozen=True, eq=False)
class Column:
    """`width` columns of a regression: `coefficient` (over the rows; None for 1) times the sum of `factors`.

    Both are vectors where there are several columns. The factors are over the cells, or the same for all rows.
    """

    coefficient: Expr | None
    factors: tuple[Expr, ...]
    width: int


@dataclass(frozen=True, eq=False)
class LeastSquares(Collapse):
    """A normal whose mean is affine in functions of the latents: the triangular factor of a least-squares problem.

    The mean of a row is `offset` plus its columns, the `local` ones with factors of its cell. Its standard deviation
    is `weight` (over the rows) times `scale` (over the cells or for all; each None for 1). `values` are the observed
    ones, with `log_base` (over the rows, or None) added to the density.
    """

    title = "a triangular least-squares factor"
    values: Expr
    offset: Expr | None
    weight: Expr | None
    scale: Expr | None
    local: tuple[Column, ...]
    shared: tuple[Column, ...]
    log_base: Expr | None

    @property
    def expressions(self) -> tuple[Expr, ...]:
        scale = () if self.scale is None else (self.scale,)
        return (*(factor for column in (*self.local, *self.shared) for factor in column.factors), *scale)

    @property
    def local_width(self) -> int:
        return sum(column.width for column in self.local)

    @property
    def shared_width(self) -> int:
        return sum(column.width for column in self.shared)

    @property
    def axes(self) -> tuple[Axis, ...]:
        return ()

    @property
    def scaled_by_cell(self) -> bool:
        return self.scale is not None and self.cells.axis in self.scale.type.axes

    @property
    def by_cell(self) -> bool:
        """Whether cells have factors of their own."""
        return self.local_width > 0 or self.scaled_by_cell

    @property
    def statistics(self) -> int:
        p, q = self.local_width, self.shared_width
        rest = 2 * self.cells.axis.size if self.scaled_by_cell else 2
        inside = self.cells.axis.size * (p * (p + 1) // 2 + p * q + p) if p else 0
        return inside + q * (q + 1) // 2 + q + rest

    @property
    def work(self) -> float:
        p, q = self.local_width, self.shared_width
        cells = self.cells.axis.size if self.by_cell else 1
        return cells * p * (2.0 * p + 0.2 * q + 3.0) + 0.2 * q * q + 3.0 * q + 5.0 * cells
