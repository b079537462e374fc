"""The plan of every example, as `ppl explain` shows it: what the passes decide, and why.

`UPDATE_GOLDENS=1 pytest tests/golden` writes the plans anew; the difference is for review.
"""

import json
import os
from pathlib import Path

import pytest

import ppl

FOLDER = Path(__file__).parent / "plans"
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.ppl"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_plan(path):
    text = ppl.load(path).explain(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    golden = FOLDER / f"{path.stem}.txt"
    if os.environ.get("UPDATE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_golden_has_its_example():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in EXAMPLES}
