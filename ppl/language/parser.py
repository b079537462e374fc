"""Text to syntax tree.

The grammar stands in `grammar/ppl.lark`. A text that fits it is parsed in one go; one that does not goes to
`messages.py`, which looks at it statement by statement and says everything that is wrong with it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ppl.errors import ModelError
from ppl.language import syntax
from ppl.source import Source

if TYPE_CHECKING:
    from lark import Lark, Token

OPENING = frozenset({"LPAR", "LSQB"})
CLOSING = frozenset({"RPAR", "RSQB"})
STARTS = ("program", "piece")


def parse(source: Source) -> syntax.Program:
    """The syntax tree of a whole file. Raises `ModelError` with every syntax error that was found."""
    from lark.exceptions import UnexpectedInput

    from ppl.language.messages import diagnose
    from ppl.language.transform import transform

    try:
        tree = lark_parser().parse(source.text, start="program")
    except UnexpectedInput as error:
        raise ModelError(diagnose(source, error)) from None
    return transform(tree, source)


@functools.cache
def lark_parser(strict: bool = False) -> Lark:
    """The parser; with `strict`, building it fails on any ambiguity of the grammar (needs interegular).

    Lark keeps the tables in the temporary folder, by grammar and version, and reads them from there the next time.
    """
    from lark import Lark

    return Lark(
        grammar_text(),
        cache=not strict,
        parser="lalr",
        lexer="basic",
        start=list(STARTS),
        postlex=BracketNewlines(),
        propagate_positions=True,
        strict=strict,
    )


@functools.cache
def lark_lexer() -> Lark:
    """The lexer alone: newlines inside brackets are still there."""
    from lark import Lark

    return Lark(grammar_text(), parser=None, lexer="basic", start=list(STARTS))


def grammar_text() -> str:
    """The grammar: from the installed package, or from the top of a checkout."""
    packaged = resources.files("ppl").joinpath("grammar", "ppl.lark")
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    checkout = Path(__file__).parents[2] / "grammar" / "ppl.lark"
    return checkout.read_text(encoding="utf-8")


class BracketNewlines:
    """Post-lexer: a newline inside `()` or `[]` does not end a statement."""

    always_accept = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        depth = 0
        for token in stream:
            if token.type in OPENING:
                depth += 1
            elif token.type in CLOSING:
                depth = max(0, depth - 1)
            if token.type != "_NL" or depth == 0:
                yield token
