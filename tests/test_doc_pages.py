"""The tutorial and the reference of commands and Python, run and compared with what they document.

In the tutorial a fence `ppl file=NAME` is written to a file, `ppl wrong` is answered with the `text` behind it, `sh`
holds commands of `ppl`, and `python` code. The words of a `text` behind either are its output, and the numbers agree.
"""

import argparse
import contextlib
import io
import re
import shlex
import shutil
from pathlib import Path

import pytest

import ppl
from ppl.cli import main
from ppl.cli.arguments import parser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def assert_same(found, documented):
    """Equal words in order; numbers within 5 % or 0.05."""
    left, right = found.split(), documented.split()
    words = [re.sub(r"-?\d+\.?\d*(e[+-]\d+)?", "#", each) for each in (" ".join(left), " ".join(right))]
    assert words[0].startswith(words[1]), f"\n{found}\ninstead of\n{documented}"
    for one, other in zip(left, right, strict=False):
        with contextlib.suppress(ValueError):
            assert float(one.strip(",()")) == pytest.approx(float(other.strip(",()")), rel=0.05, abs=0.05)


def run_command(line, capsys):
    assert line.startswith("ppl ")
    code = main([*shlex.split(line)[1:], *(["--no-progress"] if line.startswith("ppl fit") else [])])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def test_the_tutorial(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "examples" / "textbook", tmp_path / "examples" / "textbook")
    names: dict[str, object] = {}
    output, seen = "", set()
    for kind, note, body in FENCE.findall((DOCS / "tutorials" / "first-model.md").read_text(encoding="utf-8")):
        seen.add((kind, note.strip().split("=")[0]))
        if kind == "ppl" and "file=" in note:
            Path(note.split("file=")[1].strip()).write_text(body, encoding="utf-8")
        elif kind == "ppl":
            with pytest.raises(ppl.PPLError) as caught:
                ppl.parse(body, "light.ppl")
            output = str(caught.value)
        elif kind == "sh":
            output = "".join(run_command(line, capsys) for line in body.splitlines())
        elif kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(body, "first-model.md", "exec"), names)
            output = printed.getvalue()
        else:
            assert_same(output, body)
    assert seen == {("ppl", "file"), ("ppl", "wrong"), ("sh", ""), ("python", ""), ("text", "")}


def commands():
    (actions,) = [a for a in parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return actions.choices


@pytest.mark.parametrize("command", commands())
def test_the_page_of_commands_has_every_option(command):
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    assert f"`ppl {command} " in page
    options = {option for action in commands()[command]._actions for option in action.option_strings}
    missing = {option for option in options - {"-h", "--help"} if not re.search(rf"{option}\b", page)}
    assert not missing


def test_the_page_of_python_has_every_name():
    """The constructors of distributions and functions of the language are in `ppl list` and on the language's page."""
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    documented = {name for name in ppl._HOMES if re.search(rf"\bppl\.{name}\b|`{name}`", page)}
    assert set(ppl._HOMES) - documented == set()
    for owner in (ppl.Program, ppl.Fit):
        public = {name for name in vars(owner) if not name.startswith("_")}
        public -= {"name", "text", "bind_without_outcomes", "of", "predictive"}
        assert {name for name in public if not re.search(rf"`[^`]*\b{name}\b", page)} == set()


def test_python_on_the_page_runs():
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    blocks = [body for kind, _, body in FENCE.findall(page) if kind == "python"]
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "python.md", "exec"), names)
    assert {"fit", "regression", "network_regression"} <= set(names)


def test_every_link_leads_somewhere():
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_index_names_every_page():
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    pages = {path for path in DOCS.rglob("*.md") if path.name != "README.md" and path.parent.name != "decisions"}
    assert {path.relative_to(DOCS).as_posix() for path in pages} - set(re.findall(r"\]\(([^)]+)\)", index)) == set()
