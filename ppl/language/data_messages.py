"""The words of the data phase: what was found, and what was expected."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ppl.language import conversion

SIDES = {"lower": "below", "upper": "above"}
SHOWN = 8


def did_you_mean(suggestion: str | None) -> str:
    return f"did you mean `{suggestion}`?" if suggestion else ""


def absent(spelled: str | None, is_size: bool, data: Collection[str]) -> str:
    """Why a declared name has no value; `spelled` is a name in the data that may have been meant."""
    if spelled is not None:
        return f"the data have `{spelled}`: rename one of them"
    if is_size:
        return "pass it, or an array that has it as a dimension"
    names = sorted(data)
    listing = ", ".join(f"`{name}`" for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"the data have {listing}" if names else "the data are empty"


def place(mask: np.ndarray) -> str:
    """`value 17`, `value [3, 2]`, or `the value` of a scalar: the first true element."""
    where = conversion.element(conversion.first(mask))
    if not where:
        return "the value"
    return f"value {where[1:-1]}" if mask.ndim == 1 else f"value {where}"


def element(name: str, mask: np.ndarray) -> str:
    """`time[8]`: the first true element of `mask`, or the name alone for a scalar."""
    return name + conversion.element(conversion.first(mask))


def shape(
    name: str, found: tuple[int, ...], names: Sequence[str], lengths: Sequence[int | None]
) -> tuple[str, str, str]:
    """Found, expected and fix of a wrong shape; a length that is not known is None."""
    sizes = [text if length is None else str(length) for text, length in zip(names, lengths, strict=True)]
    expected = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})" if sizes else "a single number"
    declared = f"[{', '.join(names)}] = {expected}" if names and list(names) != sizes else expected
    return f"{name} has shape {found}", f"expected {declared}", _shape_fix(name, found, tuple(lengths))


def _shape_fix(name: str, found: tuple[int, ...], lengths: tuple[int | None, ...]) -> str:
    if tuple(n for n in found if n != 1) == tuple(n for n in lengths if n != 1):
        return f"pass {name} with the axes of length 1 dropped or added: numpy.reshape({name}, {lengths})"
    if len(found) > 1 and found[::-1] == lengths:
        return f"pass {name} transposed"
    return ""


def index_range(low: int, high: int, size: str, states: int, base: int) -> tuple[str, str]:
    """Found and expected of an index out of range; an offset of one is named as such."""
    if base == 0 and low >= 1 and high == states:
        return f"values run {low}..{size}", "indices count from 0: bind with base=1"
    if base == 1 and low == 0 and high < states:
        return f"values run 0..{high}", "they count from 0: bind with base=0"
    known = f" ({size} = {states})" if size != str(states) else ""
    return f"values run {low}..{high}", f"expected {base}..{base + states - 1}{known}"


def outside(name: str, value: np.ndarray, mask: np.ndarray, bound: str, limit: np.ndarray, text: str) -> str:
    """`time[8] = -2.5 is below 0`, with the bound's expression where it is not a plain number."""
    where = conversion.first(mask)
    edge = f"{np.broadcast_to(limit, value.shape)[where]:.12g}"
    source = f" = {text}" if any(character.isalpha() for character in text) else ""
    return f"{element(name, mask)} = {value[where]:.12g} is {SIDES[bound]} {edge}{source}"
