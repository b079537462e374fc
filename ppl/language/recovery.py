"""A text that does not parse, cut into pieces that can be looked at one by one.

A piece is a simple statement, or the head of a block. What is wrong with characters, brackets and braces is
reported here; the pieces that are untouched by it go on to `messages.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ppl.errors import Diagnostic
from ppl.language.idioms import FOREIGN_CHARACTERS
from ppl.language.parser import CLOSING, OPENING, lark_lexer
from ppl.source import Source, Span

if TYPE_CHECKING:
    from lark import Token

TOP_LEVEL_WORDS = frozenset({"DATA", "PARAM", "NET", "USE", "DEF", "MODEL", "PREDICT"})
STATEMENT_WORDS = TOP_LEVEL_WORDS | {"PLATE", "SCAN", "FACTOR", "RETURN"}
FUNCTION_WORDS = frozenset({"DEF", "MODEL"})
BLOCK_WORDS = frozenset({"PLATE", "SCAN", "PREDICT", "DEF", "MODEL"})
PARTNER = {"LPAR": "RPAR", "LSQB": "RSQB"}
MAX_FAULTS = 200


@dataclass(frozen=True)
class Piece:
    """Tokens of one statement without its newline, or of a block's head without its brace."""

    tokens: tuple[Token, ...]
    is_head: bool
    broken: bool  # a bracket in it is reported already

    def span(self, source: Source) -> Span:
        return source.span(start_of(self.tokens[0]), end_of(self.tokens[-1]))


def start_of(token: Token) -> int:
    return token.start_pos or 0


def end_of(token: Token) -> int:
    return token.end_pos or 0


def token_span(source: Source, token: Token) -> Span:
    return source.span(start_of(token), end_of(token))


def tolerant_tokens(source: Source) -> tuple[list[Token], list[Diagnostic]]:
    """All tokens, with unreadable characters blanked out and reported; a `;` becomes a newline."""
    from lark.exceptions import UnexpectedCharacters

    text = source.text
    start = 0
    faults: list[Diagnostic] = []
    for _ in range(MAX_FAULTS):
        try:
            return list(lark_lexer().lex(text)), faults
        except UnexpectedCharacters as error:
            fault, blank = _foreign_character(source, error.pos_in_stream or 0)
            if blank != "\n" or all(known.found != fault.found for known in faults):
                faults.append(fault)
            assert fault.span is not None
            start, end = fault.span.start, fault.span.end
            text = text[:start] + blank * (end - start) + text[end:]
    return list(lark_lexer().lex(text[:start])), faults


def _foreign_character(source: Source, position: int) -> tuple[Diagnostic, str]:
    """The record for the unreadable text at `position`, and the character to put in its place."""
    for pattern, found, expected in FOREIGN_CHARACTERS:
        match = pattern.match(source.text, position)
        if match:
            span = source.span(position, max(match.end(), position + 1))
            blank = "\n" if match.group() == ";" else " "
            return Diagnostic("E007", span, found, expected), blank
    character = source.text[position]
    shown = f"`{character}`" if character.isprintable() else f"the character U+{ord(character):04X}"
    expected = "names are made of the letters a-z and A-Z, digits and `_`" if character.isalpha() else ""
    return Diagnostic("E006", source.span(position, position + 1), f"{shown} has no meaning here", expected), " "


@dataclass(frozen=True)
class _Block:
    word: str  # token type of its first word
    head: Span  # with the brace


class PieceReader:
    """Cuts tokens into `pieces` and collects what is wrong with brackets and braces in `errors`."""

    def __init__(self, source: Source, tokens: Sequence[Token]) -> None:
        self.source = source
        self.tokens = tokens
        self.pieces: list[Piece] = []
        self.errors: list[Diagnostic] = []
        self._current: list[Token] = []
        self._broken = False
        self._brackets: list[Token] = []
        self._blocks: list[_Block] = []
        for place in range(len(tokens)):
            self._read(place)
        self._end_piece(is_head=False)
        self._unclosed_blocks(tokens[-1] if tokens else None)

    def _read(self, place: int) -> None:
        token = self.tokens[place]
        if self._brackets and self._leaves_brackets(place):
            self._report(self._brackets[-1], "E004", f"`{self._brackets[-1]}` is not closed")
            self._brackets.clear()
        if token.type == "_NL":
            if not self._brackets and not _only_notes(self._current):
                self._end_piece(is_head=False)
        elif token.type == "LBRACE":
            self._open_block(token)
        elif token.type == "RBRACE":
            self._close_block(place)
        else:
            if not self._current:
                self._check_place(place)
            self._match_bracket(token)
            self._current.append(token)

    def _leaves_brackets(self, place: int) -> bool:
        """Whether no bracket can go on over this token."""
        token = self.tokens[place]
        if token.type != "_NL":
            return token.type in {"LBRACE", "RBRACE", "TILDE"}
        following = list(_line(self.tokens, place + 1))
        if not following:
            return place + 1 >= len(self.tokens)
        kinds = {other.type for other in following}
        return following[0].type in STATEMENT_WORDS or bool(kinds & {"TILDE", "LBRACE", "RBRACE"})

    def _match_bracket(self, token: Token) -> None:
        if token.type in OPENING:
            self._brackets.append(token)
        elif token.type in CLOSING:
            if not self._brackets:
                self._report(token, "E004", f"`{token}` closes nothing")
            elif PARTNER[self._brackets.pop().type] != token.type:
                self._report(token, "E004", f"`{token}` closes a bracket of the other kind")

    def _report(self, token: Token, code: str, found: str, expected: str = "") -> None:
        self.errors.append(Diagnostic(code, token_span(self.source, token), found, expected))
        self._broken = True

    def _end_piece(self, is_head: bool) -> None:
        if self._brackets:
            self._report(self._brackets[-1], "E004", f"`{self._brackets[-1]}` is not closed")
        if self._current:
            self.pieces.append(Piece(tuple(self._current), is_head, self._broken))
        self._current, self._broken = [], False
        self._brackets.clear()

    def _open_block(self, brace: Token) -> None:
        if not self._current:
            self._report(brace, "E000", "found `{`", "a block starts with `plate`, `scan`, `predict`, `def` or `model`")
        first = next((token for token in self._current if token.type in BLOCK_WORDS), (self._current or [brace])[0])
        head = self.source.span(start_of(first), end_of(brace))
        self._end_piece(is_head=True)
        self._blocks.append(_Block(first.type, head))

    def _close_block(self, place: int) -> None:
        self._end_piece(is_head=False)
        token = self.tokens[place]
        if self._blocks:
            self._blocks.pop()
        else:
            self._report(token, "E004", "`}` closes nothing")
            self._broken = False
        following = self.tokens[place + 1] if place + 1 < len(self.tokens) else None
        if following is not None and following.type not in {"_NL", "RBRACE"}:
            span = token_span(self.source, following)
            self.errors.append(Diagnostic("E000", span, f"found `{following}` after `}}`", "start a new line"))

    def _check_place(self, place: int) -> None:
        """Words that open a statement only at the top level, and `return`."""
        token = self.tokens[place]
        if token.type in TOP_LEVEL_WORDS and self._blocks:
            if self._is_balanced(place):
                where = f"inside `{self._blocks[-1].head.text}` (line {self._blocks[-1].head.line})"
                self._report(token, "E003", f"`{token}` stands {where}", "it belongs at the top level")
            else:
                self._unclosed_blocks(token)
        if token.type == "RETURN" and not any(block.word in FUNCTION_WORDS for block in self._blocks):
            self._report(token, "E003", "`return` stands outside", "it belongs at the end of a `def` or a `model`")

    def _is_balanced(self, place: int) -> bool:
        """Whether the braces that are open here are closed further on."""
        depth = len(self._blocks)
        for token in self.tokens[place:]:
            depth += (token.type == "LBRACE") - (token.type == "RBRACE")
        return depth <= 0

    def _unclosed_blocks(self, where: Token | None) -> None:
        for block in self._blocks:
            span = token_span(self.source, where) if where is not None and where.type != "_NL" else self._last_span()
            self.errors.append(
                Diagnostic("E001", span, f"`{_one_line(block.head.text)}` (line {block.head.line}) is not closed")
            )
        self._blocks.clear()

    def _last_span(self) -> Span:
        """The last token that is not a newline."""
        return token_span(self.source, next(token for token in reversed(self.tokens) if token.type != "_NL"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _line(tokens: Sequence[Token], place: int) -> Iterator[Token]:
    while place < len(tokens) and tokens[place].type != "_NL":
        yield tokens[place]
        place += 1


def _only_notes(tokens: Sequence[Token]) -> bool:
    return bool(tokens) and notes_end(tokens) == len(tokens)


def notes_end(tokens: Sequence[Token]) -> int:
    """How many of the first tokens are guide notes `@name(…)`."""
    place = 0
    while place + 1 < len(tokens) and tokens[place].type == "AT" and tokens[place + 1].type == "NAME":
        place += 2
        if place < len(tokens) and tokens[place].type == "LPAR":
            place = _after_bracket(tokens, place)
    return place


def _after_bracket(tokens: Sequence[Token], place: int) -> int:
    depth = 0
    for offset, token in enumerate(tokens[place:]):
        depth += (token.type in OPENING) - (token.type in CLOSING)
        if depth == 0:
            return place + offset + 1
    return len(tokens)
