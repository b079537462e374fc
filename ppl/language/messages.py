"""What is said about a text that does not parse.

| code | what |
| --- | --- |
| E000 | anything without a code of its own: what stands there and what was expected |
| E001 | a block that is not closed |
| E002 | the left side of `~` or `=` is not a name |
| E003 | a word of the top level, or `return`, inside a block |
| E004 | a bracket or brace without its partner |
| E005 | a word of the language used as a name |
| E006 | a character without meaning, a number too large |
| E007 | a form of another language |
| E008 | nested too deeply |
| E009 | an argument given twice, or by position after those by name |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from ppl.errors import Diagnostic
from ppl.language.idioms import recognise
from ppl.language.parser import CLOSING, OPENING, lark_parser
from ppl.language.recovery import (
    STATEMENT_WORDS,
    Piece,
    PieceReader,
    end_of,
    notes_end,
    start_of,
    token_span,
    tolerant_tokens,
)
from ppl.source import Source, Span

if TYPE_CHECKING:
    from lark import Token
    from lark.exceptions import UnexpectedInput

MAX_ERRORS = 20

VALUE_TOKENS = frozenset({"NAME", "NUMBER", "LPAR"})
OPERATORS = ("+", "-", "*", "/", "//", "%", "@", "^", "<", "<=", ">", ">=", "==", "!=", "and", "or", "not")
INFIX_WORDS = ("in", "if", "else", "and", "or", "from")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
GOES_ON = (*OPERATORS, "=", "~", ",", ":")

# What may stand at a place, in plain words, the most telling first.
EXPECTED = {
    "TILDE": "`~`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "IN": "`in`",
    "FROM": "`from`",
    "ELSE": "`else`",
    "STRING": 'a text in `"…"`',
    "PLATE": "a statement",
    "NAME": "a name",
    "RETURN": "`return`",
    "COMMA": "`,`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "_NL": "a new line",
    "$END": "the end of the statement",
}


def diagnose(source: Source, error: UnexpectedInput) -> list[Diagnostic]:
    """Everything that is wrong with a text that the parser refused with `error`."""
    tokens, faults = tolerant_tokens(source)
    reader = PieceReader(source, tokens)
    found = [*reader.errors]
    followed = False  # the piece before broke off after an operator
    for piece in reader.pieces:
        answer = _piece_error(source, piece, faults)
        found.extend(answer if not followed else ())
        followed = bool(answer) and str(piece.tokens[-1]) in GOES_ON
    found.extend(faults)
    if not found:
        found.append(_first_error(source, error))
    return sorted(found, key=_position)[:MAX_ERRORS]


def _position(record: Diagnostic) -> int:
    return record.span.start if record.span else 0


def _piece_error(source: Source, piece: Piece, faults: list[Diagnostic]) -> list[Diagnostic]:
    """What is wrong with one piece; replaces the character `faults` that it explains."""
    span = piece.span(source)
    inside = [fault for fault in faults if fault.span and span.start <= fault.span.start < span.end]
    failure = _failure(piece)
    if inside:
        answer = recognise(source, span, span.end)
        if answer is None:
            return []
        for fault in inside:
            faults.remove(fault)
        return [answer]
    if failure is None or piece.broken:
        return []
    place, accepted = failure
    return [
        recognise(source, span, _offset(piece, place))
        or _reserved_word(source, piece, place, accepted)
        or _left_side(source, piece, place)
        or _unexpected(source, piece, place, accepted)
    ]


def _failure(piece: Piece) -> tuple[int, frozenset[str]] | None:
    """The place of the token that does not fit (its count for the end), and the kinds that would."""
    from lark import Token
    from lark.exceptions import UnexpectedToken

    parser = lark_parser().parse_interactive(start="piece")
    end = Token("LBRACE", "{") if piece.is_head else Token("$END", "")
    for place, token in enumerate((*piece.tokens, end)):
        try:
            parser.feed_token(token)
        except UnexpectedToken:
            return place, frozenset(parser.accepts())
    return None


def _offset(piece: Piece, place: int) -> int:
    if place < len(piece.tokens):
        return start_of(piece.tokens[place])
    return end_of(piece.tokens[-1])


def _reserved_word(source: Source, piece: Piece, place: int, accepted: Collection[str]) -> Diagnostic | None:
    tokens = piece.tokens
    suspect = None
    if place < len(tokens) and "NAME" in accepted and str(tokens[place]).isidentifier():
        suspect = tokens[place] if tokens[place] not in INFIX_WORDS else None
    elif place == 1 and len(tokens) > 1 and tokens[0].type in STATEMENT_WORDS and str(tokens[1]) in ("~", "=", "["):
        suspect = tokens[0]
    if suspect is None:
        return None
    span = token_span(source, suspect)
    return Diagnostic("E005", span, f"`{suspect}` is a word of the language", "choose another name")


def _left_side(source: Source, piece: Piece, place: int) -> Diagnostic | None:
    """`sum(phi) ~ normal(0, 1)`: something that is not a name before `~` or `=`."""
    tokens = piece.tokens
    first = notes_end(tokens)
    sign = _outside_brackets(tokens, ("~", "="))
    if sign is None or not first < sign or place >= sign or tokens[first].type in STATEMENT_WORDS:
        return None
    left = source.span(start_of(tokens[first]), end_of(tokens[sign - 1]))
    if _outside_brackets(tokens[first:sign], (",",)) is not None:
        found = f"left of `{tokens[sign]}` must be one name"
        return Diagnostic("E002", left, found, "give each a statement of its own")
    fix = ""
    if tokens[sign] == "~" and sign + 1 < len(tokens):
        right = source.span(start_of(tokens[sign + 1]), end_of(tokens[-1]))
        fix = f"write: factor soft = logpdf({right.text}, {left.text})"
    return Diagnostic("E002", left, f"left of `{tokens[sign]}` must be a name", fix=fix)


def _outside_brackets(tokens: Iterable[Token], signs: Collection[str]) -> int | None:
    depth = 0
    for place, token in enumerate(tokens):
        depth += (token.type in OPENING) - (token.type in CLOSING)
        if depth == 0 and str(token) in signs:
            return place
    return None


def _unexpected(source: Source, piece: Piece, place: int, accepted: frozenset[str]) -> Diagnostic:
    tokens = piece.tokens
    if place < len(tokens):
        return _unexpected_token(source, tokens[place], accepted, place == 0, tokens[0].type == "AT")
    last = token_span(source, tokens[-1])
    if not piece.is_head and str(tokens[-1]) in GOES_ON:
        fix = "put an expression that goes on over the next line in parentheses"
        return Diagnostic("E000", last, f"the line ends after `{tokens[-1]}`", f"expected {_expected(accepted)}", fix)
    if notes_end(tokens) == len(tokens):
        return Diagnostic("E000", last, "nothing follows this guide note", "it belongs to a `~`, `plate` or `scan`")
    ending = "`{` follows" if piece.is_head else "the statement ends here"
    return Diagnostic("E000", last, ending, f"expected {_expected(accepted)}")


def _unexpected_token(source: Source, token: Token, accepted: frozenset[str], starts: bool, noted: bool) -> Diagnostic:
    span = token_span(source, token)
    if noted and token.type == "EQUAL":
        found = "a guide note stands before a definition"
        return Diagnostic("E000", span, found, "it belongs to a `~`, `plate` or `scan`")
    if token in COMPARISONS and not {"EQUAL", "IN"} & accepted and "PLUS" in accepted:
        return Diagnostic("E000", span, "comparisons do not chain", "join two of them with `and`")
    if starts and token in OPERATORS:
        fix = "put an expression that goes on over the next line in parentheses"
        return Diagnostic("E000", span, f"a statement starts with `{token}`", fix=fix)
    if starts:
        return Diagnostic("E000", span, f"found `{token}`", "expected a statement, such as `x ~ normal(0, 1)`")
    return Diagnostic("E000", span, f"found {_shown(token)}", f"expected {_expected(accepted)}")


def _shown(token: Token) -> str:
    names = {"_NL": "the end of the line", "$END": "the end of the file"}
    return names.get(token.type, f"`{token}`")


def _expected(accepted: frozenset[str]) -> str:
    """What may stand at a place, in plain words: a raw list of tokens helps nobody."""
    if accepted >= VALUE_TOKENS:
        return "a value"
    if "PLATE" in accepted:
        accepted = accepted - {"NAME"}
    words = [word for kind, word in EXPECTED.items() if kind in accepted][:3]
    return " or ".join(words) or "something else"


def _first_error(source: Source, error: UnexpectedInput) -> Diagnostic:
    """Plain words for the parser's own error: for what no piece shows by itself, such as a missing `return`."""
    from lark.exceptions import UnexpectedToken

    length = len(source.text)
    if not isinstance(error, UnexpectedToken) or error.token.type == "$END":
        return Diagnostic("E000", _last_line(source), "the text ends too early")
    start = min(error.token.start_pos or 0, length)
    span = source.span(start, max(start + 1, min(error.token.end_pos or 0, length)))
    accepted = frozenset(error.accepts or ())
    return Diagnostic("E000", span, f"found {_shown(error.token)}", f"expected {_expected(accepted)}")


def _last_line(source: Source) -> Span:
    end = len(source.text.rstrip())
    return source.span(max(0, end - 1), end)
