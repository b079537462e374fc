"""The syntax tree of the modeling language: what was written, with the span of every part.

Nothing here knows what a name means. `names.py` resolves, `order.py` sorts, `lowering.py` gives meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from ppl.source import Source, Span


@dataclass(frozen=True)
class Node:
    span: Span


# Expressions ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expression(Node):
    pass


@dataclass(frozen=True)
class Number(Expression):
    value: int | float


@dataclass(frozen=True)
class Text(Expression):
    """A string literal; only in guide notes, `use` and `net`."""

    value: str


@dataclass(frozen=True)
class Name(Expression):
    name: str


@dataclass(frozen=True)
class Unary(Expression):
    """`-x`, `+x` or `not x`; `operator` is as written."""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Expression):
    """Arithmetic, comparison and logic; `operator` is as written: `+ - * / // % ^ @ < <= > >= == != and or`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Conditional(Expression):
    """`then if condition else otherwise`."""

    then: Expression
    condition: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Slice(Expression):
    """`a:b` inside an index, half-open; either end may be left out."""

    start: Expression | None
    stop: Expression | None


@dataclass(frozen=True)
class Index(Expression):
    """`base[item, …]`; an item is an expression or a `Slice`."""

    base: Expression
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Argument(Node):
    """A keyword argument `name = value`; the span covers both."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Call(Expression):
    """`function(positional, …, keyword = …)`; calls have a name space of their own."""

    function: Name
    positional: tuple[Expression, ...]
    keywords: tuple[Argument, ...]


@dataclass(frozen=True)
class ListLiteral(Expression):
    elements: tuple[Expression, ...]


@dataclass(frozen=True)
class Range(Node):
    """The values an index runs over: `start:stop`, half-open, or `stop` alone (then `start` is None)."""

    start: Expression | None
    stop: Expression


@dataclass(frozen=True)
class Binder(Node):
    """`name in range`: of a plate, a scan, a comprehension or a one-statement plate."""

    name: Name
    range: Range


@dataclass(frozen=True)
class Comprehension(Expression):
    """`[body for i in R, j in Q]`."""

    body: Expression
    binders: tuple[Binder, ...]


# Statements -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Note(Node):
    """A guide note `@name(argument, …)` before a statement."""

    name: str
    arguments: tuple[Expression, ...]
    keywords: tuple[Argument, ...] = ()


@dataclass(frozen=True)
class Statement(Node):
    pass


@dataclass(frozen=True)
class TypeExpression(Node):
    """`name(argument, bound = …)[dimension, …]`, e.g. `real(lower=0)[N, D]` or `index(K)[N]`."""

    name: Name
    arguments: tuple[Expression, ...]
    bounds: tuple[Argument, ...]
    dimensions: tuple[Expression, ...]


@dataclass(frozen=True)
class Data(Statement):
    """`data a, b: type missing`."""

    names: tuple[Name, ...]
    type: TypeExpression
    missing: bool


@dataclass(frozen=True)
class Param(Statement):
    """`param name: type = initial`."""

    name: Name
    type: TypeExpression
    initial: Expression | None


@dataclass(frozen=True)
class Net(Statement):
    """`net name = mlp([...], act="relu")`."""

    name: Name
    call: Call


@dataclass(frozen=True)
class Target(Node):
    """The left side of `~` or `=`: a name with its indices; an index may be a `Binder` (`x[k in K] ~ …`)."""

    name: Name
    indices: tuple[Expression | Binder, ...]


@dataclass(frozen=True)
class Sample(Statement):
    """`target ~ distribution`."""

    target: Target
    distribution: Expression
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Assign(Statement):
    """`target = value`."""

    target: Target
    value: Expression


@dataclass(frozen=True)
class Factor(Statement):
    """`factor name = value` (the name may be indexed by the enclosing plates)."""

    target: Target
    value: Expression


@dataclass(frozen=True)
class Plate(Statement):
    """`plate i in R { … }`. `header` spans the words before the brace."""

    binder: Binder
    body: tuple[Statement, ...]
    header: Span
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Scan(Statement):
    """`scan t in R { … }`."""

    binder: Binder
    body: tuple[Statement, ...]
    header: Span
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Return(Statement):
    value: Expression


@dataclass(frozen=True)
class Def(Statement):
    """`def name(parameters) { … return … }`: a pure inlined function."""

    name: Name
    parameters: tuple[Name, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Submodel(Statement):
    """`model name(parameters) { … return … }`, called after `~`."""

    name: Name
    parameters: tuple[Name, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Use(Statement):
    """`use name from "file.ppl"`."""

    name: Name
    path: Text


@dataclass(frozen=True)
class Predict(Statement):
    """`predict { … }`."""

    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Program(Node):
    """A whole file."""

    source: Source
    statements: tuple[Statement, ...]
