"""The table of a posterior: mean, standard deviation and three quantiles of every number in it."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass

PRINTED_ROWS = 60
"""How many rows a table shows before it leaves out the middle of long arrays."""

_FEWEST = 3  # rows shown of every array, however many arrays there are
_DIGITS = 3
_HEAD = ("", "mean", "sd", "5 %", "50 %", "95 %")
_LEARNED = ("learned, without a posterior", "value")


@dataclass(frozen=True)
class Row:
    """One element of one variable. `beside` is its sd by another reckoning, where there is one."""

    variable: str
    name: str
    mean: float
    sd: float
    q5: float
    q50: float
    q95: float
    beside: float | None = None

    @property
    def numbers(self) -> tuple[float, ...]:
        """In the order of the columns."""
        beside = () if self.beside is None else (self.beside,)
        return (self.mean, self.sd, *beside, self.q5, self.q50, self.q95)


@dataclass(frozen=True)
class Summary:
    """Rows in the model's order; prints as a table. `notes` say what has no row.

    `learned` variables are points without a posterior, and stand in a table of their own. Every row or none has another
    sd beside its own, under the heading `beside`.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    learned: frozenset[str] = frozenset()
    beside: str = ""

    def to_dict(self) -> dict[str, dict[str, float]]:
        """`{"theta[0]": {"mean": …, "sd": …, "q5": …, "q50": …, "q95": …}, …}`, and the sd beside."""
        keys = ("mean", "sd", *self._beside("_"), "q5", "q50", "q95")
        return {row.name: dict(zip(keys, row.numbers, strict=True)) for row in self.rows}

    def table(self, rows: int | None = PRINTED_ROWS) -> str:
        """The aligned table; beyond about `rows` rows the middle of long arrays is left out, with None nothing is."""
        groups = [list(group) for _, group in itertools.groupby(self.rows, key=lambda row: row.variable)]
        most = longest_shown([len(group) for group in groups], rows)
        random = [group for group in groups if group[0].variable not in self.learned]
        points = [group for group in groups if group[0].variable in self.learned]
        cells = [
            (*_HEAD[:3], *self._beside(" "), *_HEAD[3:]),
            *(line for group in random for line in _shown(group, most)),
        ]
        hidden = sum(max(0, len(group) - most) for group in groups)
        lines = aligned(cells) if random or not points else []
        if points:
            table = aligned([_LEARNED, *(line[:2] for group in points for line in _shown(group, most))])
            lines += [*[""] * bool(lines), *table]
        if hidden:
            lines.append(f"{hidden} of {len(self.rows)} rows hidden; `summary.table(None)` and `to_dict()` have all")
        return "\n".join([*lines, *self.notes])

    def _beside(self, space: str) -> tuple[str, ...]:
        """The heading of the sd beside, its words apart by `space`, where there is one."""
        return (self.beside.replace(" ", space),) if self.beside else ()

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__

    def __len__(self) -> int:
        return len(self.rows)


def longest_shown(sizes: list[int], rows: int | None) -> int:
    """How many rows of one array to show so that all arrays together have at most `rows`."""
    longest = max(sizes, default=0)
    if rows is None:
        return longest
    fitting = [most for most in range(_FEWEST, rows + 1) if sum(min(size, most) for size in sizes) <= rows]
    return longest if sum(sizes) <= rows else max(fitting, default=_FEWEST)


def _shown(group: list[Row], most: int) -> list[tuple[str, ...]]:
    """The rows of one variable as text, with one line for the middle where there are more than `most`."""
    known = [decimals for row in group if (decimals := _decimals(row)) is not None]
    usual = statistics.median_low(known) if known else None
    return elided([(row.name, *format_row(row, usual)) for row in group], most)


def elided(cells: list[tuple[str, ...]], most: int) -> list[tuple[str, ...]]:
    """Rows of cells, with one line for the middle where there are more than `most`."""
    if len(cells) <= most:
        return cells
    head = (most + 1) // 2
    gap = (f"… {len(cells) - most} more", *[""] * (len(cells[0]) - 1))
    return [*cells[:head], gap, *cells[len(cells) - (most - head) :]]


def format_row(row: Row, usual: int | None = None) -> list[str]:
    """The numbers of a row to one precision: three significant digits of its spread, and as many of all else.

    Where that is one decimal off the `usual` of its variable, the usual; a discrete variable has whole quantiles.
    """
    decimals = _decimals(row)
    if decimals is None:
        return [_plain(number) for number in row.numbers]
    moments, quantiles = row.numbers[:-3], row.numbers[-3:]
    if all(math.isfinite(number) and number == int(number) for number in quantiles):
        return [*(_fixed(number, _DIGITS) for number in moments), *map(_plain, quantiles)]
    if usual is not None and abs(decimals - usual) == 1:
        decimals = usual
    size = max((abs(number) for number in row.numbers if math.isfinite(number)), default=0.0)
    if size >= 1e7 or decimals > 8:
        return [f"{number:.{_DIGITS - 1}e}" for number in row.numbers]
    return [_fixed(number, decimals) for number in row.numbers]


def _decimals(row: Row) -> int | None:
    """How many decimals show three significant digits of the spread; None without a spread."""
    spread = _spread(row)
    return min(max(_DIGITS - 1 - math.floor(math.log10(spread)), 0), 300) if spread else None


def _fixed(number: float, decimals: int) -> str:
    """Without a sign where nothing but zeros is left."""
    text = f"{number:.{decimals}f}"
    return text.lstrip("-") if not text.strip("-0.") else text


def _spread(row: Row) -> float:
    """The standard deviation, or the quantiles' idea of it where a heavy tail makes that smaller; 0 without either."""
    candidates = (row.sd, (row.q95 - row.q5) / 3.29)
    return min((each for each in candidates if math.isfinite(each) and each > 0.0), default=0.0)


def _plain(number: float) -> str:
    """Four significant digits without an exponent where that is readable; whole numbers whole."""
    if math.isfinite(number) and number == int(number) and abs(number) < 1e7:
        return str(int(number))
    return f"{number:.{_DIGITS}g}"


def aligned(cells: list[tuple[str, ...]]) -> list[str]:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for name, *numbers in cells:
        parts = [name.ljust(widths[0]), *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True))]
        lines.append("  ".join(parts).rstrip())
    return lines
