"""Expressions of the syntax tree to expressions of the model, in a scope of known names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.language import syntax
from ppl.language.application import call
from ppl.language.lists import comprehension
from ppl.language.unknown import Unknown
from ppl.language.vocabulary import COMBINATORS
from ppl.model import construct, ragged
from ppl.model.combine import combine, either
from ppl.model.expressions import Expr
from ppl.model.messages import extent, number, written
from ppl.model.model import DistributionUse
from ppl.model.networks import Network
from ppl.model.ragged import Extent
from ppl.model.resolve import evaluate
from ppl.model.uses import distribution
from ppl.source import Span

OPERATORS = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "//": "floor_divide", "%": "remainder", "^": "power",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal",
    "and": "logical_and", "or": "logical_or",
}  # fmt: skip
RAGGED_LISTS = "the elements of such a range can be summed: sum([x[i, j] for j in n[i]])"


Meaning = TypeVar("Meaning", Expr, DistributionUse)


@dataclass(frozen=True)
class Scope:
    """What names mean at one place. `values` maps keys to expressions, `keys` local names to their keys.

    `guard` is a static condition under which the present expression is read: where it is false, indices out
    of range do no harm. `functions` are the `def`s of the program, `nets` its networks, `ragged` says of statements in
    ragged plates which of their elements exist. While `trying`, a conditional expression one of
    whose branches is unknown is the other.
    """

    values: Mapping[str, Expr | None]
    keys: Mapping[str, str] = field(default_factory=dict)
    indices: Mapping[str, Axis] = field(default_factory=dict)
    functions: Mapping[str, syntax.Def] = field(default_factory=dict)
    guard: Expr | None = None
    depth: int = 0
    trying: bool = False
    nets: Mapping[str, Network] = field(default_factory=dict)
    ragged: Mapping[str, Expr] = field(default_factory=dict)

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
        value = self._whole(node, what)
        if value.type.axes:
            axes = ", ".join(f"`{axis.name}`" for axis in value.type.axes)
            raise ModelError.of("E310", node.span, f"{what} must be one number, `{written(value)}` differs by {axes}")
        return int(evaluate(value).array)

    def _whole(self, node: syntax.Expression, what: str) -> Expr:
        """A whole number that is known from data alone, for each element of outer plates."""
        value = self.expression(node)
        if not value.type.static:
            raise ModelError.of("E310", node.span, f"{what} must be known from data, `{written(value)}` is not")
        found = evaluate(value)
        odd = found.array[found.array != np.floor(found.array)]
        if value.type.dims or odd.size:
            shown = extent(value.type) if value.type.dims else f"is {number(odd.flat[0])}"
            raise ModelError.of("E310", node.span, f"{what} must be a whole number, `{written(value)}` {shown}")
        return value

    def length(self, node: syntax.Expression, what: str = "a length") -> int:
        """A number of elements."""
        found = self.number(node, what)
        if found < 0:
            said = f"not {found}" if node.span.text == str(found) else f"`{node.span.text}` is {found}"
            raise ModelError.of("E310", node.span, f"{what} is at least 0, {said}")
        return found

    def range(self, node: syntax.Range) -> tuple[int, int]:
        """Start and size of a range, the same for all elements of outer plates."""
        found = self.extent(node)
        if found.ragged:
            found_text = f"the range `{node.span.text}` differs by outer indices"
            raise ModelError.of("E316", node.span, found_text, RAGGED_LISTS)
        return found.start, found.size

    def extent(self, node: syntax.Range) -> Extent:
        """A range, whose ends may depend on outer indices."""
        first = construct.constant(0) if node.start is None else self._whole(node.start, "the start of a range")
        return ragged.extent(first, self._whole(node.stop, "the end of a range"), node.span)

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
        """One of two distributions; where data do not decide for all elements, both are of one family.

        As in `_conditional`, a branch that no element takes is not read.
        """
        condition = self.expression(node.condition)
        if not condition.type.static:
            return either(condition, self.distribution(node.then), self.distribution(node.otherwise), node.span)
        values = evaluate(condition).array
        if np.all(values) or not np.any(values):
            return self.distribution(node.then if np.all(values) else node.otherwise)
        then, otherwise = _branches(self, node, condition)
        if self.trying:
            return _first_known([partial(scope.distribution, branch) for branch, scope in (then, otherwise)])
        return either(condition, then[1].distribution(then[0]), otherwise[1].distribution(otherwise[0]), node.span)

    def with_index(self, binder: syntax.Binder, axis: Axis, present: Expr | None = None) -> Scope:
        """The scope inside a plate of that axis, of which the elements `present` exist."""
        return replace(self, indices={**self.indices, binder.name.name: axis}, guard=ragged.both(self.guard, present))


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
    branches = _branches(scope, node, condition)
    if scope.trying:
        return _first_known([partial(inside.expression, branch) for branch, inside in branches])
    then, otherwise = (inside.expression(branch) for branch, inside in branches)
    return construct.call("where", [condition, then, otherwise], node.span)


def _branches(
    scope: Scope, node: syntax.Conditional, condition: Expr
) -> tuple[tuple[syntax.Expression, Scope], tuple[syntax.Expression, Scope]]:
    """Both branches of a condition that differs by element, each with the scope of the elements that take it."""
    untrue = construct.call("logical_not", [condition], node.span)
    return (node.then, _guarded(scope, condition)), (node.otherwise, _guarded(scope, untrue))


def _first_known(readings: Sequence[Callable[[], Meaning]]) -> Meaning:
    """The first branch that is known."""
    unknown: Unknown | None = None
    for reading in readings:
        try:
            return reading()
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
    ragged.check_index(base, items, scope.ragged, scope.guard, node.span)
    return construct.index(base, items, node.span, scope.guard)


def _slice(scope: Scope, node: syntax.Slice) -> Expr:
    raise ModelError.of("E311", node.span, "a slice stands only inside an index")


def _list(scope: Scope, node: syntax.ListLiteral) -> Expr:
    return construct.stack([scope.expression(element) for element in node.elements], node.span)


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
    syntax.Comprehension: comprehension,
    syntax.Call: call,
}
