"""Door 1: the modeling language, from text to ordered statements."""

from __future__ import annotations

from ppl.language.parser import parse
from ppl.language.syntax import Program
from ppl.source import Source

__all__ = ["check", "format_source", "parse"]


def check(source: Source) -> Program:
    """Parse a text, look at its names, write its submodel calls out, and look at its order.

    Raises `ModelError` with all errors of the first bad phase.
    """
    from ppl.errors import ModelError
    from ppl.language.names import check_names
    from ppl.language.order import check_order
    from ppl.language.submodels import expand

    program = parse(source)
    found = check_names(program)
    if not found:
        program = expand(program)
        found = check_order(program)
    if found:
        raise ModelError(found)
    return program


def format_source(source: Source) -> str:
    """The text in canonical layout; raises `ModelError` where it does not parse."""
    from ppl.language.formatter import formatted

    return formatted(source)
