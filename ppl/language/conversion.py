"""From what a person passes as data (lists, numbers, None, arrays) to float64 and int64 arrays."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

EXACT = 2.0**53
"""Floating-point numbers beyond this do not tell neighbouring integers apart."""


class Unfit(Exception):
    """A value cannot be what it is declared; `found` goes on from the name (`"[3] = 2.5"`)."""

    def __init__(self, code: str, found: str, expected: str) -> None:
        super().__init__(found)
        self.code = code
        self.found = found
        self.expected = expected


def convert(raw: Any, kind: str, missing: bool) -> np.ndarray:
    """An array of `kind` `"real"` (float64), `"int"` or `"bool"` (int64, or float64 with NaN where `missing`).

    `None` and masked elements become NaN. Raises `Unfit`.
    """
    array = _numbers(raw)
    if kind == "real":
        return array.astype(np.float64)
    _require_whole(array, kind, missing)
    if kind == "bool":
        _require(array, ~np.isnan(array) & (array != 0) & (array != 1), "true or false (0 or 1) is expected")
    return array.astype(np.float64 if missing else np.int64)


def element(place: tuple[Any, ...]) -> str:
    """How an element is written after the name: `[3]`, `[0, 2]`, or nothing for a scalar."""
    return f"[{', '.join(str(int(i)) for i in place)}]" if place else ""


def first(mask: np.ndarray) -> tuple[Any, ...]:
    """The place of the first true element."""
    return np.unravel_index(int(np.argmax(mask)), mask.shape) if mask.ndim else ()


def _require(array: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    if wrong.any():
        place = first(wrong)
        raise Unfit("E513", f"{element(place)} = {array[place]:.12g}", expected)


def _require_whole(array: np.ndarray, kind: str, missing: bool) -> None:
    if array.dtype.kind == "u":
        _require(array, array > np.iinfo(np.int64).max, "whole numbers go up to 2^63 - 1")
    if array.dtype.kind != "f":
        return
    absent = np.isnan(array)
    if absent.any() and not missing:
        place = first(absent)
        found = f"{element(place)} is NaN ({absent.sum()} of {array.size} missing)"
        raise Unfit("E501", found, "declare it `missing`, or drop the rows")
    with np.errstate(invalid="ignore"):
        _require(array, ~absent & (array != np.floor(array)), f"declared `{kind}`, so a whole number is expected")
        _require(array, abs(array) > EXACT, "whole numbers beyond 2^53 are not exact; count in larger units")


def _numbers(raw: Any) -> np.ndarray:
    """`raw` as an array of booleans, integers or floats."""
    if isinstance(raw, np.ma.MaskedArray):
        plain = np.array(raw.data, dtype=np.float64 if raw.dtype.kind in "biuf" else object)
        plain[np.ma.getmaskarray(raw)] = np.nan
        return _numbers(plain)
    try:
        array = np.asarray(raw)
    except ValueError:
        raise Unfit("E512", f" is ragged{_ragged_rows(raw)}", "rows of one length are expected") from None
    return array if array.dtype.kind in "biuf" else _from_objects(np.asarray(raw, dtype=object))


def _from_objects(array: np.ndarray) -> np.ndarray:
    numbers = np.empty(array.shape)
    for place in np.ndindex(array.shape):
        item = array[place]
        if item is not None and not isinstance(item, Real):
            raise Unfit("E513", f"{element(place)} is {_shown(item)}", "a number is expected")
        numbers[place] = np.nan if item is None else _as_float(item, place)
    return numbers


def _as_float(item: Real, place: tuple[Any, ...]) -> float:
    try:
        return float(item)
    except OverflowError:
        found = f"{element(place)} is beyond the range of floating-point numbers"
        raise Unfit("E513", found, "the largest is 1.8e308") from None


def _shown(item: Any) -> str:
    text = repr(item.item() if isinstance(item, np.generic) else item)
    return text if len(text) <= 40 else f"{text[:36]} …"


def _ragged_rows(raw: Any) -> str:
    """Which rows differ, where they are the outermost ones."""
    lengths = [len(row) if isinstance(row, (list, tuple, np.ndarray)) else None for row in raw]
    other = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    if other is None:
        return ""
    return f": row 0 has {_row_length(lengths[0])}, row {other} has {_row_length(lengths[other])}"


def _row_length(length: int | None) -> str:
    return "a number" if length is None else f"length {length}"
