"""The operations of the language on operands: NumPy's habits (`axis`, `keepdims`, `newaxis`) in terms of named axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ppl.axes import Axis
from ppl.embedding.operand import Operand
from ppl.embedding.spans import located
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS
from ppl.model import construct
from ppl.model.expressions import Dim, Expr, Type
from ppl.source import Span


def apply(name: str, operands: Sequence[Operand], span: Span | None, **static: Any) -> Operand:
    """A function of the language applied to operands of exactly the shapes it takes."""
    function = FUNCTIONS[name]
    if function.elementwise and any(operand.inserted for operand in operands):
        return _stretched(name, operands, span)
    try:
        expressions = [operand.whole() for operand in operands]
        return Operand(located(lambda args: construct.call(name, args, span, **static), expressions, span))
    except ModelError as error:
        if function.elementwise and _needs_newaxis(operands):
            raise _with_fix(error, "insert the dimension that is to stretch, as in `x[:, None]`") from None
        raise


def _needs_newaxis(operands: Sequence[Operand]) -> bool:
    shapes = {operand.shape for operand in operands if operand.rank}
    return len(shapes) > 1 and (len({len(shape) for shape in shapes}) > 1 or any(1 in shape for shape in shapes))


def _with_fix(error: ModelError, fix: str) -> ModelError:
    return ModelError([record if record.fix else replace(record, fix=fix) for record in error.diagnostics])


def _stretched(name: str, operands: Sequence[Operand], span: Span | None) -> Operand:
    """An elementwise function where inserted dimensions stretch: the others are named for a moment."""
    rank = max(operand.rank for operand in operands)
    short = [operand for operand in operands if operand.rank not in (0, rank)]
    if short:
        shapes = " and ".join(str(list(o.shape)) for o in operands if o.rank)
        raise ModelError.of(
            "E301", span, f"shapes {shapes} differ", "a missing dimension does not stretch",
            "insert it: `x[None, :]`",
        )  # fmt: skip
    arrays = [operand for operand in operands if operand.rank]
    dims = [_common_dim(arrays, position, span) for position in range(rank)]
    axes = [None if dim is None else construct.fresh_axis("row", dim.size, dim.origin) for dim in dims]
    values = []
    for operand in operands:
        value = operand.expression
        for position in range(operand.rank):
            axis = axes[position]
            if position not in operand.inserted and axis is not None:
                value = construct.named(value, 0, axis)
        values.append(value)
    result = construct.call(name, values, span)
    kept = [axis for axis in axes if axis is not None]
    labels = [dim.label for dim in dims if dim is not None]
    return Operand(construct.lift(result, kept, labels), tuple(p for p, dim in enumerate(dims) if dim is None))


def _common_dim(operands: Sequence[Operand], position: int, span: Span | None) -> Dim | None:
    """The dimension that stands at `position` in some of the operands; None where all have it inserted."""
    found = []
    for operand in operands:
        if position not in operand.inserted:
            before = sum(1 for place in operand.inserted if place < position)
            found.append(Type((), (operand.expression.type.dims[position - before],)))
    return construct.unify(found, span)[0] if found else None


def normal_axis(axis: int, rank: int, span: Span | None) -> int:
    """An axis counted from the front; negative ones count from the back."""
    if not -rank <= axis < rank:
        raise ModelError.of("E307", span, f"axis {axis} of a value of {rank} dimension{'s' * (rank != 1)}")
    return axis % rank


def reduce(
    name: str, operand: Operand, span: Span | None, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Operand:
    """A reduction over all the dimensions, or over those of `axis`."""
    value = operand.whole()
    rank = len(value.type.dims)
    chosen = range(rank) if axis is None else [axis] if isinstance(axis, int) else axis
    axes = sorted({normal_axis(a, rank, span) for a in chosen})
    if len(axes) == rank:
        result = construct.call(name, [value], span)
    elif len(axes) == 1:
        result = construct.call(name, [value], span, axis=axes[0])
    else:
        result = _over_several(name, value, axes, span)
    return Operand(result, tuple(axes) if keepdims else ())


def _over_several(name: str, value: Expr, axes: Sequence[int], span: Span | None) -> Expr:
    """Several axes but not all: the others are named, the rest reduced whole."""
    kept: list[Axis] = []
    labels: list[str | None] = []
    for position in range(len(value.type.dims)):
        if position not in axes:
            dim = value.type.dims[position - len(kept)]
            kept.append(construct.fresh_axis("row", dim.size, dim.origin))
            labels.append(dim.label)
            value = construct.named(value, position - len(kept) + 1, kept[-1])
    return construct.lift(construct.call(name, [value], span), kept, labels)


def along(name: str, operand: Operand, axis: int | None, span: Span | None) -> Operand:
    """A function from vectors to vectors of the same length, along one dimension of an array."""
    value = operand.whole()
    rank = len(value.type.dims)
    if axis is None or rank == 1:
        if axis is not None:
            normal_axis(axis, rank, span)
        return apply(name, [Operand(value)], span)
    chosen = normal_axis(axis, rank, span)
    dims = value.type.dims
    axes = [construct.fresh_axis("row", dim.size, dim.origin) for dim in dims]
    for position in reversed(range(rank)):
        if position != chosen:
            value = construct.named(value, position, axes[position])
    result = construct.named(construct.call(name, [value], span), 0, axes[chosen])
    return Operand(construct.lift(result, axes, [dim.label for dim in dims]))


def matmul(left: Operand, right: Operand, span: Span | None) -> Operand:
    operands = [left.whole(), right.whole()]
    return Operand(located(lambda args: construct.matmul(args[0], args[1], span), operands, span))


def transpose(operand: Operand, span: Span | None) -> Operand:
    """Rows and columns of a matrix exchanged; vectors and scalars stay as they are."""
    if operand.rank < 2:
        return operand
    if operand.rank == 2 and operand.inserted:
        return Operand(operand.expression, tuple(1 - position for position in operand.inserted))
    return apply("transpose", [operand], span)


def logical(name: str, operands: Sequence[Operand], span: Span | None) -> Operand:
    """`&`, `|`, `~` on truth values. Raises ModelError for numbers."""
    for operand in operands:
        if operand.expression.type.domain != "boolean":
            raise ModelError.of(
                "E311", span, "`&`, `|` and `~` take truth values, not numbers", "compare first: `(a > 0) & (b > 0)`"
            )
    return apply(name, operands, span)
