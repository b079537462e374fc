"""What `net name = mlp([sizes…], act="relu")` declares. Every mistake is answered with E318."""

from __future__ import annotations

from collections.abc import Sequence

from ppl.errors import Diagnostic, ModelError
from ppl.language import syntax
from ppl.language.meaning import Scope
from ppl.model.builder import Builder
from ppl.model.networks import Network, declare, unknown_activation
from ppl.source import Span, nearest

FORM = 'as in mlp([2, 10, 1], act="relu")'


def declared(scope: Scope, builder: Builder, statement: syntax.Net) -> Network:
    """The network of a declaration. Raises ModelError with every problem."""
    call = statement.call
    if call.function.name != "mlp":
        raise _problem(call.function.span, f"`{call.function.name}` is no kind of network", FORM)
    problems: list[Diagnostic] = []
    sizes, gaussian = _sizes(scope, call, problems)
    act = _activation(call, problems)
    if problems:
        raise ModelError(problems)
    return declare(builder, statement.name.name, sizes, act, gaussian, statement.name.span)


def _problem(span: Span, found: str, expected: str = "") -> ModelError:
    return ModelError.of("E318", span, found, expected)


def _sizes(scope: Scope, call: syntax.Call, problems: list[Diagnostic]) -> tuple[Sequence[int], bool]:
    """The lengths of the layers; a head `gaussian(Z)` counts 2 Z."""
    if len(call.positional) != 1 or not isinstance(call.positional[0], syntax.ListLiteral):
        problems += _problem(call.span, "`mlp` takes one list, the lengths of its layers", FORM).diagnostics
        return (), False
    layers = call.positional[0].elements
    if len(layers) < 2:
        where = call.positional[0].span
        problems += _problem(where, "a network has at least two layers, inputs and outputs", FORM).diagnostics
    gaussian = bool(layers) and _is_head(layers[-1])
    sizes = []
    for place, layer in enumerate(layers):
        try:
            sizes.append(_head(scope, layer) if gaussian and place == len(layers) - 1 else _length(scope, layer))
        except ModelError as error:
            problems += error.diagnostics
    return sizes, gaussian


def _is_head(layer: syntax.Expression) -> bool:
    return isinstance(layer, syntax.Call) and layer.function.name == "gaussian"


def _head(scope: Scope, layer: syntax.Expression) -> int:
    assert isinstance(layer, syntax.Call)
    if len(layer.positional) != 1 or layer.keywords:
        raise _problem(layer.span, "gaussian(length) takes 1 argument by position")
    return 2 * _length(scope, layer.positional[0])


def _length(scope: Scope, layer: syntax.Expression) -> int:
    if _is_head(layer):
        raise _problem(layer.span, "`gaussian(…)` stands last in the lengths of a network")
    size = scope.number(layer, "the length of a layer")
    if size < 1:
        raise _problem(layer.span, f"the length of a layer must be positive, `{layer.span.text}` is {size}")
    return size


def _activation(call: syntax.Call, problems: list[Diagnostic]) -> str:
    act = "relu"
    for keyword in call.keywords:
        if keyword.name != "act":
            near = nearest(keyword.name, ["act"])
            expected = f"did you mean `{near}`?" if near else "it takes the lengths and `act`"
            problems += _problem(keyword.span, f"mlp has no argument `{keyword.name}`", expected).diagnostics
        elif not isinstance(keyword.value, syntax.Text):
            problems += _problem(keyword.value.span, "an activation is a text", 'as in act="tanh"').diagnostics
        else:
            act = keyword.value.value
            problems += unknown_activation(act, keyword.value.span)
    return act
