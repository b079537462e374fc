"""What the Python door answers to a mistake: each a small model, `----`, and the exact text of the answer.

`UPDATE_GOLDENS=1 pytest tests/embedding` writes the answers anew; the difference is for review.
"""

import linecache
import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

import ppl
from ppl.embedding import trace
from ppl.errors import PPLError

FOLDER = Path(__file__).parent / "golden"
CASES = sorted(FOLDER.glob("*.golden"))
MARK = "----\n"
DATA = {
    "N": 3,
    "x": [0.5, 1.5, 2.5],
    "y": [1.0, 2.0, 3.0],
    "k": [0, 2, 1],
    "X": np.ones((3, 2)),
    "gaps": [1.0, None, 3.0],
    "sigma": 1.0,
    "mising": 2.0,
}


def answer(path, monkeypatch):
    """What tracing the model in a file says, as if the program stood there alone."""
    program = path.read_text(encoding="utf-8").split(MARK)[0]
    name = f"{path.stem}.py"
    monkeypatch.setitem(linecache.cache, name, (len(program), None, program.splitlines(keepends=True), name))
    names = {"np": np, "math": math, "ppl": ppl, "__name__": "golden"}
    exec(compile(program, name, "exec"), names)
    with pytest.raises(PPLError) as caught:
        trace(names["model"], DATA)
    return program, f"{caught.value}\n", {record.code for record in caught.value.diagnostics}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_message(path, monkeypatch):
    program, text, codes = answer(path, monkeypatch)
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(program + MARK + text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8").split(MARK)[1]
    assert path.stem.split("_")[0] in codes


def test_every_code_of_the_python_door_has_a_golden():
    """Those that need more than one function, or none, are in test_tracing.py, test_data.py and tests/streams."""
    package = Path(ppl.__file__).parent / "embedding"
    written = {code for path in package.glob("*.py") for code in re.findall(r'"(E\d+)"', path.read_text())}
    elsewhere = {"E111", "E112", "E501", "E513", "E515"}
    assert written - elsewhere <= {path.stem.split("_")[0] for path in CASES}
