"""Networks: multilayer perceptrons whose weights are learned parameters of the model.

A network `f` of sizes `[D, H, K]` has the parameters `f.weight0` (D, H), `f.bias0` (H), `f.weight1` (H, K) and
`f.bias1` (K). Biases start at 0. Weights into a rectifier-like activation start normal with variance 2 / inputs (He et
al. 2015), all others uniform between ±sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010). The numbers follow from
the name alone, so that every binding starts at the same point.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ppl.errors import Diagnostic, ModelError
from ppl.model import construct, messages
from ppl.model.builder import Builder
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.model import SupportOf
from ppl.source import Span, nearest


def _call(name: str) -> Callable[[Expr], Expr]:
    return lambda x: construct.call(name, [x])


def _relu(x: Expr) -> Expr:
    return construct.call("maximum", [x, construct.constant(0.0)])


def _elu(x: Expr) -> Expr:
    below = construct.call("expm1", [construct.call("minimum", [x, construct.constant(0.0)])])
    return construct.call("where", [construct.call("greater", [x, construct.constant(0.0)]), x, below])


def _gelu(x: Expr) -> Expr:
    return construct.call("multiply", [x, construct.call("normal_cdf", [x])])


ACTIVATIONS: dict[str, Callable[[Expr], Expr]] = {
    "relu": _relu,
    "tanh": _call("tanh"),
    "sigmoid": _call("expit"),
    "softplus": _call("softplus"),
    "gelu": _gelu,
    "elu": _elu,
    "identity": lambda x: x,
}
HEADS: dict[str, Callable[[int], int]] = {
    "gaussian": lambda size: 2 * size,
    "full_gaussian": lambda size: size + size * (size + 1) // 2,
    "categorical": lambda size: size,
    "bernoulli": lambda size: size,
}
"""What a network can end in to be an encoder, and how many outputs each takes for a latent of some size (of some number
of states): means and log standard deviations, means and a Cholesky factor, logits.
"""
RECTIFIERS = frozenset({"relu", "elu", "gelu", "softplus"})


@dataclass(frozen=True)
class Network:
    """A declared network: lengths of its layers, inputs first, and the values of its weights.

    `head` says of an encoder what its outputs are the parameters of: one of `HEADS`.
    """

    name: str
    sizes: tuple[int, ...]
    act: str
    weights: tuple[Expr, ...]
    biases: tuple[Expr, ...]
    head: str = ""

    def apply(self, value: Expr, span: Span | None, encoding: bool = False) -> Expr:
        """The outputs for a vector, or for every row of a matrix. Raises ModelError where the length is another."""
        if self.head and not encoding:
            raise ModelError.of(
                "E318", span, f"`{self.name}` ends in {self.head}(…): it is an encoder, for a guide note",
                "give the last size as a number to use its outputs",
            )  # fmt: skip
        self.check(value, span)
        if len(value.type.dims) == 1:
            return self._outputs(value)
        rows = value.type.dims[0]
        axis = construct.fresh_axis("row", rows.size, rows.origin)
        return construct.lift(self._outputs(construct.named(value, 0, axis)), [axis], [rows.label])

    def check(self, value: Expr, span: Span | None) -> None:
        """Raises ModelError for what is no vector or matrix of rows of the inputs' length."""
        if len(value.type.dims) not in (1, 2):
            found = f"`{self.name}` takes a vector or the rows of a matrix, {messages.written(value)} "
            raise ModelError.of("E301", value.span or span, found + messages.extent(value.type))
        if value.type.dims[-1].size != self.sizes[0]:
            found = f"{messages.written(value)} {messages.extent(Type((), value.type.dims[-1:]))}"
            raise ModelError.of("E301", value.span or span, f"`{self.name}` takes {self.sizes[0]} inputs, {found}")

    def _outputs(self, value: Expr) -> Expr:
        last = len(self.weights) - 1
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            value = construct.call("add", [construct.matmul(value, weight), bias])
            value = ACTIVATIONS[self.act](value) if number < last else value
        return value


def declare(
    builder: Builder, name: str, sizes: Sequence[int], act: str, head: str = "", span: Span | None = None
) -> Network:
    """A network with its weights and biases as learned parameters."""
    weights, biases = [], []
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = layer == len(sizes) - 2
        start = _initial(name, layer, inputs, outputs, act in RECTIFIERS and not last)
        dims = (Dim(inputs), Dim(outputs))
        weights.append(builder.param(f"{name}.weight{layer}", start, SupportOf("real"), dims, span, network=True))
        biases.append(
            builder.param(f"{name}.bias{layer}", np.zeros(outputs), SupportOf("real"), dims[1:], span, network=True)
        )
    return Network(name, tuple(sizes), act, tuple(weights), tuple(biases), head)


def _initial(name: str, layer: int, inputs: int, outputs: int, rectified: bool) -> np.ndarray:
    rng = np.random.default_rng([zlib.crc32(name.encode()), layer])
    if rectified:
        return rng.normal(0.0, np.sqrt(2.0 / inputs), (inputs, outputs))
    limit = np.sqrt(6.0 / (inputs + outputs))
    return rng.uniform(-limit, limit, (inputs, outputs))


def unknown_activation(act: str, span: Span | None) -> list[Diagnostic]:
    """The answer to an activation that there is not."""
    if act in ACTIVATIONS:
        return []
    near = nearest(act, ACTIVATIONS)
    expected = f"did you mean `{near}`?" if near else f"there are {', '.join(ACTIVATIONS)}"
    return [Diagnostic("E318", span, f"no activation `{act}`", expected)]
