"""Each message of the language's front end, as a program and what is answered.

`UPDATE_GOLDENS=1 pytest tests/golden` writes the answers anew; the difference is for review.
"""

import os
import re
from pathlib import Path

import pytest

from ppl.errors import ModelError
from ppl.language import calls, check, messages, names, order
from ppl.language.idioms import FOREIGN_CHARACTERS, IDIOMS
from ppl.source import Source

FOLDER = Path(__file__).parent / "messages"
PROGRAMS = sorted(FOLDER.glob("*.ppl"))
TABLES = (messages, names, calls, order)


def answer(path):
    """What `check` says about a program, and its records."""
    with pytest.raises(ModelError) as caught:
        check(Source(path.name, path.read_text(encoding="utf-8")))
    return f"{caught.value}\n", caught.value.diagnostics


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_message(path):
    text, records = answer(path)
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert path.stem.split("_")[0] in {record.code for record in records}


def test_every_documented_code_has_a_golden():
    documented = {code for module in TABLES for code in re.findall(r"^\| (E\d+) ", module.__doc__, re.MULTILINE)}
    assert documented == {path.stem.split("_")[0] for path in PROGRAMS}


def test_every_foreign_form_has_a_golden():
    """The tables of foreign forms hold nothing that is never answered."""
    said = "\n".join(path.with_suffix(".txt").read_text(encoding="utf-8") for path in PROGRAMS)
    forms = [(found, expected) for _, found, expected in FOREIGN_CHARACTERS]
    forms += [(idiom.found, idiom.expected) for idiom in IDIOMS]
    silent = [form for form in forms if not re.search(_pattern("; ".join(filter(None, form))), said)]
    assert silent == []


def _pattern(message):
    """A message with its `{group}` places open, `{{` and `}}` undone."""
    escaped = re.escape(message.replace("{{", "\0").replace("}}", "\1"))
    return re.sub(r"\\\{\w+\\\}", ".+", escaped).replace("\0", "{").replace("\1", "}")
