"""Data that are read row by row meet their declarations."""

from __future__ import annotations

from ppl.streams import Column

Problem = tuple[str, str, str]
WHOLE = ("int", "bool", "index")


def column_as(column: Column, name: str, kind: str, base: int) -> tuple[Column, Problem | None]:
    """The column under the name of data of this kind, and what is wrong with its numbers: code, found, expected.

    Indices count from `base` in the file and from 0 in the result.
    """
    facts = column.facts
    renamed = column.called(name)
    if facts.missing is not None:
        return renamed, ("E501", f"{name}: row {facts.missing} is NaN", "drop the rows with missing values")
    if facts.infinite is not None:
        return renamed, ("E501", f"{name}: row {facts.infinite} is infinite", "")
    if kind in WHOLE and not facts.whole:
        found = f"{name} has numbers that are not whole, the first in row {facts.fraction}"
        return renamed, ("E513", found, f"`{kind}` takes whole numbers")
    if kind == "bool" and not 0 <= facts.lowest <= facts.highest <= 1:
        return renamed, ("E513", f"{name} has {facts.highest:g}", "true or false (0 or 1) is expected")
    return (renamed.counted(base if kind == "index" else 0) if kind in WHOLE else renamed), None
