"""What `net name = mlp([sizes…], act="relu")` declares, and what an encoder gives a guide.

A mistake in a declaration is answered with E318, one in a note with E127.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppl.errors import Diagnostic, ModelError
from ppl.language import syntax
from ppl.language.meaning import Scope
from ppl.model import Note, construct
from ppl.model.builder import Builder
from ppl.model.expressions import Expr
from ppl.model.networks import HEADS, Network, declare, unknown_activation
from ppl.source import Span, nearest

FORM = 'as in mlp([2, 10, 1], act="relu")'


def declared(scope: Scope, builder: Builder, statement: syntax.Net) -> Network:
    """The network of a declaration. Raises ModelError with every problem."""
    call = statement.call
    if call.function.name != "mlp":
        raise _problem(call.function.span, f"`{call.function.name}` is no kind of network", FORM)
    problems: list[Diagnostic] = []
    sizes, head = _sizes(scope, call, problems)
    act = _activation(call, problems)
    if problems:
        raise ModelError(problems)
    return declare(builder, statement.name.name, sizes, act, head, statement.name.span)


def _problem(span: Span, found: str, expected: str = "") -> ModelError:
    return ModelError.of("E318", span, found, expected)


def _sizes(scope: Scope, call: syntax.Call, problems: list[Diagnostic]) -> tuple[Sequence[int], str]:
    """The lengths of the layers, and the head, which counts the outputs it takes: 2 Z for `gaussian(Z)`."""
    if len(call.positional) != 1 or not isinstance(call.positional[0], syntax.ListLiteral):
        problems += _problem(call.span, "`mlp` takes one list, the lengths of its layers", FORM).diagnostics
        return (), ""
    layers = call.positional[0].elements
    if len(layers) < 2:
        where = call.positional[0].span
        problems += _problem(where, "a network has at least two layers, inputs and outputs", FORM).diagnostics
    last = layers[-1] if layers else None
    head = last.function.name if isinstance(last, syntax.Call) and last.function.name in HEADS else ""
    sizes = []
    for place, layer in enumerate(layers):
        try:
            sizes.append(_head(scope, layer) if head and place == len(layers) - 1 else _length(scope, layer))
        except ModelError as error:
            problems += error.diagnostics
    return sizes, head


def _is_head(layer: syntax.Expression) -> bool:
    return isinstance(layer, syntax.Call) and layer.function.name in HEADS


def _head(scope: Scope, layer: syntax.Expression) -> int:
    assert isinstance(layer, syntax.Call)
    if len(layer.positional) != 1 or layer.keywords:
        raise _problem(layer.span, f"{layer.function.name}(length) takes 1 argument by position")
    return HEADS[layer.function.name](_length(scope, layer.positional[0]))


def _length(scope: Scope, layer: syntax.Expression) -> int:
    if _is_head(layer):
        raise _problem(layer.span, f"`{layer.span.text}` stands last in the lengths of a network")
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


def encoded(scope: Scope, note: syntax.Note, call: syntax.Call, written: syntax.Expression) -> Note:
    """An encoder applied to data, or one element of what it gives: `enc(x[n])` or `enc(x[n])[j]`."""
    net = scope.nets[call.function.name]
    if not net.head:
        found = f"`{net.name}` gives no distribution"
        raise ModelError.of("E127", call.span, found, "its declaration ends in gaussian(size of the latent)")
    if len(call.positional) != 1:
        found = f"an encoder takes 1 argument, {len(call.positional)} given"
        raise ModelError.of("E127", call.span, found, "give it a vector: `enc(x[n])`")
    outputs = net.apply(scope.expression(call.positional[0]), call.span, encoding=True)
    if isinstance(written, syntax.Index):
        outputs = _element_of(scope, net, outputs, written)
    return Note(note.name, (net.head, outputs), note.span)


def _element_of(scope: Scope, net: Network, outputs: Expr, written: syntax.Index) -> Expr:
    """Of the outputs for a vector of latents those for one of them."""
    if (
        net.head not in ("gaussian", "bernoulli")
        or len(written.items) != 1
        or isinstance(written.items[0], syntax.Slice)
    ):
        found = (
            f"`{net.name}` ends in {net.head}(…), of which one index picks an element if that is gaussian or bernoulli"
        )
        raise ModelError.of("E127", written.span, found, "as in @amortized(enc(x[n])[j])")
    parts = HEADS[net.head](1)
    size = outputs.type.dims[-1].size // parts
    picked = []
    for part in range(parts):
        whole = construct.index(outputs, [construct.Cut(part * size, (part + 1) * size)], written.span)
        picked.append(construct.index(whole, [scope.expression(written.items[0])], written.span))
    return construct.stack(picked, written.span)
