"""What an operation at the Python door works on: an expression, and the dimensions that `newaxis` inserted into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.model import construct
from ppl.model.expressions import Expr
from ppl.source import Span


@dataclass(frozen=True, eq=False)
class Operand:
    """An expression seen as an array.

    `inserted` are the positions in `shape` of dimensions of length 1 that `None` in an index (or `keepdims`) put
    there. They alone stretch in arithmetic, and the expression does not have them.
    """

    expression: Expr
    inserted: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        return len(self.expression.type.dims) + len(self.inserted)

    @property
    def shape(self) -> tuple[int, ...]:
        lengths = iter(self.expression.type.event)
        return tuple(1 if position in self.inserted else next(lengths) for position in range(self.rank))

    def whole(self) -> Expr:
        """The expression with the inserted dimensions written out, of length 1 and no longer stretching."""
        if not self.inserted:
            return self.expression
        value = self.expression
        axes: list[Axis] = []
        labels: list[str | None] = []
        for position, size in enumerate(self.shape):
            axes.append(construct.fresh_axis("row", size))
            labels.append(None)
            if position not in self.inserted:
                labels[-1] = value.type.dims[0].label
                value = construct.named(value, 0, axes[-1])
        return construct.lift(value, axes, labels)


@singledispatch
def as_operand(value: Any, span: Span | None) -> Operand:
    """Anything that may stand in an expression: a symbol, data, a number, an array, a list of these.

    Raises ModelError for what is not numeric.
    """
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | int | float) else None
    if array is None or array.dtype.kind not in "biuf":
        kind = array.dtype if array is not None else type(value).__name__
        raise ModelError.of("E313", span, f"a value of type {kind} is not a number or an array of numbers")
    return Operand(construct.constant(value, span))


@as_operand.register
def _operand(value: Operand, span: Span | None) -> Operand:
    return value


@as_operand.register(list)
@as_operand.register(tuple)
def _sequence(value: list[Any] | tuple[Any, ...], span: Span | None) -> Operand:
    """Numbers make one constant array, anything else a stack."""
    if all(isinstance(element, int | float | np.generic) for element in value):
        return as_operand(np.array(value), span)
    return Operand(construct.stack([as_operand(element, span).whole() for element in value], span))
