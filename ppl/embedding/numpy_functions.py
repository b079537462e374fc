"""NumPy's functions on symbols that have keywords of their own, with NumPy's parameter names behind the span."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ppl.embedding import operations
from ppl.embedding.indexing import take
from ppl.embedding.operand import Operand, as_operand
from ppl.errors import ModelError
from ppl.model import construct
from ppl.source import Span

Handler = Callable[..., Any]
"""Takes the span, then what the NumPy function takes; returns an `Operand` or a plain value."""


def apply_function(name: str, span: Span | None, *arguments: Any, **static: Any) -> Operand:
    return operations.apply(name, [as_operand(argument, span) for argument in arguments], span, **static)


def reduce_axes(
    name: str, span: Span | None, a: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False
) -> Operand:
    return operations.reduce(name, as_operand(a, span), span, axis, keepdims)


def along_axis(name: str, span: Span | None, a: Any, axis: int | None = None) -> Operand:
    return operations.along(name, as_operand(a, span), axis, span)


def _spread(
    name: str, span: Span | None, a: Any, axis: int | None = None, ddof: int = 0, keepdims: bool = False
) -> Operand:
    """Variance and standard deviation; with `ddof` the divisor is `n - ddof`."""
    operand = as_operand(a, span)
    result = operations.reduce(name, operand, span, axis, keepdims)
    if not ddof:
        return result
    shape = operand.shape
    count = int(np.prod(shape)) if axis is None else shape[operations.normal_axis(axis, len(shape), span)]
    ratio = count / (count - ddof)
    scale = as_operand(ratio if name == "variance" else ratio**0.5, span)
    return operations.apply("multiply", [result, scale], span)


def _sort(span: Span | None, a: Any, axis: int | None = -1) -> Operand:
    return operations.along("sort", as_operand(a, span), axis, span)


def _matmul(span: Span | None, x1: Any, x2: Any, /) -> Operand:
    return operations.matmul(as_operand(x1, span), as_operand(x2, span), span)


def _dot(span: Span | None, a: Any, b: Any) -> Operand:
    left, right = as_operand(a, span), as_operand(b, span)
    if 0 in (left.rank, right.rank):
        return operations.apply("multiply", [left, right], span)
    return operations.matmul(left, right, span)


def _inner(span: Span | None, a: Any, b: Any) -> Operand:
    left, right = as_operand(a, span), as_operand(b, span)
    if 0 in (left.rank, right.rank):
        return operations.apply("multiply", [left, right], span)
    return operations.matmul(left, operations.transpose(right, span), span)


def _logical(name: str, span: Span | None, *arguments: Any) -> Operand:
    return operations.logical(name, [as_operand(argument, span) for argument in arguments], span)


def _transpose(span: Span | None, a: Any) -> Operand:
    return operations.transpose(as_operand(a, span), span)


def _clip(
    span: Span | None, a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Operand:
    result = as_operand(a, span)
    for name, bound in (("maximum", a_min if min is None else min), ("minimum", a_max if max is None else max)):
        if bound is not None:
            result = operations.apply(name, [result, as_operand(bound, span)], span)
    return result


def _round(span: Span | None, a: Any, decimals: int = 0) -> Operand:
    if decimals:
        raise ModelError.of("E311", span, "np.round on symbols rounds to whole numbers")
    return apply_function("round", span, a)


def _stack(span: Span | None, arrays: Sequence[Any], axis: int = 0) -> Operand:
    """Side by side along a new axis: the first, or the second of vectors."""
    operand = Operand(construct.stack([as_operand(array, span).whole() for array in arrays], span))
    if operations.normal_axis(axis, operand.rank, span) == 0:
        return operand
    if operand.rank != 2:
        raise ModelError.of("E311", span, "np.stack on symbols makes a new first axis, or the second of vectors")
    return operations.transpose(operand, span)


def _concatenate(span: Span | None, arrays: Sequence[Any], axis: int = 0) -> Operand:
    operands = [as_operand(array, span) for array in arrays]
    if operations.normal_axis(axis, operands[0].rank, span) == 0:
        return operations.apply("concatenate", operands, span)
    if any(operand.rank != 2 for operand in operands):
        raise ModelError.of("E311", span, "np.concatenate of symbols joins along the first, or columns of matrices")
    columns = [operations.transpose(Operand(operand.whole()), span) for operand in operands]
    return operations.transpose(operations.apply("concatenate", columns, span), span)


def _hstack(span: Span | None, tup: Sequence[Any]) -> Operand:
    operands = [as_operand(array, span) for array in tup]
    parts = [take(operand, None, span) if operand.rank == 0 else operand for operand in operands]
    return _concatenate(span, parts, min(1, parts[0].rank - 1))


def _column_stack(span: Span | None, tup: Sequence[Any]) -> Operand:
    operands = [as_operand(array, span) for array in tup]
    columns = [take(o, (slice(None), None), span) if o.rank == 1 else o for o in operands]
    return _concatenate(span, columns, 1)


def _diag(span: Span | None, v: Any) -> Operand:
    operand = as_operand(v, span)
    return operations.apply("diag" if operand.rank == 1 else "diagonal", [operand], span)


def _diff(span: Span | None, a: Any, n: int = 1) -> Operand:
    operand = as_operand(a, span)
    if n != 1 or operand.rank != 1:
        raise ModelError.of("E311", span, "np.diff on symbols takes first differences of a vector")
    ends = [take(operand, slice(1, None), span), take(operand, slice(None, -1), span)]
    return operations.apply("subtract", ends, span)


def _take(span: Span | None, a: Any, indices: Any, axis: int | None = None) -> Operand:
    operand = as_operand(a, span)
    if axis is None and operand.rank != 1:
        raise ModelError.of("E311", span, f"np.take of a value of {operand.rank} dimensions needs `axis`")
    place = operations.normal_axis(axis or 0, operand.rank, span)
    return take(operand, (*(slice(None),) * place, indices), span)


def _expand_dims(span: Span | None, a: Any, axis: int) -> Operand:
    operand = as_operand(a, span)
    place = operations.normal_axis(axis, operand.rank + 1, span)
    return take(operand, (*(slice(None),) * place, None), span)


def _where(span: Span | None, condition: Any, x: Any, y: Any, /) -> Operand:
    return apply_function("where", span, condition, x, y)


def _outer(span: Span | None, a: Any, b: Any) -> Operand:
    return apply_function("outer", span, a, b)


def _filled(value: float, span: Span | None, a: Any, dtype: Any = float) -> np.ndarray:
    return np.full(as_operand(a, span).shape, value, dtype)


WRITTEN_OUT: dict[str, Handler] = {
    "var": partial(_spread, "variance"),
    "std": partial(_spread, "sd"),
    "sort": _sort,
    "matmul": _matmul,
    "dot": _dot,
    "inner": _inner,
    "outer": _outer,
    "bitwise_and": partial(_logical, "logical_and"),
    "bitwise_or": partial(_logical, "logical_or"),
    "invert": partial(_logical, "logical_not"),
    "transpose": _transpose,
    "clip": _clip,
    "round": _round,
    "around": _round,
    "where": _where,
    "stack": _stack,
    "vstack": lambda span, tup: (_concatenate if as_operand(tup[0], span).rank > 1 else _stack)(span, tup),
    "hstack": _hstack,
    "column_stack": _column_stack,
    "concatenate": _concatenate,
    "diag": _diag,
    "diff": _diff,
    "take": _take,
    "expand_dims": _expand_dims,
    "shape": lambda span, a: as_operand(a, span).shape,
    "ndim": lambda span, a: as_operand(a, span).rank,
    "size": lambda span, a: int(np.prod(as_operand(a, span).shape)),
    "zeros_like": partial(_filled, 0.0),
    "ones_like": partial(_filled, 1.0),
}
"""Handlers by the name inside `numpy`."""
