"""The parser's tree to the syntax tree of `syntax.py`, with the span of every part.

One small method a grammar rule, called without recursion. Trees too deep for the recursive passes behind are
refused here.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable
from typing import Any

from lark import Token, Tree

from ppl.errors import Diagnostic, ModelError
from ppl.language import syntax
from ppl.source import Source, Span

MAX_DEPTH = 150
MAX_INTEGER = 2**63 - 1
MAX_FLOAT = sys.float_info.max
Children = list[Any]


def transform(tree: Tree, source: Source) -> syntax.Program:
    """The syntax tree. Raises `ModelError` for what the grammar alone cannot refuse."""
    builder = Builder(source)
    program = builder.build(tree)
    if builder.errors:
        raise ModelError(builder.errors)
    return program


class Builder:
    """Turns parser trees of one source into syntax nodes; `errors` collects what is wrong with them.

    The method named after a grammar rule takes the span of the text that the rule matched, and its built children.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.errors: list[Diagnostic] = []

    def build(self, root: Tree) -> Any:
        built: dict[int, Any] = {}
        depth: dict[int, int] = {}
        for tree in root.iter_subtrees():  # children before their parents
            below = [child for child in tree.children if isinstance(child, Tree)]
            depth[id(tree)] = 1 + max((depth[id(child)] for child in below), default=0)
            span = self._span(tree)
            if depth[id(tree)] > MAX_DEPTH:
                raise ModelError([_too_deep(span)])
            children = [built[id(child)] if isinstance(child, Tree) else child for child in tree.children]
            built[id(tree)] = getattr(self, tree.data)(span, children)
        return built[id(root)]

    def _span(self, tree: Tree) -> Span:
        if tree.meta.empty:
            return self.source.span(0, 0)
        return self.source.span(tree.meta.start_pos, tree.meta.end_pos)

    # Programs and declarations

    def program(self, span: Span, statements: Children) -> syntax.Program:
        whole = self.source.span(0, len(self.source.text))
        return syntax.Program(whole, self.source, tuple(statements))

    def data(self, span: Span, children: Children) -> syntax.Data:
        names, type_, missing = children
        return syntax.Data(span, names, type_, missing is not None)

    def param(self, span: Span, children: Children) -> syntax.Param:
        name, type_, *initial = children
        return syntax.Param(span, name, type_, initial[0] if initial else None)

    def net(self, span: Span, children: Children) -> syntax.Net:
        return syntax.Net(span, *children)

    def use(self, span: Span, children: Children) -> syntax.Use:
        return syntax.Use(span, *children)

    def definition(self, span: Span, children: Children) -> syntax.Def:
        name, parameters, *body = children
        return syntax.Def(span, name, parameters or (), tuple(body))

    def submodel(self, span: Span, children: Children) -> syntax.Submodel:
        name, parameters, *body = children
        return syntax.Submodel(span, name, parameters or (), tuple(body))

    def predict(self, span: Span, body: Children) -> syntax.Predict:
        return syntax.Predict(span, tuple(body))

    def type(self, span: Span, children: Children) -> syntax.TypeExpression:
        name, arguments, dimensions = children
        positional, keywords = arguments or ((), ())
        return syntax.TypeExpression(span, name, positional, keywords, dimensions or ())

    def dimensions(self, span: Span, children: Children) -> tuple[syntax.Expression, ...]:
        return tuple(children)

    def names(self, span: Span, children: Children) -> tuple[syntax.Name, ...]:
        return tuple(children)

    # Statements

    def sample(self, span: Span, children: Children) -> syntax.Sample:
        return syntax.Sample(span, *children)

    def assign(self, span: Span, children: Children) -> syntax.Assign:
        return syntax.Assign(span, *children)

    def factor(self, span: Span, children: Children) -> syntax.Factor:
        return syntax.Factor(span, *children)

    def plate(self, span: Span, children: Children) -> syntax.Plate:
        binder, *body = children
        return syntax.Plate(span, binder, tuple(body), self._header(span, binder))

    def scan(self, span: Span, children: Children) -> syntax.Scan:
        binder, *body = children
        return syntax.Scan(span, binder, tuple(body), self._header(span, binder))

    def _header(self, span: Span, binder: syntax.Binder) -> Span:
        return self.source.span(span.start, binder.span.end)

    def result(self, span: Span, children: Children) -> syntax.Return:
        return syntax.Return(span, *children)

    def noted(self, span: Span, children: Children) -> syntax.Statement:
        *notes, statement = children
        return dataclasses.replace(statement, notes=tuple(notes))

    def note(self, span: Span, children: Children) -> syntax.Note:
        name, arguments = children
        return syntax.Note(span, name.name, *(arguments or ((), ())))

    def target(self, span: Span, children: Children) -> syntax.Target:
        name, *indices = children
        return syntax.Target(span, name, tuple(indices))

    def binder(self, span: Span, children: Children) -> syntax.Binder:
        return syntax.Binder(span, *children)

    def range(self, span: Span, children: Children) -> syntax.Range:
        *start, stop = children
        return syntax.Range(span, start[0] if start else None, stop)

    # Expressions

    def conditional(self, span: Span, children: Children) -> syntax.Conditional:
        return syntax.Conditional(span, *children)

    def binary(self, span: Span, children: Children) -> syntax.Binary:
        left, operator, right = children
        return syntax.Binary(span, str(operator), left, right)

    def power(self, span: Span, children: Children) -> syntax.Binary:
        return syntax.Binary(span, "^", *children)

    def unary(self, span: Span, children: Children) -> syntax.Unary:
        operator, operand = children
        return syntax.Unary(span, str(operator), operand)

    def index(self, span: Span, children: Children) -> syntax.Index:
        base, *items = children
        return syntax.Index(span, base, tuple(items))

    def slice(self, span: Span, children: Children) -> syntax.Slice:
        colon = next(place for place, child in enumerate(children) if isinstance(child, Token))
        start, stop = children[:colon], children[colon + 1 :]
        return syntax.Slice(span, start[0] if start else None, stop[0] if stop else None)

    def call(self, span: Span, children: Children) -> syntax.Call:
        name, (positional, keywords) = children
        return syntax.Call(span, name, positional, keywords)

    def arguments(
        self, span: Span, children: Children
    ) -> tuple[tuple[syntax.Expression, ...], tuple[syntax.Argument, ...]]:
        positional = tuple(child for child in children if isinstance(child, syntax.Expression))
        keywords = tuple(child for child in children if isinstance(child, syntax.Argument))
        self.errors.extend(_argument_errors(children))
        return positional, keywords

    def keyword(self, span: Span, children: Children) -> syntax.Argument:
        name, value = children
        return syntax.Argument(span, name.name, value)

    def elements(self, span: Span, children: Children) -> syntax.ListLiteral:
        return syntax.ListLiteral(span, tuple(children))

    def comprehension(self, span: Span, children: Children) -> syntax.Comprehension:
        body, *binders = children
        return syntax.Comprehension(span, body, tuple(binders))

    def name(self, span: Span, children: Children) -> syntax.Name:
        return syntax.Name(span, str(children[0]))

    def text(self, span: Span, children: Children) -> syntax.Text:
        return syntax.Text(span, str(children[0])[1:-1])

    def number(self, span: Span, children: Children) -> syntax.Number:
        written = str(children[0])
        value: int | float = float(written)
        if written.isdigit() and value <= 2 * MAX_INTEGER:
            value = int(written.lstrip("0") or "0")
        if value > (MAX_INTEGER if written.isdigit() else MAX_FLOAT):
            self.errors.append(Diagnostic("E006", span, "number too large", "whole numbers go up to 2^63 - 1"))
        return syntax.Number(span, value)


def _argument_errors(arguments: Children) -> Iterable[Diagnostic]:
    seen: set[str] = set()
    for argument in arguments:
        if isinstance(argument, syntax.Argument):
            if argument.name in seen:
                yield Diagnostic("E009", argument.span, f"`{argument.name}` is given twice")
            seen.add(argument.name)
        elif seen:
            yield Diagnostic(
                "E009", argument.span, "an argument by position", "it must stand before those given by name"
            )


def _too_deep(span: Span) -> Diagnostic:
    return Diagnostic("E008", span, f"nested more than {MAX_DEPTH} levels deep", "give a part of it a name of its own")
