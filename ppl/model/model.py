"""The middle: an immutable `Model` of statements over named axes, with every shape known.

A door (text or Python) builds one when data are bound; everything after reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.distributions import Distribution
from ppl.model.circles import circles
from ppl.model.expressions import Dim, Expr, Type, values_read
from ppl.source import Span
from ppl.streams import Column


@dataclass(frozen=True)
class DistributionUse:
    """A distribution with its arguments, by parameter name. The family may be one that a combinator made."""

    family: Distribution
    arguments: dict[str, Expr]
    span: Span | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.family.name

    @property
    def expressions(self) -> tuple[Expr, ...]:
        return tuple(self.arguments.values())


@dataclass(frozen=True)
class SupportOf:
    """The support of one site's values: a registered support and the expressions of its arguments."""

    name: str
    arguments: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Note:
    """What a user asked for a statement: `@score`, `@point`, … with its arguments."""

    name: str
    arguments: tuple[Any, ...] = ()
    span: Span | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Statement:
    """Base of the statements. `axes` are its plates, outermost first; `dims` the event dimensions of its value.

    In ragged plates `present` says, from data alone, which elements exist; None where all do.
    """

    name: str
    axes: tuple[Axis, ...]
    span: Span | None = field(repr=False)
    present: Expr | None = field(default=None, kw_only=True, repr=False)

    @property
    def inputs(self) -> tuple[Expr, ...]:
        """The expressions the statement reads."""
        raise NotImplementedError

    @cached_property
    def reads(self) -> frozenset[str]:
        """Names of the statements it reads."""
        return values_read(*self.inputs)


@dataclass(frozen=True)
class Site(Statement):
    """`name ~ distribution`, observed where `observed` is given."""

    distribution: DistributionUse
    dims: tuple[Dim, ...]
    support: SupportOf
    observed: Expr | None = None
    notes: tuple[Note, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Plate lengths and event lengths: the shape of one draw of the value."""
        return tuple(axis.size for axis in self.axes) + tuple(dim.size for dim in self.dims)

    @property
    def inputs(self) -> tuple[Expr, ...]:
        observed = () if self.observed is None else (self.observed,)
        return (*self.distribution.expressions, *self.support.arguments, *observed)


@dataclass(frozen=True)
class Deterministic(Statement):
    """`name = value`."""

    value: Expr

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes) + self.value.type.event

    @property
    def inputs(self) -> tuple[Expr, ...]:
        return (self.value,)


@dataclass(frozen=True)
class Factor(Statement):
    """`factor name = value`: added to the log density, once for each element of its plates."""

    value: Expr

    @property
    def inputs(self) -> tuple[Expr, ...]:
        return (self.value,)


@dataclass(frozen=True)
class Param(Statement):
    """`param name: support = initial`: a point estimate learned with the guide; no draw, no prior.

    A latent that is optimised as a point is one too; `prior` is then the factor that holds its log density. `network`
    marks weights and biases.
    """

    dims: tuple[Dim, ...]
    support: SupportOf
    initial: np.ndarray | float
    prior: str = ""
    network: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes) + tuple(dim.size for dim in self.dims)

    @property
    def inputs(self) -> tuple[Expr, ...]:
        return self.support.arguments


@dataclass(frozen=True)
class Batch:
    """A plate of `total` elements of which each step of a fit sees `size` random ones.

    `axis` is the plate in the model at hand: all of it, or in the model of one step (see `ppl.model.subsample`) the
    elements drawn, which `name` tells by their positions.
    """

    axis: Axis
    size: int
    total: int
    span: Span | None = field(default=None, repr=False, compare=False)
    columns: tuple[Column, ...] = field(default=(), repr=False, compare=False)
    """What is read row by row along it, in the model of one step."""

    @property
    def name(self) -> str:
        return f"batch of {self.axis.name}"

    @property
    def handed_in(self) -> tuple[str, ...]:
        """The names under which a step is handed the positions drawn and the rows there."""
        return (self.name, *(rows_of(column) for column in self.columns))

    @property
    def drawn(self) -> bool:
        """Whether the model at hand is that of one step."""
        return self.axis.size == self.size < self.total


def rows_of(column: Column) -> str:
    """The name under which a step is handed its rows of a column."""
    return f"rows of {column.name}"


@dataclass(frozen=True)
class Model:
    """Statements in an order in which each reads only earlier ones.

    `predicted` are run once for each posterior draw and do not enter the log density. `batches` are the plates that a
    fit goes through in random parts.
    """

    name: str
    statements: tuple[Statement, ...]
    predicted: tuple[Statement, ...] = ()
    batches: tuple[Batch, ...] = ()

    @cached_property
    def by_name(self) -> dict[str, Statement]:
        return {statement.name: statement for statement in (*self.statements, *self.predicted)}

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        return tuple(s for s in self.statements if isinstance(s, Site))

    @cached_property
    def latents(self) -> tuple[Site, ...]:
        return tuple(site for site in self.sites if site.observed is None)

    @cached_property
    def observed(self) -> tuple[Site, ...]:
        return tuple(site for site in self.sites if site.observed is not None)

    @cached_property
    def params(self) -> tuple[Param, ...]:
        return tuple(s for s in self.statements if isinstance(s, Param))

    @cached_property
    def deterministics(self) -> tuple[Deterministic, ...]:
        return tuple(s for s in self.statements if isinstance(s, Deterministic))

    @cached_property
    def plates(self) -> tuple[Axis, ...]:
        """Every plate, in the order in which they were opened."""
        axes = {axis for statement in (*self.statements, *self.predicted) for axis in statement.axes}
        return tuple(sorted(axes, key=lambda axis: axis.order))

    def random_ancestors(self, statement: Statement) -> frozenset[str]:
        """Names of the sites and params a statement reads, looking through deterministic statements."""
        found: set[str] = set()
        for name in statement.reads:
            parent = self.by_name[name]
            found |= self.random_ancestors(parent) if isinstance(parent, Deterministic) else {name}
        return frozenset(found)

    @cached_property
    def circular(self) -> frozenset[str]:
        """Names of the latent sites that depend on themselves: on their own past, directly or through other latents."""
        reads = {site.name: self.random_ancestors(site) for site in self.latents}
        return frozenset(name for group in circles(reads) for name in group)

    def value_type(self, name: str) -> Type:
        """The type of the value of a statement, its plates as named axes."""
        statement = self.by_name[name]
        if isinstance(statement, Deterministic):
            return Type(statement.axes, statement.value.type.dims, statement.value.type.domain, static=False)
        if isinstance(statement, Site | Param):
            return Type(statement.axes, statement.dims, statement.support.name, static=False)
        raise KeyError(name)
