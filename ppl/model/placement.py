"""Which plates the leading dimensions of whole arrays stand for, in a statement that does not index by its plates."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.model import construct
from ppl.model.expressions import Dim, Expr
from ppl.source import Span

Placement = tuple[Axis, ...]


def place(name: str, parts: Sequence[tuple[Expr, int]], plates: Sequence[Axis], span: Span | None) -> list[Expr]:
    """Each part `(value, core)` with the dimensions before its last `core` ones named by the plates they fit.

    A dimension fits a plate of its length, unless it comes from a different one. Where several choices fit, a part of
    the same shape that fits in one way only decides. Raises ModelError where none fits, or none is decided on.
    """
    heads = [value.type.dims[: len(value.type.dims) - core] for value, core in parts]
    fitting = [_placements(head, _free(value, plates)) for head, (value, _) in zip(heads, parts, strict=True)]
    known = {_shape(head): found[0] for head, found in zip(heads, fitting, strict=True) if len(found) == 1}
    placed = []
    for (value, core), head, found in zip(parts, heads, fitting, strict=True):
        chosen = found[0] if len(found) == 1 else known.get(_shape(head))
        if chosen is None or chosen not in found:
            raise _misfit(name, value, head, found, plates, span)
        placed.append(name_leading(value, core, chosen))
    return placed


def place_event(name: str, value: Expr, plates: Sequence[Axis], span: Span | None) -> Expr:
    """`value` with as many leading dimensions named as fit `plates`; the others are its event."""
    free = _free(value, plates)
    for count in range(min(len(value.type.dims), len(free)), 0, -1):
        if _placements(value.type.dims[:count], free):
            return place(name, [(value, len(value.type.dims) - count)], plates, span)[0]
    return value


def name_leading(value: Expr, core: int, axes: Sequence[Axis]) -> Expr:
    """Leading dimensions of `value` named by `axes`; a value without any is left alone."""
    if len(value.type.dims) == core:
        return value
    for axis in axes:
        if axis in value.type.axes:
            raise _twice(value, axis, value.span)
        value = construct.named(value, 0, axis)
    return value


def _free(value: Expr, plates: Sequence[Axis]) -> Placement:
    """The plates that a value is not indexed by yet."""
    return tuple(axis for axis in plates if axis not in value.type.axes)


def _placements(head: Sequence[Dim], plates: Sequence[Axis]) -> list[Placement]:
    return [choice for choice in combinations(plates, len(head)) if _fits(head, choice)]


def _fits(head: Sequence[Dim], plates: Placement) -> bool:
    return all(
        dim.size == axis.size and dim.label in (None, axis.extent) for dim, axis in zip(head, plates, strict=True)
    )


def _shape(head: Sequence[Dim]) -> tuple[int, ...]:
    return tuple(dim.size for dim in head)


def _misfit(
    name: str, value: Expr, head: Sequence[Dim], found: list[Placement], plates: Sequence[Axis], span: Span | None
) -> ModelError:
    shape = ", ".join(str(dim) for dim in head)
    wanted = ", ".join(f"{axis.name}: {axis.size}" for axis in plates)
    if found:
        return ModelError.of(
            "E302", span, f"`{name}`: shape ({shape}) fits the plates ({wanted}) in more than one way",
            "index by the plates: `with ppl.plate(…) as i: … x[i]`",
        )  # fmt: skip
    if _placements(head, plates):
        axis = next(axis for axis in plates if axis in value.type.axes)
        return _twice(value, axis, value.span or span)
    return ModelError.of(
        "E302", span, f"`{name}`: an argument or observed value has shape ({shape}), the plates are ({wanted})",
        "a dimension of length 1 does not stretch over a plate" if any(dim.size == 1 for dim in head) else "",
    )  # fmt: skip


def _twice(value: Expr, axis: Axis, span: Span | None) -> ModelError:
    return ModelError.of(
        "E302", span, f"is indexed by `{axis.name}` in one part and whole in another", f"index both by `{axis.name}`"
    )
