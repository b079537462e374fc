"""Expressions: the nodes of the middle, immutable, each with the type of its value.

Two ways of having an extent exist side by side. A named axis (`Type.axes`) comes from an index: inside `plate n in N`
the value `x[n]` is a scalar with axis `n`. An event dimension (`Type.dims`) belongs to the value itself, as
in the whole array `x`. `Named` turns the second into the first, `Lift` the first into the second; both cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.distributions import Distribution
from ppl.functions import UNKNOWN
from ppl.source import Span
from ppl.streams import Column


@dataclass(frozen=True)
class Dim:
    """One event dimension. `label` is the extent it came from (a plate, a size), `origin` its first index."""

    size: int
    label: str | None = None
    origin: int = 0

    def __str__(self) -> str:
        return f"{self.size} ({self.label})" if self.label and self.label != str(self.size) else str(self.size)


@dataclass(frozen=True)
class Type:
    """The named axes, event dimensions, support (`domain`) and staticness of a value.

    `static` values depend on data alone.
    """

    axes: tuple[Axis, ...] = ()
    dims: tuple[Dim, ...] = ()
    domain: str = UNKNOWN
    static: bool = True

    @property
    def event(self) -> tuple[int, ...]:
        return tuple(dim.size for dim in self.dims)

    def __str__(self) -> str:
        return "[" + ", ".join(str(dim) for dim in self.dims) + "]" if self.dims else "a scalar"


@dataclass(frozen=True, eq=False)
class Expr:
    """Base of all expressions. Two nodes are the same only if they are the same object."""

    type: Type
    span: Span | None = field(repr=False)

    @property
    def children(self) -> tuple[Expr, ...]:
        return ()


@dataclass(frozen=True, eq=False)
class Constant(Expr):
    """A number or an array written in the model."""

    value: Any


@dataclass(frozen=True, eq=False)
class Data(Expr):
    """A bound data entry. `value` is what was bound, kept for checks of indices and domains."""

    name: str
    value: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Streamed(Expr):
    """Data that are read row by row, the rows in front. No program has all of them at once, so they are not static."""

    name: str
    column: Column = field(repr=False)


@dataclass(frozen=True, eq=False)
class Value(Expr):
    """The value of a site, deterministic or parameter, with that statement's plates as axes."""

    name: str


@dataclass(frozen=True, eq=False)
class AxisIndex(Expr):
    """The index of an axis: the integers `start:stop` along it."""

    axis: Axis


@dataclass(frozen=True, eq=False)
class BatchIndex(Expr):
    """The positions, counted from 0, of the elements of a plate that one step of a fit sees, along the plate `axis` of
    that step. They are handed in under `name`.
    """

    axis: Axis
    name: str


@dataclass(frozen=True, eq=False)
class BatchRows(Expr):
    """The rows of streamed data that one step of a fit sees, along its plate `axis`; handed in under `name`."""

    axis: Axis
    name: str
    column: Column = field(repr=False)


@dataclass(frozen=True, eq=False)
class Call(Expr):
    """A function of the registry applied to arguments."""

    function: str
    arguments: tuple[Expr, ...]
    static: tuple[tuple[str, Any], ...] = ()

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.arguments


@dataclass(frozen=True, eq=False)
class LogDensity(Expr):
    """The log density of a distribution at a value, elementwise over batches: `logpdf(normal(0, 1), x)`."""

    family: Distribution
    value: Expr
    parameters: tuple[str, ...]
    arguments: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.value, *self.arguments)


@dataclass(frozen=True, eq=False)
class SliceOf(Expr):
    """`base[…, start:stop, …]` on event dimension `dim`."""

    base: Expr
    dim: int
    start: int
    stop: int

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base,)


@dataclass(frozen=True, eq=False)
class Gather(Expr):
    """`base[items]`: one item for each of the leading event dimensions, None keeping the dimension whole.

    Items count from 0 whatever the dimension's origin. Items that have event dimensions all have the same ones.
    """

    base: Expr
    items: tuple[Expr | None, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base, *(item for item in self.items if item is not None))


@dataclass(frozen=True, eq=False)
class Named(Expr):
    """Event dimension `dim` of `base` read element by element along `axis`."""

    base: Expr
    dim: int
    axis: Axis

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base,)


@dataclass(frozen=True, eq=False)
class Lift(Expr):
    """Named axes of `base` seen as leading event dimensions, in the order given."""

    base: Expr
    axes: tuple[Axis, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base,)


@dataclass(frozen=True)
class Past:
    """What the steps of a recurrence read as `leaf`: the `state`-th state at the steps `positions`, counted from 0.

    `positions` has one for each step and each element of `axes`. Those that are not earlier are read, but not used.
    """

    leaf: Value
    state: int
    axes: tuple[Axis, ...]
    positions: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False)
class Recurrence(Expr):
    """States that are computed one step after another along `time`, each from earlier ones. Read by `State`s.

    `steps` has one expression for each state, over the leaves of `pasts` and the leaves `given`, which stand for
    `inputs`: whatever does not depend on the states. `names` and `written` are the statements they come from, which
    read their own values.
    """

    time: Axis
    names: tuple[str, ...]
    written: tuple[Expr, ...]
    steps: tuple[Expr, ...]
    pasts: tuple[Past, ...]
    given: tuple[Value, ...]
    inputs: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.inputs


@dataclass(frozen=True, eq=False)
class State(Expr):
    """One state of a recurrence, at all steps."""

    base: Recurrence
    number: int

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.base,)

    @property
    def written(self) -> Expr:
        """The state's step as its statement was written."""
        return self.base.written[self.number]


@dataclass(frozen=True, eq=False)
class Before(Expr):
    """The element before of a site that is a hidden Markov chain, wherever there is one."""

    name: str


@dataclass(frozen=True, eq=False)
class Solution(Expr):
    """`ode(name, initial, start, times, …)`: the solution of `z' = slope(t, z)`, one for each of `times` in front.

    `slope` is over the leaves `time` and `state` and the leaves `given`, which stand for `inputs`.
    """

    name: str
    slope: Expr
    time: Value
    state: Value
    given: tuple[Value, ...]
    initial: Expr
    inputs: tuple[Expr, ...]
    start: float
    times: np.ndarray = field(repr=False)
    rtol: float
    atol: float

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.initial, *self.inputs)


def walk(*roots: Expr) -> Iterator[Expr]:
    """Every node below `roots`, once, children before parents."""
    seen: set[int] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children))


def values_read(*roots: Expr) -> frozenset[str]:
    """Names of the statements whose values the expressions read."""
    return frozenset(node.name for node in walk(*roots) if isinstance(node, Value))
