"""Door 1: the modeling language, from text to ordered statements."""

from __future__ import annotations

from ppl.language.parser import parse
from ppl.language.syntax import Program
from ppl.source import Source

__all__ = ["check", "format_source", "parse"]


def check(source: Source) -> Program:
    """Parse a text and look at its names and its order; raises `ModelError` with all errors of the first bad phase."""
    from ppl.errors import ModelError
    from ppl.language.names import check_names
    from ppl.language.order import check_order

    program = parse(source)
    for phase in (check_names, check_order):
        found = phase(program)
        if found:
            raise ModelError(found)
    return program


def format_source(source: Source) -> str:
    """The text in canonical layout; raises `ModelError` where it does not parse."""
    from ppl.language.formatter import formatted

    return formatted(source)
