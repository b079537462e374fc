"""The canonical layout of a text.

Two spaces a block, one statement a line, a guide note on the line above its statement, at most one blank line
between statements, spaces around operators other than `^` and range colons. In an argument list bounds and
literal values are written tight: `lower=0`. Comments and the line breaks inside brackets stay, and so does the
alignment of `~` or `=` in consecutive lines.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ppl.language.parser import CLOSING, OPENING, lark_lexer, parse
from ppl.language.recovery import notes_end
from ppl.source import Source

if TYPE_CHECKING:
    from lark import Token

INDENT = "  "
OPERANDS = frozenset({"NAME", "NUMBER", "STRING", "RPAR", "RSQB"})
SIGNS = frozenset({"PLUS", "MINUS"})
LITERALS = frozenset({"NUMBER", "STRING"})
BOUNDS = ("lower", "upper")
DECLARATIONS = frozenset({"DATA", "PARAM"})


def formatted(source: Source) -> str:
    """The text in canonical layout. Raises `ModelError` where it does not parse."""
    parse(source)
    layout = _Layout()
    for token in lark_lexer().lex(source.text):
        layout.add(token)
    return layout.finish()


@dataclass(frozen=True)
class _Sign:
    """The `~` or `=` of a statement: where it stands in the output, and where it stood in the source."""

    line: int
    offset: int
    column: int
    padded: bool
    depth: int


class _Layout:
    """Collects the tokens of a line, and writes it where it ends."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[Token] = []
        self.depth = 0  # open braces
        self.brackets: list[Token] = []  # open brackets
        self.outer: list[Token] = []  # brackets open at the start of the line
        self.head: Token | None = None  # first token of the statement
        self.signs: list[_Sign] = []

    def add(self, token: Token) -> None:
        if token.type == "_NL":
            self._newlines(str(token))
            return
        if self._ends_line(token):
            self._flush()
        if not self.line:
            self.outer = list(self.brackets)
            self.head = self.head if self.brackets else token
        self.line.append(token)
        if token.type in OPENING:
            self.brackets.append(token)
        elif token.type in CLOSING:
            self.brackets.pop()

    def finish(self) -> str:
        self._flush()
        for run in _aligned_runs(self.signs):
            self._align(run)
        while self.lines and not self.lines[-1]:
            self.lines.pop()
        return "".join(f"{line}\n" for line in self.lines)

    def _ends_line(self, token: Token) -> bool:
        """Whether a line ends before this token though the text has no newline there."""
        if not self.line or self.brackets:
            return False
        after_notes = notes_end(self.line) == len(self.line) and token.type != "LPAR"
        return after_notes or token.type == "RBRACE" or self.line[-1].type in {"LBRACE", "RBRACE"}

    def _newlines(self, text: str) -> None:
        """A run of newlines and comments: the first comment may belong to the line before it."""
        first, *others = (part.strip() for part in text.split("\n"))
        if self.line:
            self._flush(first)
        elif first:
            self._write(first)
        for position, part in enumerate(others):
            if part:
                self._write(part)
            elif position < len(others) - 1:
                self._blank()

    def _blank(self) -> None:
        if self.lines and self.lines[-1] and not self.lines[-1].endswith("{") and not self.brackets:
            self.lines.append("")

    def _flush(self, comment: str = "") -> None:
        if not self.line:
            return
        text = "".join(self._gap(place) + str(token) for place, token in enumerate(self.line))
        first, last = self.line[0].type, self.line[-1].type
        if first == "RBRACE":
            self.depth -= 1
            if self.lines and not self.lines[-1]:
                self.lines.pop()
        self._note_sign()
        self._write(f"{text}  {comment}" if comment else text, closing=first in CLOSING)
        self.depth += last == "LBRACE"
        self.line = []

    def _note_sign(self) -> None:
        """Remember where the `~` or `=` of this line stands."""
        if self.outer:
            return
        for place, token in enumerate(self.line):
            if token.type in {"TILDE", "EQUAL"} and not self._inside(place):
                left = "".join(self._gap(p) + str(part) for p, part in enumerate(self.line[:place]))
                before = self.line[place - 1]
                padded = (token.start_pos or 0) - (before.end_pos or 0) > 1
                offset = len(INDENT) * self.depth + len(left)
                self.signs.append(_Sign(len(self.lines), offset, token.column or 0, padded, self.depth))
                return

    def _align(self, run: Sequence[_Sign]) -> None:
        widest = max(sign.offset for sign in run)
        for sign in run:
            text = self.lines[sign.line]
            self.lines[sign.line] = text[: sign.offset] + " " * (widest - sign.offset) + text[sign.offset :]

    def _write(self, text: str, closing: bool = False) -> None:
        outer = self.outer if self.line else self.brackets
        hanging = 0 if not outer or (closing and len(outer) == 1) else 2
        self.lines.append(INDENT * (self.depth + hanging) + text)

    def _gap(self, place: int) -> str:
        """What stands between a token of the line and the one before it."""
        if place == 0:
            return ""
        before, token = self.line[place - 1], self.line[place]
        tight = (
            before.type in OPENING
            or token.type in CLOSING
            or token.type == "COMMA"
            or (token.type in OPENING and before.type in OPERANDS)
            or "CIRCUMFLEX" in (before.type, token.type)
            or (before.type == "AT" and place == 1)
            or self._is_sign(place - 1)
            or self._tight_colon(place)
            or self._tight_keyword(place)
        )
        return "" if tight else " "

    def _is_sign(self, place: int) -> bool:
        """Whether a `+` or `-` stands before an operand instead of between two."""
        before = self.line[place - 1] if place else None
        return (
            self.line[place].type in SIGNS
            and (before is None or before.type not in OPERANDS)
            and not (place == 0 and self.outer)
        )

    def _tight_colon(self, place: int) -> bool:
        before, token = self.line[place - 1], self.line[place]
        if "COLON" not in (before.type, token.type):
            return False
        declares = not self._inside(place) and self.head is not None and self.head.type in DECLARATIONS
        return token.type == "COLON" if declares else True

    def _tight_keyword(self, place: int) -> bool:
        """Around the `=` of a bound, or of an argument whose value is a number or a text."""
        sign = place if self.line[place].type == "EQUAL" else place - 1
        if self.line[sign].type != "EQUAL" or not self._inside(sign):
            return False
        if self.line[sign - 1] in BOUNDS:
            return True
        value = sign + 1
        if value < len(self.line) and self.line[value].type == "MINUS":
            value += 1
        end = value + 1
        return (
            value < len(self.line)
            and self.line[value].type in LITERALS
            and (end == len(self.line) or self.line[end].type in {"COMMA", "RPAR"})
        )

    def _inside(self, place: int) -> bool:
        return len(self.outer) + _depth(self.line[:place]) > 0


def _aligned_runs(signs: Sequence[_Sign]) -> Iterator[list[_Sign]]:
    """Consecutive lines of a block whose signs stood in one column, somebody having put spaces before one of them."""
    together = itertools.groupby(enumerate(signs), lambda pair: (pair[1].line - pair[0], pair[1].column, pair[1].depth))
    for _, pairs in together:
        run = [sign for _, sign in pairs]
        if len(run) > 1 and any(sign.padded for sign in run):
            yield run


def _depth(tokens: Sequence[Token]) -> int:
    return sum((token.type in OPENING) - (token.type in CLOSING) for token in tokens)
