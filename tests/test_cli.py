"""The command line: what every command prints and writes, and how it answers to mistakes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import ppl
from ppl.cli import main
from ppl.errors import InternalError
from ppl.inference.stochastic.options import StochasticOptions
from ppl.program import Program

MODEL = "data y: real[N]\ndata N: int\nmu ~ normal(0, 10)\ny ~ normal(mu, 1)\n"
DATA = {"y": [1.0, 2.0, 3.0]}
FUNCTION = """\
import ppl

@ppl.model
def shift(y=None, N=3):
    mu = ppl.sample("mu", ppl.Normal(0.0, 10.0))
    with ppl.plate("n", N):
        ppl.sample("y", ppl.Normal(mu, 1.0), obs=y)
"""
QUICK = ["--draws", "500", "--no-progress"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.ppl").write_text(MODEL)
    Path("d.json").write_text(json.dumps(DATA))
    return tmp_path


@pytest.fixture
def run(capsys, folder):
    def call(*arguments):
        code = main([str(each) for each in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


# What the commands do ----------------------------------------------------------------------------------


def test_check_says_that_nothing_is_wrong(run):
    assert run("check", "m.ppl") == (0, "m.ppl: no errors\n", "")
    assert run("check", "m.ppl", "--data", "d.json") == (0, "m.ppl: no errors\n", "")


def test_check_reports_every_error_and_exits_1(run):
    Path("m.ppl").write_text(
        MODEL.replace("normal(0, 10)", "normall(0, 10)").replace("y ~", "z ~ normal(nothing, 1)\ny ~")
    )
    code, out, err = run("check", "m.ppl")
    assert (code, out) == (1, "")
    assert "did you mean `normal`" in err
    assert "normal(nothing, 1)" in err
    assert err.count(" m.ppl:") == 2
    assert "Traceback" not in err


def test_warnings_of_the_plan_go_to_standard_error(run):
    Path("m.ppl").write_text(MODEL.replace("normal(0, 10)", "flat()"))
    code, out, err = run("check", "m.ppl", "--data", "d.json")
    assert (code, out) == (0, "m.ppl: no errors\n")
    assert err.startswith("W601 m.ppl:3:")


def test_explain(run):
    code, out, err = run("explain", "m.ppl", "--data", "d.json", "--guide", "mean_field")
    assert (code, err) == (0, "")
    assert "mean_field over 1 unconstrained number\n" in out
    assert "def run(" not in out
    assert "def run(" in run("explain", "m.ppl", "--data", "d.json", "--code")[1]


def test_fit_prints_table_evidence_and_verdict_and_writes_its_files(run):
    code, out, err = run("fit", "m.ppl", "--data", "d.json", "--summary", "s.json", "--out", "f.fit", *QUICK)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["mean", "sd", "5", "%", "50", "%", "95", "%"]
    assert lines[1].startswith("mu ")
    assert lines[3].startswith("ELBO -")
    fit = ppl.load_fit("f.fit")
    assert json.loads(Path("s.json").read_text()) == fit.summary().to_dict()
    assert re.fullmatch(r"full_rank guide, deterministic, \d+ gradients, \d+\.\d s", lines[4])
    assert " ".join(lines[5:]) == str(fit.verdict)
    assert len(fit.draws()["mu"]) == 500
    # exact: N(1.993, 1 / (3 + 1 / 100)); ten standard errors of 500 draws
    assert fit.mean("mu") == pytest.approx(6.0 / 3.01, abs=0.26)


def test_fit_prints_what_every_method_came_to_where_several_were_tried(run):
    Path("m.ppl").write_text("a ~ normal(0, 3)\nb ~ flat()\nfactor f = -0.5 * b^2 * exp(-a) - 0.5 * a\n")
    Path("d.json").write_text("{}")
    code, out, _ = run("fit", "m.ppl", "--data", "d.json", *QUICK)
    assert code == 0
    lines = out.splitlines()
    tried = lines.index("tried:")
    assert [line.split(":")[0] for line in lines[tried + 1 : tried + 3]] == ["  deterministic", "  mixture"]
    assert re.fullmatch(r"mixture guide, \d+ gradients, \d+\.\d s", lines[tried - 1])
    code, out, _ = run("fit", "m.ppl", "--data", "d.json", "--seconds", "1e-6", *QUICK)
    assert code == 0
    assert "not every method was tried: the 1e-06 s allowed were spent" in out


@pytest.mark.parametrize(
    ("guide", "given", "shown"),
    [
        ("low_rank", ("--rank", 1), {"rank": 1}),
        ("mixture", ("--components", 3), {"components": 3}),
        ("flow", ("--layers", 1, "--hidden", 2), {"layers": 1, "hidden": 2}),
    ],
)
def test_the_options_of_a_family_of_guides(run, monkeypatch, guide, given, shown):
    found = {}
    monkeypatch.setattr(Program, "fit", lambda self, data, **how: found.update(how) or parse_and_fit(self, data))
    assert run("fit", "m.ppl", "--data", "d.json", "--guide", guide, *given, *QUICK)[0] == 0
    assert found["guide"] == guide
    assert {name: found[name] for name in shown} == shown
    assert not {"rank", "components", "layers", "hidden"} - set(shown) & set(found)


parse_and_fit = Program.fit


def test_every_option_of_a_family_has_a_flag():
    from ppl.cli.commands import OPTIONS
    from ppl.guides import GUIDES

    assert {option for guide in GUIDES.values() for option in guide.options} <= set(OPTIONS)


def test_equal_seeds_give_equal_results(run):
    summaries = []
    for seed in (1, 1, 2):
        assert run("fit", "m.ppl", "--data", "d.json", "--seed", seed, "--summary", "s.json", *QUICK)[0] == 0
        summaries.append(Path("s.json").read_text())
    assert summaries[0] == summaries[1] != summaries[2]


def test_calibrate_exits_0_where_nothing_is_found(run):
    Path("n.json").write_text('{"N": 3}')
    code, out, err = run("calibrate", "m.ppl", "--data", "n.json", "-n", 8, "--draws", 50, "--no-progress")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split()[0] == "p"
    assert [line.split("  ")[0] for line in lines[1:4]] == ["mu", "log likelihood", "log density"]
    assert lines[5] == "8 fits (8 trusted), ranks among 50 draws each"
    assert "Calibrated: the true values of all 3 quantities" in out


def test_calibrate_exits_1_where_something_is(run):
    Path("m.ppl").write_text(
        "data N: int\ndata x, y: real[N]\na ~ normal(0, 1)\nb ~ normal(0, 1)\ny ~ normal(a + b * x, 0.3)\n"
    )
    Path("d.json").write_text('{"x": [3, 3.2, 3.4, 4]}')
    arguments = ("calibrate", "m.ppl", "--data", "d.json", "--fits", 25, "--names", "b", "--cores", 2, "--no-progress")
    code, out, err = run(*arguments, "--guide", "mean_field")
    assert (code, err) == (1, "")
    assert "Miscalibrated: `b` is overconfident" in out


def test_calibrate_names_a_prior_that_is_none(run):
    Path("m.ppl").write_text(MODEL.replace("normal(0, 10)", "flat()"))
    code, out, err = run("calibrate", "m.ppl", "--data", "d.json")
    assert (code, out) == (1, "")
    assert err.startswith("E631 m.ppl:3:1\n")
    assert "= give it a proper one, as wide as makes sense: mu ~ normal(0, 10)" in err


def test_predict(run):
    run("fit", "m.ppl", "--data", "d.json", "--out", "f.fit", *QUICK)
    Path("new.json").write_text('{"N": 2}')
    code, out, err = run("predict", "f.fit", "--data", "new.json", "--draws", 100, "--out", "p.json")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["y[0]", "y[1]"]
    assert set(json.loads(Path("p.json").read_text())) == {"y[0]", "y[1]"}


def test_mean_field_prints_raw_and_corrected_sds(run):
    """The predictive sd far outside is 1 under mean field and 3 in truth, as told apart by `--raw`."""
    Path("m.ppl").write_text(
        "data N: int\ndata x, y: real[N]\na ~ normal(0, 10)\nb ~ normal(0, 10)\ny ~ normal(a + b * x, 0.5)\n"
    )
    Path("d.json").write_text('{"x": [4, 5, 6], "y": [5.1, 5.9, 7]}')
    Path("new.json").write_text('{"x": [-2]}')
    code, out, err = run("fit", "m.ppl", "--data", "d.json", "--guide", "mean_field", "--out", "f.fit", *QUICK)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[:4] == ["mean", "sd", "corrected", "sd"]
    code, out, err = run("predict", "f.fit", "--data", "new.json", "--out", "p.json")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[:4] == ["mean", "sd", "raw", "sd"]
    assert out.splitlines()[2] == "sd and quantiles have the covariance of linear response; raw sd is mean field's own"
    assert re.fullmatch(r"largest correction: y\[0\], from .* because of a \(correlation 0.9\d\)", out.splitlines()[3])
    shown = json.loads(Path("p.json").read_text())["y[0]"]
    code, out, err = run("predict", "f.fit", "--data", "new.json", "--raw", "--out", "p.json")
    assert (code, err) == (0, "")
    assert "corrected" not in out
    assert json.loads(Path("p.json").read_text())["y[0]"]["sd"] == shown["raw_sd"] < 0.4 * shown["sd"]


def test_a_python_file_as_model(run):
    Path("m.py").write_text(FUNCTION)
    code, _, err = run("fit", "m.py", "--data", "d.json", "--out", "f.fit", *QUICK)
    assert (code, err) == (0, "")
    Path("new.json").write_text('{"N": 2}')
    code, _, err = run("predict", "f.fit", "--data", "new.json")
    assert (code, "needs the model `shift`" in err) == (1, True)
    code, out, err = run("predict", "f.fit", "--data", "new.json", "--model", "m.py")
    assert (code, err, "y[1]" in out) == (0, "", True)


def test_several_models_in_a_python_file(run):
    Path("m.py").write_text(FUNCTION + FUNCTION.replace("shift", "other"))
    assert run("check", "m.py") == (1, "", "ppl: m.py: which model? it has shift, other\n")
    assert run("check", "m.py:third") == (1, "", "ppl: m.py: no model `third`; it has shift, other\n")
    assert run("check", "m.py:other", "--data", "d.json")[0] == 0
    Path("m.py").write_text("")
    assert run("check", "m.py") == (1, "", "ppl: m.py: which model? it has no function decorated with @ppl.model\n")


def test_graph(run):
    code, out, err = run("graph", "m.ppl", "--data", "d.json")
    assert (code, err) == (0, "")
    assert out.startswith('digraph "')
    assert '  "mu" [label="mu", shape=ellipse];\n' in out
    assert '  "mu" -> "y";\n' in out
    assert run("graph", "m.ppl", "--data", "d.json", "-o", "g.dot") == (0, "", "")
    assert Path("g.dot").read_text() == out
    code, out, err = run("graph", "m.ppl", "--data", "d.json", "-o", "g.svg")
    assert (code, err) == (
        1, "ppl: g.svg: only DOT is written; use `-o g.dot` and then `dot -Tsvg g.dot -o g.svg`\n",
    )  # fmt: skip


def test_fmt(run):
    Path("m.ppl").write_text(MODEL.replace(" ~ ", "~"))
    assert run("fmt", "--check", "m.ppl") == (1, "m.ppl: would change\n", "")
    assert "mu~" in Path("m.ppl").read_text()
    assert run("fmt", "m.ppl") == (0, "m.ppl: formatted\n", "")
    assert run("fmt", "m.ppl") == (0, "", "")
    assert run("fmt", "--check", "m.ppl") == (0, "", "")
    assert "mu ~ normal(0, 10)" in Path("m.ppl").read_text()


ROWS = """\
data N, D: int
data X: real[N, D]
data y: bool[N]
b[d in D] ~ normal(0, 5)
{note}plate n in N {{
  y[n] ~ bernoulli(logits = X[n] @ b)
}}
"""
COLUMNS = ("--column", "X=x1,x2", "--column", "y=label")
FEW_STEPS = ("--steps", 60, "--window", 20, *QUICK)


@pytest.fixture
def rows(folder):
    """The same rows as JSON, CSV, Parquet and `.npy`, and a model of them with and without a minibatch."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 2)), (rng.random(200) < 0.7).astype(int)
    Path("rows.json").write_text(json.dumps({"X": X.tolist(), "y": y.tolist()}))
    pq.write_table(pa.table({"x1": X[:, 0], "x2": X[:, 1], "label": y, "text": ["-"] * 200}), "rows.parquet")
    lines = [f"{a!r},{b!r},{c},-" for (a, b), c in zip(X.tolist(), y.tolist(), strict=True)]
    Path("rows.csv").write_text("\n".join(["x1,x2,label,text", *lines]))
    np.save("X.npy", X)
    np.save("labels.npy", y)
    Path("whole.ppl").write_text(ROWS.format(note=""))
    Path("parts.ppl").write_text(ROWS.format(note="@minibatch(20)\n"))


OF_ROWS = {
    "csv": ("--data", "rows.csv", *COLUMNS),
    "parquet": ("--data", "rows.parquet", *COLUMNS),
    "npy": ("--data", "X.npy", "--data", "y=labels.npy"),
    "two kinds": ("--data", "X.npy", "--data", "rows.csv", "--column", "y=label"),
}


@pytest.mark.parametrize("kind", OF_ROWS)
def test_data_of_every_kind_are_those_of_json(run, rows, kind):
    found = []
    for data in (("--data", "rows.json"), OF_ROWS[kind]):
        code, _, err = run("fit", "whole.ppl", *data, "--summary", "s.json", *QUICK)
        assert (code, err) == (0, "")
        found.append(json.loads(Path("s.json").read_text()))
    assert found[0] == found[1]
    assert run("check", "parts.ppl", *OF_ROWS[kind], "--stream") == (0, "parts.ppl: no errors\n", "")


def test_streamed_rows_are_fitted_and_a_checkpoint_taken_up(run, rows):
    arguments = ("fit", "parts.ppl", *OF_ROWS["parquet"], "--stream", "--checkpoint", "run.npz", "--every", 60)
    code, out, _ = run(*arguments, *FEW_STEPS)
    assert (code, "60 steps" in out) == (0, True)
    with np.load("run.npz") as kept:
        begun = kept["history"]
    code, out, _ = run(*arguments, "--steps", 100, "--window", 20, *QUICK)
    assert (code, "100 steps" in out) == (0, True)
    with np.load("run.npz") as kept:
        np.testing.assert_array_equal(kept["history"][:60], begun)


OF_STEPS = {
    "gradient_draws": ("--gradient-draws", 4), "rate": ("--rate", 0.02), "param_rate": ("--param-rate", 0.03),
    "net_rate": ("--net-rate", 0.004), "warmup": ("--warmup", 30), "clip": ("--clip", 9.5),
    "stop": ("--stop", "iterates"),
    "window": ("--window", 40), "optimiser": ("--optimiser", "rmsprop"), "schedule": ("--schedule", "cosine"),
    "baseline": ("--baseline", "learned"), "alpha": ("--alpha", 0.25), "objective": ("--objective", "renyi"),
}  # fmt: skip


def test_options_of_a_stochastic_fit_are_handed_on(run, monkeypatch):
    """Every one that Python has, under its name there."""
    seen = {}

    def fit(self, data, **how):
        seen.update(how)
        raise KeyboardInterrupt

    monkeypatch.setattr(Program, "fit", fit)
    given = [each for pair in OF_STEPS.values() for each in pair]
    files = ("--checkpoint", "run.npz", "--every", 2.5, "--steps", 70, "--no-average")
    run("fit", "m.ppl", "--data", "d.json", "--method", "stochastic", *given, *files)
    want = {name: pair[1] for name, pair in OF_STEPS.items()}
    want |= {"checkpoint": "run.npz", "every": 2.5, "steps": 70, "average": False}
    assert {name: seen[name] for name in want} == want
    assert want.keys() == {each.name for each in fields(StochasticOptions)}


WRONG_DATA = [
    (("--data", "rows.csv", "--data", "X.npy", *COLUMNS), "ppl: `X` is in rows.csv and in X.npy\n"),
    (
        ("--data", "rows.json", "--stream"),
        "ppl: --stream reads Parquet, CSV and .npy files row by row, and there is none\n",
    ),
    (("--data", "X.npy", *COLUMNS), "ppl: --column names columns of one Parquet or CSV file, and there are 0\n"),
    (("--data", "rows.csv", "--column", "X"), "ppl: --column X: expected NAME=COLUMN or NAME=COLUMN,COLUMN,…\n"),
    (("--data", "no.csv"), "ppl: no.csv: there is no such file\n"),
    (("--data", "rows.csv", "--column", "y=lable"), "E522 no column `lable` in rows.csv; did you mean `label`?\n"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG_DATA)
def test_data_that_do_not_fit_together_are_refused(run, rows, arguments, said):
    assert run("fit", "whole.ppl", *arguments) == (1, "", said)


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("distributions", "normal(loc, scale)"),
        ("functions", "exp(x)"),
        ("guides", "full_rank"),
        ("supports", "simplex"),
    ],
)
def test_list(run, kind, member):
    code, out, err = run("list", kind)
    assert (code, err) == (0, "")
    (line,) = [line for line in out.splitlines() if line.startswith(f"{member} ")]
    assert line.removeprefix(member).strip()


# Mistakes ----------------------------------------------------------------------------------------------


def test_missing_and_unreadable_files(run, folder):
    assert run("check", "no.ppl") == (1, "", "ppl: no.ppl: No such file or directory\n")
    assert run("check", "m.ppl", "--data", "no.json") == (1, "", "ppl: no.json: No such file or directory\n")
    assert run("check", folder)[0] == 1
    Path("d.json").write_text('{"y": [1,')
    assert run("fit", "m.ppl", "--data", "d.json") == (
        1, "", "E521 d.json:1:10 is not JSON: expecting value\n",
    )  # fmt: skip
    Path("m.ppl").write_bytes(b"\xff\xfe")
    assert run("check", "m.ppl") == (1, "", "ppl: m.ppl: not text in UTF-8 (byte 0)\n")


def test_null_is_a_missing_value(run):
    Path("d.json").write_text('{"y": [1, null, 3]}')
    code, _, err = run("check", "m.ppl", "--data", "d.json")
    assert (code, "1 is NaN (1 of 3 missing)" in err) == (1, True)


def test_a_fit_that_is_none(run):
    code, out, err = run("predict", "d.json", "--data", "d.json")
    assert (code, out, err) == (1, "", "E621 d.json is not a saved fit, or a damaged one\n")


@pytest.mark.parametrize("option", ["--out", "--summary"])
def test_a_place_that_cannot_be_written_is_refused_before_the_fit(run, folder, monkeypatch, option):
    monkeypatch.setattr(Program, "fit", None)
    arguments = ("fit", "m.ppl", "--data", "d.json", option)
    assert run(*arguments, "nowhere/x") == (1, "", f"ppl: nowhere/x: there is no folder {folder}/nowhere\n")
    assert run(*arguments, folder) == (1, "", f"ppl: {folder}: is a folder\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["fit", "m.ppl"],
        ["fit", "m.ppl", "--data", "d.json", "--seed", "-1"],
        ["fit", "m.ppl", "--data", "d.json", "--draws", "0"],
        ["fit", "m.ppl", "--data", "d.json", "--base", "2"],
        ["calibrate", "m.ppl", "--data", "d.json", "-n", "0"],
        ["list", "nothing"],
    ],
)
def test_a_command_that_is_wrong_exits_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: ppl")


def test_a_mistake_in_a_python_model_is_named_by_its_line(run):
    Path("m.py").write_text("import ppl\n1 / 0\n")
    assert run("check", "m.py") == (1, "", "ppl: m.py:2: ZeroDivisionError: division by zero\n")
    Path("m.py").write_text("def f(:\n")
    code, _, err = run("check", "m.py")
    assert (code, err.startswith("ppl: "), "m.py:1: " in err, "Traceback" in err) == (1, True, True, False)
    Path("m.py").write_text(FUNCTION.replace("    mu =", "    undefined\n    mu ="))
    code, _, err = run("check", "m.py", "--data", "d.json")
    assert (code, "m.py:5" in err, "undefined" in err) == (1, True, True)


@pytest.mark.parametrize("raised", [InternalError("shapes"), KeyError("shapes")])
def test_a_bug_of_ours_says_so_and_exits_3(run, monkeypatch, raised):
    def broken(*arguments, **keywords):
        raise raised

    monkeypatch.setattr(Program, "fit", broken)
    code, _, err = run("fit", "m.ppl", "--data", "d.json")
    assert code == 3
    assert err.splitlines()[-1].startswith("ppl: internal error, please report it")
    assert "shapes" in err.splitlines()[-1]


def test_an_interrupt_exits_130(run, monkeypatch):
    def interrupted(*arguments, **keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr(Program, "fit", interrupted)
    assert run("fit", "m.ppl", "--data", "d.json") == (130, "", "ppl: interrupted\n")


def test_a_result_that_cannot_be_written_leaves_the_old_one(run, monkeypatch):
    Path("s.json").write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    code, out, err = run("fit", "m.ppl", "--data", "d.json", "--summary", "s.json", *QUICK)
    assert (code, err) == (1, "ppl: input or output: No space left on device\n")
    assert "mu" in out
    assert Path("s.json").read_text() == "old"
    assert sorted(each.name for each in Path().iterdir()) == ["d.json", "m.ppl", "s.json"]


# As processes ------------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-c", "import sys; from ppl.cli import main; sys.exit(main())"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(ppl.__file__).parents[1])}


def test_a_reader_that_leaves_is_no_error_message(folder):
    process = subprocess.Popen(
        [*COMMAND, "list", "functions"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1


def test_output_that_a_terminal_cannot_show_is_replaced(folder):
    environment = {**ENVIRONMENT, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = subprocess.run([*COMMAND, "list", "functions"], env=environment, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


def test_help_imports_no_numerics(folder):
    code = (
        "import sys; from ppl.cli import main; main(['--help']); "
        "sys.exit(bool({'numpy', 'scipy', 'lark'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_interrupting_a_fit_leaves_no_traceback(folder):
    """Ctrl-C ends in 130, or in 0 where the fit was far enough to return what it has.

    Where modules are still being imported, as on a busy machine, it is the signal that ends it: 130 to a shell, too.
    """
    process = subprocess.Popen(
        [*COMMAND, "fit", "m.ppl", "--data", "d.json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert b"Traceback" not in err
