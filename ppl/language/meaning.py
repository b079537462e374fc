"""Expressions of the syntax tree to expressions of the model, in a scope of known names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS, Function
from ppl.language import syntax
from ppl.language.equations import SIGNATURE, TOLERANCES, Equation, start_time, tolerance
from ppl.language.vocabulary import COMBINATORS
from ppl.model import construct
from ppl.model.builder import distribution
from ppl.model.combine import combine
from ppl.model.expressions import Dim, Expr
from ppl.model.messages import extent, number, plural, written
from ppl.model.model import DistributionUse
from ppl.model.resolve import evaluate
from ppl.source import Span

OPERATORS = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder", "^": "power",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal",
    "and": "logical_and", "or": "logical_or",
}  # fmt: skip
LATER = frozenset({"mlp", "gaussian"})
"""Forms of the language that are parsed but not yet given a meaning."""


class Unknown(Exception):
    """A name without a value, at `span`: its own definition failed, or it is an outcome that is not in the data.

    What reads it is skipped without a message of its own.
    """

    def __init__(self, name: str, span: Span) -> None:
        super().__init__(name)
        self.name = name
        self.span = span


@dataclass(frozen=True)
class Scope:
    """What names mean at one place. `values` maps keys to expressions, `keys` local names to their keys.

    `guard` is a static condition under which the present expression is read: where it is false, indices out
    of range do no harm. `functions` are the `def`s of the program. While `trying`, a conditional expression one of
    whose branches is unknown is the other.
    """

    values: Mapping[str, Expr | None]
    keys: Mapping[str, str] = field(default_factory=dict)
    indices: Mapping[str, Axis] = field(default_factory=dict)
    functions: Mapping[str, syntax.Def] = field(default_factory=dict)
    guard: Expr | None = None
    depth: int = 0
    trying: bool = False

    def name(self, node: syntax.Name) -> Expr:
        if node.name in self.indices:
            return construct.axis_index(self.indices[node.name], node.span)
        value = self.values.get(self.keys.get(node.name, node.name))
        if value is None:
            raise Unknown(node.name, node.span)
        return replace(value, span=node.span)

    def expression(self, node: syntax.Expression) -> Expr:
        """The meaning of an expression. Raises ModelError with its span."""
        return _MEANINGS[type(node)](self, node)

    def number(self, node: syntax.Expression, what: str) -> int:
        """A whole number that is known from data alone."""
        value = self.expression(node)
        if not value.type.static:
            raise ModelError.of("E310", node.span, f"{what} must be known from data, `{written(value)}` is not")
        if value.type.axes:
            raise not_yet(node.span, f"{what} that depends on an outer index")
        found = evaluate(value).array
        if found.ndim == 0 and found == np.floor(found):
            return int(found)
        shown = extent(value.type) if found.ndim else f"is {number(found)}"
        raise ModelError.of("E310", node.span, f"{what} must be a whole number, `{written(value)}` {shown}")

    def range(self, node: syntax.Range) -> tuple[int, int]:
        """Start and size of a range."""
        start = 0 if node.start is None else self.number(node.start, "the start of a range")
        stop = self.number(node.stop, "the end of a range")
        if stop < start:
            raise ModelError.of("E310", node.span, f"range {start}:{stop} runs backwards")
        return start, stop - start

    def distribution(self, node: syntax.Expression) -> DistributionUse:
        """The meaning of what stands right of `~`."""
        if isinstance(node, syntax.Conditional):
            return self._chosen(node)
        if not isinstance(node, syntax.Call):
            raise ModelError.of(
                "E105", node.span, "a distribution is expected right of `~`", "as in `y ~ normal(mu, 1)`"
            )
        name = node.function.name
        keywords = {argument.name: self.expression(argument.value) for argument in node.keywords}
        if name not in COMBINATORS:
            positional = [self.expression(argument) for argument in node.positional]
            return distribution(name, positional, keywords, node.span)
        places = range(len(node.positional))[COMBINATORS[name]]
        components = [self.distribution(node.positional[place]) for place in places]
        others = [self.expression(part) for place, part in enumerate(node.positional) if place not in places]
        return combine(name, components, others, keywords, node.span)

    def _chosen(self, node: syntax.Conditional) -> DistributionUse:
        """One of two distributions, where data alone decide for all elements."""
        condition = self.expression(node.condition)
        if condition.type.static:
            values = evaluate(condition).array
            if np.all(values) or not np.any(values):
                return self.distribution(node.then if np.all(values) else node.otherwise)
        raise not_yet(node.span, "a distribution that depends on an index or a latent value")

    def with_index(self, binder: syntax.Binder, axis: Axis) -> Scope:
        return replace(self, indices={**self.indices, binder.name.name: axis})


def not_yet(span: Span, what: str) -> ModelError:
    return ModelError.of("E801", span, f"{what} is part of the language but not supported yet")


def _number(scope: Scope, node: syntax.Number) -> Expr:
    return construct.constant(node.value, node.span)


def _text(scope: Scope, node: syntax.Text) -> Expr:
    raise ModelError.of("E311", node.span, "a text is no value of a model")


def _unary(scope: Scope, node: syntax.Unary) -> Expr:
    operand = scope.expression(node.operand)
    if node.operator == "-" and isinstance(node.operand, syntax.Number):
        return construct.constant(-node.operand.value, node.span)
    names = {"-": "negative", "not": "logical_not"}
    return construct.call(names[node.operator], [operand], node.span) if node.operator in names else operand


def _binary(scope: Scope, node: syntax.Binary) -> Expr:
    left, right = scope.expression(node.left), scope.expression(node.right)
    if node.operator == "@":
        return construct.matmul(left, right, node.span)
    return construct.call(OPERATORS[node.operator], [left, right], node.span)


def _conditional(scope: Scope, node: syntax.Conditional) -> Expr:
    """A condition on data or indices alone is decided before the untaken branch is read."""
    condition = scope.expression(node.condition)
    if not condition.type.static:
        return construct.call(
            "where", [condition, scope.expression(node.then), scope.expression(node.otherwise)], node.span
        )
    values = evaluate(condition).array
    if np.all(values):
        return scope.expression(node.then)
    if not np.any(values):
        return scope.expression(node.otherwise)
    untrue = construct.call("logical_not", [condition], node.span)
    guards = {node.then: _guarded(scope, condition), node.otherwise: _guarded(scope, untrue)}
    if scope.trying:
        return _either(guards)
    then, otherwise = (guard.expression(branch) for branch, guard in guards.items())
    return construct.call("where", [condition, then, otherwise], node.span)


def _either(branches: Mapping[syntax.Expression, Scope]) -> Expr:
    """The first branch that is known."""
    unknown: Unknown | None = None
    for branch, scope in branches.items():
        try:
            return scope.expression(branch)
        except Unknown as problem:
            unknown = unknown or problem
    assert unknown is not None
    raise unknown


def _guarded(scope: Scope, condition: Expr) -> Scope:
    if scope.guard is not None:
        condition = construct.call("logical_and", [scope.guard, condition])
    return replace(scope, guard=condition)


def _index(scope: Scope, node: syntax.Index) -> Expr:
    base = scope.expression(node.base)
    items: list[construct.Item] = []
    for item in node.items:
        if isinstance(item, syntax.Slice):
            ends = (None if e is None else scope.number(e, "the end of a slice") for e in (item.start, item.stop))
            items.append(construct.Cut(*ends))
        else:
            items.append(scope.expression(item))
    return construct.index(base, items, node.span, scope.guard)


def _slice(scope: Scope, node: syntax.Slice) -> Expr:
    raise ModelError.of("E311", node.span, "a slice stands only inside an index")


def _list(scope: Scope, node: syntax.ListLiteral) -> Expr:
    return construct.stack([scope.expression(element) for element in node.elements], node.span)


def _comprehension(scope: Scope, node: syntax.Comprehension) -> Expr:
    axes: list[Axis] = []
    for binder in node.binders:
        start, size = scope.range(binder.range)
        axes.append(construct.fresh_axis(binder.name.name, size, start))
        scope = scope.with_index(binder, axes[-1])
    lifted = construct.lift(scope.expression(node.body), axes)
    dims = tuple(replace(dim, origin=0) for dim in lifted.type.dims)
    return replace(lifted, type=replace(lifted.type, dims=dims), span=node.span)


def _call(scope: Scope, node: syntax.Call) -> Expr:
    name = node.function.name
    if name in _FORMS:
        return _FORMS[name](scope, node)
    if name in scope.functions:
        return _inlined(scope, node, scope.functions[name])
    if name in LATER:
        raise not_yet(node.function.span, f"`{name}`")
    if name in scope.values and scope.values[name] is None and name not in FUNCTIONS:
        raise Unknown(name, node.function.span)  # a network, whose declaration has been answered
    if name not in FUNCTIONS:
        near = FUNCTIONS.suggest(name)
        raise ModelError.of(
            "E106", node.function.span, f"no function `{name}`", f"did you mean `{near}`?" if near else ""
        )
    arguments, static = _call_arguments(scope, node, FUNCTIONS[name])
    return construct.call(name, arguments, node.span, **static)


def _call_arguments(scope: Scope, node: syntax.Call, function: Function) -> tuple[list[Expr], dict[str, Any]]:
    """The array arguments of a function in order, and its static ones by name; lengths stand by position too."""
    takes = len(function.parameters) if not function.variadic else len(node.positional)
    arguments = [scope.expression(argument) for argument in node.positional[:takes]]
    static: dict[str, Any] = {
        name: scope.number(length, f"`{name}`")
        for name, length in zip(function.lengths, node.positional[takes:], strict=False)
    }
    for keyword in node.keywords:
        if keyword.name in function.static and keyword.name not in static:
            static[keyword.name] = scope.number(keyword.value, f"`{keyword.name}`")
        elif keyword.name in function.parameters and function.parameters.index(keyword.name) == len(arguments):
            arguments.append(scope.expression(keyword.value))
        else:
            raise ModelError.of("E303", keyword.span, f"{function.name} has no argument `{keyword.name}` here")
    given = len(node.positional) + len(node.keywords) - len(static.keys() - set(function.lengths))
    lengths = [name for name in function.lengths if name in static]
    if not function.variadic and (given != takes + len(function.lengths) or len(arguments) + len(lengths) != given):
        signature = f"{function.name}({', '.join((*function.parameters, *function.lengths))})"
        wanted = plural(takes + len(function.lengths), "argument")
        raise ModelError.of("E303", node.span, f"{signature} takes {wanted}, {given} given")
    negative = next((name for name in lengths if static[name] < 0), None)
    if negative is not None:
        raise ModelError.of("E310", node.span, f"`{negative}` of {function.name} is {static[negative]}, below 0")
    return arguments, static


def _inlined(scope: Scope, node: syntax.Call, definition: syntax.Def) -> Expr:
    """A call of a `def`: its body with the arguments in place of the parameters."""
    if scope.depth > 50:
        raise ModelError.of(
            "E312", node.span, f"`{node.function.name}` calls itself", "a def is inlined and cannot recurse"
        )
    if node.keywords or len(node.positional) != len(definition.parameters):
        names = ", ".join(parameter.name for parameter in definition.parameters)
        raise ModelError.of(
            "E303", node.span, f"{node.function.name}({names}) takes {len(definition.parameters)} arguments by "
            f"position, {len(node.positional) + len(node.keywords)} given",
        )  # fmt: skip
    return _body(scope, node, definition, [scope.expression(argument) for argument in node.positional])


def _body(scope: Scope, node: syntax.Call, definition: syntax.Def, arguments: Sequence[Expr]) -> Expr:
    """What a `def` returns for these arguments."""
    values: dict[str, Expr | None] = {
        parameter.name: argument for parameter, argument in zip(definition.parameters, arguments, strict=True)
    }
    inner = Scope(values, functions=scope.functions, guard=scope.guard, depth=scope.depth + 1, trying=scope.trying)
    for statement in definition.body:
        if isinstance(statement, syntax.Return):
            return replace(inner.expression(statement.value), span=node.span)
        if not isinstance(statement, syntax.Assign) or statement.target.indices:
            raise ModelError.of("E312", statement.span, "a def holds plain definitions and a `return`")
        values[statement.target.name.name] = inner.expression(statement.value)
    raise ModelError.of("E312", definition.span, f"def `{definition.name.name}` has no `return`")


# Forms that are no plain functions -----------------------------------------------------------------


def _arguments(node: syntax.Call, signature: str, low: int, high: int) -> tuple[syntax.Expression, ...]:
    given = len(node.positional) + len(node.keywords)
    if node.keywords or not low <= given <= high:
        takes = plural(low, "argument") if low == high else f"{low} to {high} arguments"
        raise ModelError.of("E303", node.span, f"{signature} takes {takes} by position, {given} given")
    return node.positional


def _size(scope: Scope, node: syntax.Call) -> Expr:
    """`size(x)` or `size(x, dimension)`."""
    array, *rest = _arguments(node, "size(x, dimension)", 1, 2)
    value = scope.expression(array)
    dims = value.type.dims
    which = scope.number(rest[0], "the dimension") if rest else 0
    if not 0 <= which < len(dims):
        has = plural(len(dims), "dimension")
        raise ModelError.of("E307", node.span, f"{written(value)} has {has}, counted from 0: there is no {which}")
    return construct.constant(dims[which].size, node.span)


def _rep(scope: Scope, node: syntax.Call) -> Expr:
    """`rep(x, n, …)`: x in every element of an array of that shape."""
    first, *lengths = _arguments(node, "rep(x, length, …)", 2, 4)
    value = scope.expression(first)
    axes = [construct.fresh_axis("rep", scope.number(length, "a length")) for length in lengths]
    labels = [length.span.text if isinstance(length, syntax.Name) else None for length in lengths]
    if value.type.static and not value.type.axes and not value.type.dims:
        array = np.full([axis.size for axis in axes], evaluate(value).array)
        filled = construct.constant(array, node.span)
        dims = tuple(Dim(axis.size, label) for axis, label in zip(axes, labels, strict=True))
        return replace(filled, type=replace(filled.type, dims=dims))
    return replace(construct.lift(value, axes, labels), span=node.span)


def _eye(scope: Scope, node: syntax.Call) -> Expr:
    (length,) = _arguments(node, "eye(length)", 1, 1)
    return construct.constant(np.eye(scope.number(length, "the length")), node.span)


def _logpdf(scope: Scope, node: syntax.Call) -> Expr:
    """`logpdf(distribution, value)`."""
    which, at = _arguments(node, "logpdf(distribution, value)", 2, 2)
    use = scope.distribution(which)
    return construct.log_density(use.family, scope.expression(at), use.arguments, node.span)


def _ode(scope: Scope, node: syntax.Call) -> Expr:
    """`ode(f, z0, t0, ts, …)`: the solution of `z' = f(t, z, …)` from z0 at t0, at the times ts."""
    keywords = {keyword.name: keyword.value for keyword in node.keywords}
    wrong = next((keyword for keyword in node.keywords if keyword.name not in TOLERANCES), None)
    if wrong is not None:
        raise ModelError.of("E303", wrong.span, f"ode has no argument `{wrong.name}`", f"it is {SIGNATURE}")
    if len(node.positional) < 4:
        raise ModelError.of("E303", node.span, f"{SIGNATURE} takes at least 4 arguments, {len(node.positional)} given")
    function, *rest = node.positional
    definition = scope.functions.get(function.name) if isinstance(function, syntax.Name) else None
    if definition is None:
        raise ModelError.of(
            "E106", function.span, "the slope of `ode` must be a `def`", "as in `def f(t, z, a) {` before it"
        )
    initial, start, times, *arguments = (scope.expression(argument) for argument in rest)
    if len(definition.parameters) != 2 + len(arguments):
        names = ", ".join(parameter.name for parameter in definition.parameters)
        found = f"{definition.name.name}({names}) takes {plural(len(definition.parameters), 'argument')}, "
        raise ModelError.of("E303", node.span, f"{found}`ode` gives it time, state and {len(arguments)} more")
    equation = Equation(node, initial, arguments)
    slope = _body(scope, node, definition, equation.parameters)
    found_tolerances = {
        name: tolerance(scope.expression(keywords[name]), name) if name in keywords else default
        for name, default in TOLERANCES.items()
    }
    return equation.solution(definition.name.name, slope, start_time(start), times, **found_tolerances)


_FORMS: dict[str, Callable[[Scope, syntax.Call], Expr]] = {
    "size": _size,
    "rep": _rep,
    "eye": _eye,
    "logpdf": _logpdf,
    "ode": _ode,
}

_MEANINGS: dict[type[syntax.Expression], Callable[[Scope, Any], Expr]] = {
    syntax.Number: _number,
    syntax.Text: _text,
    syntax.Name: Scope.name,
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.Conditional: _conditional,
    syntax.Index: _index,
    syntax.Slice: _slice,
    syntax.ListLiteral: _list,
    syntax.Comprehension: _comprehension,
    syntax.Call: _call,
}
