"""Every code that the source can answer with is shown by a golden or named by a test."""

import re
from functools import cache
from pathlib import Path

import pytest

import ppl

PACKAGE = Path(ppl.__file__).parent
TESTS = Path(__file__).parent
CODE = re.compile(r"\b[EW]\d{3}(?!\d)")
GOLDEN = {".txt", ".golden"}


@cache
def raised():
    """The codes in the source, with the files that have them."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for code in re.findall(r'"([EW]\d{3})"', path.read_text(encoding="utf-8")):
            found.setdefault(code, set()).add(path.relative_to(PACKAGE).as_posix())
    return found


@cache
def shown():
    """The codes in goldens, their names and the tests."""
    found = set()
    for path in TESTS.rglob("*"):
        if path.suffix in GOLDEN or (path.suffix == ".py" and path != Path(__file__)):
            found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    return found


def test_the_source_has_codes():
    assert len(raised()) > 80


@pytest.mark.parametrize("code", raised())
def test_every_code_has_a_test(code):
    assert code in shown(), f"raised in {', '.join(sorted(raised()[code]))}: write a golden program for it"
