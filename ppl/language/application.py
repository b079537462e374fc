"""Calls: of forms, functions of the language, networks, and a program's own `def`s, which are inlined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ppl.errors import ModelError
from ppl.functions import FUNCTIONS, Function
from ppl.language import syntax
from ppl.language.equations import solution
from ppl.language.forms import FORMS, positional_arguments
from ppl.language.lists import REDUCED, reduced
from ppl.language.unknown import Unknown
from ppl.model import construct
from ppl.model.expressions import Expr
from ppl.model.messages import plural
from ppl.model.networks import HEADS, Network

if TYPE_CHECKING:
    from ppl.language.meaning import Scope

NET_FORMS = {
    "mlp": "as in `net f = mlp([2, 10, 1])`",
} | {head: f"as in `net f = mlp([2, 10, {head}(1)])`" for head in HEADS}


def _through_net(scope: Scope, node: syntax.Call, net: Network) -> Expr:
    """A network applied to a vector, or to every row of a matrix."""
    (argument,) = positional_arguments(node, f"{net.name}(x)", 1, 1)
    return net.apply(scope.expression(argument), node.span)


def call(scope: Scope, node: syntax.Call) -> Expr:
    name = node.function.name
    if name in _FORMS:
        return _FORMS[name](scope, node)
    if name in scope.functions:
        return _inlined(scope, node, scope.functions[name])
    if name in scope.nets:
        return _through_net(scope, node, scope.nets[name])
    if name in NET_FORMS:
        raise ModelError.of("E318", node.function.span, f"`{name}` stands only in a declaration", NET_FORMS[name])
    if name in scope.values and scope.values[name] is None and name not in FUNCTIONS:
        raise Unknown(name, node.function.span)  # a network, whose declaration has been answered
    if name in REDUCED and len(node.positional) == 1 and isinstance(node.positional[0], syntax.Comprehension):
        total = reduced(scope, node, node.positional[0]) if not node.keywords else None
        if total is not None:
            return total
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
        name: scope.length(length, f"`{name}` of {function.name}")
        for name, length in zip(function.lengths, node.positional[takes:], strict=False)
    }
    for keyword in node.keywords:
        if keyword.name in function.static and keyword.name not in static:
            number = scope.length if keyword.name in function.lengths else scope.number
            static[keyword.name] = number(keyword.value, f"`{keyword.name}` of {function.name}")
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
    inner = replace(scope, values=values, keys={}, indices={}, depth=scope.depth + 1)
    for statement in definition.body:
        if isinstance(statement, syntax.Return):
            return replace(inner.expression(statement.value), span=node.span)
        if not isinstance(statement, syntax.Assign) or statement.target.indices:
            raise ModelError.of("E312", statement.span, "a def holds plain definitions and a `return`")
        values[statement.target.name.name] = inner.expression(statement.value)
    raise ModelError.of("E312", definition.span, f"def `{definition.name.name}` has no `return`")


def _ode(scope: Scope, node: syntax.Call) -> Expr:
    return solution(scope, node, lambda definition, arguments: _body(scope, node, definition, arguments))


_FORMS: dict[str, Callable[[Scope, syntax.Call], Expr]] = {**FORMS, "ode": _ode}
