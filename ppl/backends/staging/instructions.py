"""Instructions, one NumPy call each, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.backends.staging.graph import FLOAT, Node, Shape
from ppl.backends.staging.shapes import broadcast_shape

OPERATORS = {np.add: "{} + {}", np.subtract: "{} - {}", np.multiply: "{} * {}", np.divide: "{} / {}"}


@dataclass(frozen=True)
class Instruction:
    """`target = text`, with a `{}` in the text for each operand.

    `takes_out` ones can be given an array for their answer, which may be an operand where they are `elementwise`. The
    answer of a `view` may be a part of an operand; a `store` writes into its first operand and has no target.
    """

    target: str
    text: str
    operands: tuple[str, ...]
    shape: Shape | None = None
    takes_out: bool = False
    elementwise: bool = False
    view: bool = False
    store: bool = False


@dataclass
class Listing:
    """Instructions, the objects they name, the names of the inputs and those of the results."""

    instructions: list[Instruction] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    results: list[str] = field(default_factory=list)


class Writing:
    """Writes instructions and gives names to what they read. `_done` has the names of the values written so far."""

    def __init__(self, inputs: int) -> None:
        self.listing = Listing(inputs=[f"x{number}" for number in range(inputs)])
        self._done: dict[Node, str] = {}
        self._constants: dict[int, str] = {}

    def emit(self, text: str, operands: Sequence[str] = (), shape: Shape | None = None, **kind: bool) -> str:
        target = f"v{len(self.listing.instructions)}"
        self.listing.instructions.append(Instruction(target, text, tuple(operands), shape, **kind))
        return target

    def named(self, value: Any, stem: str = "c") -> str:
        """The name of an object that is no plain literal."""
        if id(value) not in self._constants:
            name = f"{stem}{len(self._constants)}" if stem == "c" else stem
            while name in self.listing.names and self.listing.names[name] is not value:
                name += "_"
            self.listing.names[name] = value
            self._constants[id(value)] = name
        return self._constants[id(value)]

    def function(self, function: Callable[..., Any]) -> str:
        stem = str(getattr(function, "__name__", type(function).__name__.lower()))
        return self.named(function, stem if stem.isidentifier() else "function")

    def literal(self, value: Any) -> str:
        plain = isinstance(value, bool | int | str | type(None)) or (type(value) is float and np.isfinite(value))
        if plain or (type(value) is tuple and all(type(part) is int for part in value)):
            return repr(value)
        return self.named(value)

    def number(self, value: float, shape: Shape) -> str:
        """A number beside an operand of that shape: scalars take literals, arrays are faster with an array."""
        if shape == ():
            return repr(value) if np.isfinite(value) else self.named(float(value))
        for name, known in self.listing.names.items():
            if isinstance(known, np.ndarray) and known.shape == () and known.dtype == FLOAT and known[()] == value:
                return name
        return self.named(np.asarray(value))

    def apply(self, function: Callable[..., Any], parts: Sequence[str], shapes: Sequence[Shape], dtype: Any) -> str:
        """One elementwise function."""
        shape = broadcast_shape(shapes)
        if shape == () and function in OPERATORS:
            return self.emit(OPERATORS[function], parts, shape)
        text = f"{self.function(function)}({', '.join('{}' for _ in parts)})"
        plain = isinstance(function, np.ufunc) and dtype == FLOAT
        return self.emit(text, parts, shape, takes_out=plain, elementwise=plain)
