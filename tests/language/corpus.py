"""The programs of the language's description, and short ways to the front end's results."""

from pathlib import Path

from ppl.language import parse
from ppl.source import Source

FOLDER = Path(__file__).parent / "programs"
PROGRAMS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.ppl"))}


def parsed(text, name="m.ppl"):
    return parse(Source(name, text))


def expression(text):
    """The syntax tree of one expression."""
    return parsed(f"x = {text}").statements[0].value
