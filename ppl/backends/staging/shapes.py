"""Arithmetic of shapes and spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ppl.backends.staging.graph import Shape, Span


def broadcast_shape(shapes: Iterable[Shape]) -> Shape:
    """The shape that arrays of these shapes broadcast to."""
    different = {shape for shape in shapes if shape != ()}
    return different.pop() if len(different) == 1 else tuple(np.broadcast_shapes(*different))


def padded(shape: Shape, rank: int) -> Shape:
    """With axes of length 1 in front."""
    return (1,) * (rank - len(shape)) + shape


def normal_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """What NumPy takes as `axis`, as increasing positions from the front."""
    if axis is None:
        return tuple(range(rank))
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(sorted(int(one) % rank for one in axes))


def reduced(shape: Shape, axes: Sequence[int]) -> Shape:
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def same_but_ones(old: Shape, new: Shape) -> list[int | None] | None:
    """For each axis of `new` the axis of `old` it is, None for one of length 1.

    None where the shapes differ by more than axes of length 1.
    """
    wide = [axis for axis, size in enumerate(old) if size != 1]
    if [old[axis] for axis in wide] != [size for size in new if size != 1]:
        return None
    left = iter(wide)
    return [None if size == 1 else next(left) for size in new]


def carried(shape: Shape, rank: int, axes: Sequence[int | None]) -> Shape:
    """The shape of an operand of an array of that rank after a reshape that `same_but_ones` describes."""
    full = padded(shape, rank)
    return tuple(1 if axis is None else full[axis] for axis in axes)


def length(span: Span) -> int:
    return len(range(*span))


def whole(shape: Shape) -> tuple[Span, ...]:
    return tuple((0, size, 1) for size in shape)


def composed(outer: Span, inner: Span) -> Span:
    """The span of the elements `inner` of the elements `outer`."""
    taken = range(*outer)[slice(*_as_slice(inner))]
    return (taken.start, taken.stop, taken.step)


def _as_slice(span: Span) -> tuple[int, int | None, int]:
    start, stop, step = span
    return (start, None if stop < 0 else stop, step)


def as_slice(span: Span) -> slice:
    return slice(*_as_slice(span)) if length(span) else slice(0, 0)


def key_of(spans: Sequence[Span]) -> tuple[slice, ...]:
    return tuple(map(as_slice, spans))


def basic_spans(index: Any, shape: Shape) -> tuple[tuple[Span, ...], Shape] | None:
    """What basic indexing takes: spans that keep all axes, and the shape that the answer then has.

    None for an index with arrays.
    """
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(isinstance(part, slice | int | np.integer | type(None) | type(Ellipsis)) for part in parts):
        return None
    if any(isinstance(part, bool) for part in parts):
        return None
    given = sum(part is not None and part is not Ellipsis for part in parts)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    at = parts.index(Ellipsis)
    parts[at : at + 1] = [slice(None)] * (len(shape) - given)
    spans: list[Span] = []
    result: list[int] = []
    for part in parts:
        if part is None:
            result.append(1)
            continue
        size = shape[len(spans)]
        if isinstance(part, slice):
            span = part.indices(size)
            spans.append(span)
            result.append(length(span))
        else:
            start = int(part) % size
            spans.append((start, start + 1, 1))
    return tuple(spans), tuple(result)
