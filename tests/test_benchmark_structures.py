"""The programs of `tests/benchmarks/structures`, and the page that says what came out of them."""

import ast
import re
from pathlib import Path

import pytest

import ppl
from ppl.language.formatter import formatted
from ppl.source import Source

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "benchmarks" / "structures"
PROGRAMS = sorted(FOLDER.glob("*.ppl"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_sound_and_has_its_peer(path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert ppl.parse(text, path.name)
    assert formatted(Source(path.name, text)) == text
    peer = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8"))
    assert ast.get_docstring(peer)
    assert {"data", "peer"} <= {node.name for node in peer.body if isinstance(node, ast.FunctionDef)}


def test_the_page_names_every_structure_and_no_other():
    page = (ROOT / "docs" / "reference" / "structures.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| ([a-z]\w+) \|", page, re.MULTILINE)) - {"structure"}
    others = set(re.findall(r"^- `(\w+)`: ", page, re.MULTILINE))
    assert table
    assert not table & others
    assert table | others == {path.stem for path in PROGRAMS}
