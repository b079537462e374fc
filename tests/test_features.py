"""The table of features names programs that exist, hold what it says is written, and parse."""

import json
import re
from pathlib import Path

import pytest

import ppl

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "features.md"
ROW = re.compile(r"^\| (?P<feature>[^|]+) \| (?P<written>[^|]+) \| \[[^\]]+\]\((?P<path>[^)]+)\) \|$", re.MULTILINE)
ROWS = [pytest.param(*row, id=row[0]) for row in ROW.findall(PAGE.read_text(encoding="utf-8"))]


def test_every_row_is_read():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    titles = [line for line in lines if line.startswith(("| feature |", "| --- |"))]
    assert len(ROWS) == len(lines) - len(titles) > 30


@pytest.mark.parametrize(("feature", "written", "path"), ROWS)
def test_the_program_shows_it(feature, written, path):
    """Something of the middle column stands in the file; a program parses, and compiles where data lie beside it."""
    file = (PAGE.parent / path).resolve()
    text = file.read_text(encoding="utf-8")
    code = re.findall(r"`([^`]+)`", written)
    names = [re.match(r"@?\w+", part).group() for part in code if "[" not in part and "@ " not in part]
    shown = [name for name in names if re.search(rf"{name}\b", text)]
    assert shown or not names
    if file.suffix == ".ppl":
        program = ppl.load(file)
        data = file.with_suffix(".json")
        assert not data.exists() or program.bind(json.loads(data.read_text(encoding="utf-8"))).plan().sites
