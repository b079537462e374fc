"""Each message that needs data, as a program with its data (`.json`) and what `bind` answers.

`UPDATE_GOLDENS=1 pytest tests/golden` writes the answers anew; the difference is for review.
"""

import json
import os
from pathlib import Path

import pytest

from ppl.errors import PPLError
from ppl.program import parse

FOLDER = Path(__file__).parent / "binding"
PROGRAMS = sorted(FOLDER.glob("*.ppl"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_message(path):
    program = parse(path.read_text(encoding="utf-8"), path.name)
    data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    with pytest.raises(PPLError) as caught:
        program.bind(data)
    text = f"{caught.value}\n"
    golden = path.with_suffix(".txt")
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    assert path.stem.split("_")[0] in {record.code for record in caught.value.diagnostics}


def test_every_golden_has_its_program():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in PROGRAMS}
