"""Each answer of the compiler's passes, errors and warnings, as a program with its data (`.json`).

`UPDATE_GOLDENS=1 pytest tests/golden` writes the answers anew; the difference is for review.
"""

import json
import os
from pathlib import Path

import pytest

from ppl.errors import ModelError
from ppl.program import parse

FOLDER = Path(__file__).parent / "planning"
PROGRAMS = sorted(FOLDER.glob("*.ppl"))


def answer(path):
    """The errors of planning, or its warnings."""
    program = parse(path.read_text(encoding="utf-8"), path.name)
    bound = program.bind(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    try:
        return bound.plan().warnings
    except ModelError as error:
        return error.diagnostics


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_message(path):
    records = answer(path)
    text = "\n".join(record.render() for record in records) + "\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert path.stem.split("_")[0] in {record.code for record in records}


def test_every_golden_has_its_program():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in PROGRAMS}
