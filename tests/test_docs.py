"""The programs of the language reference, run.

In `docs/reference/language.md` a fence `ppl` holds a program. The fences behind it say what becomes of it: `json` has
its data, `text` the exact answer where it is wrong. `ppl file=NAME` is kept for `use`, `ppl later` is answered with
E801 when it is bound or planned.
"""

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import ppl
from ppl.distributions import DISTRIBUTIONS
from ppl.functions import FUNCTIONS
from ppl.language.vocabulary import COMBINATORS, FORMS
from ppl.model.notes import NOTES

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "language.md"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    line: int
    note: str
    text: str
    data: str = "{}"
    answer: str = ""


def examples():
    found = []
    page = PAGE.read_text(encoding="utf-8")
    for fence in FENCE.finditer(page):
        kind, note, body = fence.groups()
        if kind == "ppl":
            found.append(Example(page.count("\n", 0, fence.start()) + 2, note.strip(), body))
        else:
            found[-1] = replace(found[-1], **{{"json": "data", "text": "answer"}[kind]: body})
    return found


EXAMPLES = examples()
FILES = {example.note.removeprefix("file="): example.text for example in EXAMPLES if example.note.startswith("file=")}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working directory with the files that examples use."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")


def cases(condition):
    chosen = [pytest.param(e, id=f"line {e.line}") for e in EXAMPLES if condition(e)]
    return pytest.mark.parametrize("example", chosen)


@cases(lambda example: not example.answer and not example.note)
def test_a_good_program_binds_and_compiles(example):
    bound = ppl.parse(example.text, "model.ppl").bind(json.loads(example.data))
    assert bound.plan().sites


@cases(lambda example: example.answer)
def test_a_wrong_program_is_answered_so(example):
    with pytest.raises(ppl.PPLError) as caught:
        ppl.parse(example.text, "model.ppl").bind(json.loads(example.data)).plan()
    assert f"{caught.value}\n" == example.answer


@cases(lambda example: example.note == "later")
def test_what_is_not_supported_says_so(example):
    with pytest.raises(ppl.ModelError) as caught:
        ppl.parse(example.text, "model.ppl").bind(json.loads(example.data)).plan()
    assert {record.code for record in caught.value.diagnostics} == {"E801"}


@pytest.mark.parametrize("names", [DISTRIBUTIONS, FUNCTIONS, COMBINATORS, FORMS - {"mlp", "gaussian", "ode"}, NOTES])
def test_the_page_names_everything(names):
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in names if not re.search(rf"[`@]{name}\b", page)] == []
