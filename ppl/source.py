"""Where things stand in a text: spans, excerpts with a caret, and "did you mean".

A `Source` is a named text, a `Span` a half-open range of its characters. Both doors use them: the
text door for `.ppl` files, the Python door for the file in which the decorated function stands.
"""

from __future__ import annotations

import bisect
import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

WIDEST = 200
"""The longest excerpt of a line, in characters."""


@dataclass(frozen=True)
class Source:
    """A named text. `name` is what error messages show before `:line:column`."""

    name: str
    text: str = field(repr=False)

    @cached_property
    def _line_starts(self) -> list[int]:
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both counted from 1."""
        row = bisect.bisect_right(self._line_starts, offset) - 1
        return row + 1, offset - self._line_starts[row] + 1

    def offset(self, line: int, column: int) -> int:
        """Character offset of a line and column, both counted from 1 (inverse of `position`)."""
        return self._line_starts[line - 1] + column - 1

    def line(self, number: int) -> str:
        """The text of one line, counted from 1, without its newline."""
        start = self._line_starts[number - 1]
        return self.text[start:].split("\n", 1)[0].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True)
class Span:
    """The characters `start:end` of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.position(self.start)[0]

    @property
    def end_line(self) -> int:
        return self.source.position(max(self.start, self.end - 1))[0]

    @property
    def column(self) -> int:
        return self.source.position(self.start)[1]

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def location(self) -> str:
        """`file:line:column`."""
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"

    def excerpt(self, note: str = "") -> str:
        """The first line of the span with a caret under the exact characters, and `note` behind it."""
        line, column = self.source.position(self.start)
        whole = self.source.line(line).replace("\t", " ")
        first = max(0, column - 1 - WIDEST // 2) if len(whole) > WIDEST else 0
        text = whole[first : first + WIDEST]
        before = column - 1 - first
        width = max(1, min(self.end - self.start, len(text) - before))
        gutter = " " * len(str(line))
        caret = " " * before + "^" * width
        return f"{line} | {text}\n{gutter} | {caret} {note}".rstrip()


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None where nothing is close."""
    candidates = sorted(set(known))
    found = difflib.get_close_matches(name, candidates, n=1, cutoff=0.6)
    if found:
        return found[0]
    folded = {candidate.casefold(): candidate for candidate in candidates}
    return folded.get(name.casefold())
