"""Fits whose rows are read once: they are those of the arrays to rounding, from every source, by every door."""

from __future__ import annotations

import itertools
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from compiler.test_collapse_streams import Counting

import ppl
from ppl.cli import main
from ppl.compiler.collapse.statistics import statistics
from ppl.errors import DataError, InferenceError, ModelError
from ppl.inference.fit import run_fit

RNG = np.random.default_rng(5)
N = 907
X = RNG.normal(size=(N, 2))
Y = 3.0 + X @ [1.0, -2.0] + 0.5 * RNG.normal(size=N)
G = RNG.integers(0, 5, N)
K = RNG.poisson(np.exp(0.3 * G))
COLUMNS = {"x1": X[:, 0], "x2": X[:, 1], "y": Y, "g": G, "k": K}
NAMES = {"X": ["x1", "x2"], "y": "y", "g": "g", "k": "k"}
DATA = {"X": X, "y": Y, "g": G, "k": K}
HEAD = "data N: int\n"
TEXT = """
data N: int
data X: real[N, 2]
data y: real[N]
a ~ normal(0, 5)
b[d in 2] ~ normal(0, 5)
s ~ half_normal(5)
plate n in N {
  m[n] = a + X[n] @ b
  y[n] ~ normal(m[n], s)
}
predict { z ~ normal(a, s) }
"""


@ppl.model
def regression(X, y):
    a = ppl.sample("a", ppl.Normal(0, 5))
    with ppl.plate("d", X.shape[1]):
        b = ppl.sample("b", ppl.Normal(0, 5))
    s = ppl.sample("s", ppl.HalfNormal(5))
    with ppl.plate("n", len(y)) as n:
        ppl.sample("y", ppl.Normal(a + X[n] @ b, s), obs=y)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Many pieces and blocks, neither of which ends where the other does."""
    monkeypatch.setattr("ppl.streams.column.BLOCK_BYTES", 800)
    monkeypatch.setattr("ppl.compiler.collapse.statistics.BLOCK", 700)
    monkeypatch.setattr("ppl.compiler.collapse.statistics.FEWEST_ROWS", 7)
    monkeypatch.setattr("ppl.compiler.collapse.rows.READ", 211)


def same_posterior(streamed, whole, rtol=1e-9):
    """All latents, in units of their sds."""
    assert streamed.run.method == whole.run.method != "adam"
    assert streamed.verdict.level == whole.verdict.level == "trusted"
    assert streamed.log_evidence == pytest.approx(whole.log_evidence, rel=1e-11)
    for name in streamed.posterior.values:
        sd = np.asarray(whole.sd(name))
        np.testing.assert_allclose(streamed.mean(name) / sd, whole.mean(name) / sd, rtol=0, atol=rtol)
        np.testing.assert_allclose(streamed.sd(name), sd, rtol=rtol)


# Every source ----------------------------------------------------------------------------------------------------


def memory(folder):
    return ppl.open_data(DATA)


def npy(folder):
    for name, array in DATA.items():
        np.save(folder / f"{name}.npy", array)
    return ppl.open_data({name: folder / f"{name}.npy" for name in DATA})


def memmap(folder):
    np.save(folder / "X.npy", X)
    return ppl.open_data({**DATA, "X": np.load(folder / "X.npy", mmap_mode="r")})


def in_batches(sizes):
    """Once and no more: a generator, of batches of these sizes with a short one last."""
    steps, start = itertools.cycle(sizes), 0
    while start < N:
        stop = start + next(steps)
        yield {name: array[start:stop] for name, array in DATA.items()}
        start = stop


def batches(folder):
    return ppl.open_data(in_batches([100, 1, 333]))


def one_batch(folder):
    return ppl.open_data(in_batches([N]))


def csv(folder):
    pytest.importorskip("pyarrow")
    rows = zip(*(array.tolist() for array in COLUMNS.values()), strict=True)
    lines = [",".join(map(repr, row)) for row in rows]
    (folder / "d.csv").write_text("\n".join([",".join(COLUMNS), *lines]))
    return ppl.open_data(folder / "d.csv", columns=NAMES)


def parquet(folder):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table(COLUMNS), folder / "d.parquet", row_group_size=130)
    return ppl.open_data(folder / "d.parquet", columns=NAMES)


SOURCES = [memory, npy, memmap, batches, one_batch, csv, parquet]


def picked(table, names):
    return {name: table[name] for name in names}


@pytest.fixture(scope="module")
def whole():
    return ppl.parse(TEXT).fit(picked(DATA, "Xy"), seed=1, draws=500, progress=False)


@pytest.mark.parametrize("source", SOURCES)
def test_a_regression_is_that_of_the_arrays(source, tmp_path, whole):
    same_posterior(ppl.parse(TEXT).fit(picked(source(tmp_path), "Xy"), seed=1, draws=500, progress=False), whole)


def test_by_the_other_door(tmp_path, whole):
    same_posterior(regression.fit(picked(npy(tmp_path), "Xy"), seed=1, draws=500, progress=False), whole)


MODELS = {
    "a Poisson rate": ("k", "r ~ gamma(2, 1)\nplate n in N { k[n] ~ poisson(r) }"),
    "a chance": ("g", "p ~ beta(1, 1)\nplate n in N { g[n] ~ bernoulli(p) }"),
    "group means": (
        "yg",
        "t ~ half_normal(1)\ns ~ half_normal(2)\nc[j in 5] ~ normal(0, t)\nplate n in N { y[n] ~ normal(c[g[n]], s) }",
    ),
    "equal covariates": (
        "kg",
        "a ~ normal(0, 2)\nb ~ normal(0, 2)\nplate n in N { k[n] ~ negative_binomial(exp(a + b * g[n]), 3) }",
    ),
    "chances of groups": ("gk", "c ~ gamma(2, 1)\np[j in 5] ~ beta(c, 2)\nplate n in N { k[n] ~ bernoulli(p[g[n]]) }"),
}
KINDS = {"k": "int(lower=0)", "y": "real", "g": "index(5)"}


@pytest.mark.parametrize("name", MODELS)
def test_other_statistics_are_those_of_the_arrays(name, tmp_path):
    names, text = MODELS[name]
    source = parquet if name in ("group means", "a chance") else batches
    heads = "".join(f"data {each}: {KINDS[each]}[N]\n" for each in names)
    table, data = picked(source(tmp_path), names), picked(DATA, names)
    if "bernoulli" in text:
        outcome = "g" if names == "g" else "k"
        heads = heads.replace(f"data {outcome}: {KINDS[outcome]}", f"data {outcome}: bool")
        data = {**data, outcome: np.minimum(DATA[outcome], 1)}
        table = {**table, **picked(ppl.open_data(data), outcome)}
    program = ppl.parse(HEAD + heads + text)
    streamed, whole = (program.fit(each, seed=2, draws=500, progress=False) for each in (table, data))
    same_posterior(streamed, whole, rtol=1e-7)


# What a fit then offers ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streamed():
    return ppl.parse(TEXT).fit(ppl.open_data(picked(DATA, "Xy")), seed=1, draws=500, progress=False)


def test_explain_says_what_was_read(streamed, tmp_path):
    said = "normal, 907 rows as 11 statistics: a triangular least-squares factor, in one pass over the rows of"
    assert f"{said} arrays X, y" in streamed.explain()
    assert "def run(values, prepared)" in streamed.explain(code=True)
    for source, shown in ((batches, "batches"), (npy, f"{tmp_path / 'X.npy'}, {tmp_path / 'y.npy'}, ")):
        assert f"{said} {shown}" in ppl.parse(TEXT).explain(picked(source(tmp_path), "Xy"))


def test_what_needs_no_rows_is_there(streamed, whole, tmp_path):
    summary = streamed.summary()
    assert "m: left out, its data are read row by row" in str(summary)
    assert streamed.mean("z") == pytest.approx(whole.mean("z"), abs=1e-9)
    streamed.save(tmp_path / "fit.npz")
    again = ppl.load_fit(tmp_path / "fit.npz")
    np.testing.assert_array_equal(again.mean("b"), streamed.mean("b"))


def test_rows_that_are_asked_about_are_passed(streamed, whole):
    some = {"X": X[:6], "y": Y[:6]}
    for method in ("predict", "log_likelihood"):
        found, known = (getattr(fit, method)(some, draws=50, seed=3)["y"] for fit in (streamed, whole))
        np.testing.assert_allclose(found, known, rtol=1e-7, atol=1e-7)
        with pytest.raises(ModelError, match=f"`{method}` needs all rows at once") as caught:
            getattr(streamed, method)()
        assert caught.value.diagnostics[0].code == "E409"


def test_arviz_gets_what_there_is(streamed):
    pytest.importorskip("arviz")
    assert list(streamed.to_arviz().groups()) == ["posterior"]
    assert "log_likelihood" in streamed.to_arviz({"X": X, "y": Y}).groups()


@pytest.mark.parametrize("how", [{"method": "stochastic", "steps": 100}, {"guide": "mean_field"}, {"guide": "point"}])
def test_other_methods_have_the_same_statistics(how):
    program, data = ppl.parse(TEXT), picked(DATA, "Xy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        fits = [program.fit(each, seed=4, draws=200, progress=False, **how) for each in (ppl.open_data(data), data)]
    np.testing.assert_allclose(fits[0].mean("b"), fits[1].mean("b"), rtol=1e-7)
    assert fits[0].run.elbo == pytest.approx(fits[1].run.elbo, rel=1e-8)


@pytest.mark.parametrize("method", ["cavi", "svi"])
def test_methods_that_go_through_all_rows_say_so(method):
    with pytest.raises(InferenceError, match=f"`{method}` needs data that are in memory; use method='auto'"):
        ppl.parse(TEXT).fit(ppl.open_data(picked(DATA, "Xy")), method=method, progress=False)


def test_a_note_makes_no_difference(streamed):
    noted = ppl.parse(TEXT.replace("plate n", "@minibatch(50)\nplate n"))
    found = noted.fit(ppl.open_data(picked(DATA, "Xy")), seed=1, draws=500, progress=False)
    same_posterior(found, streamed, rtol=1e-9)


# The pass -------------------------------------------------------------------------------------------------------------


def test_a_fit_reads_the_rows_once_and_shows_it(capsys):
    table = ppl.open_data(picked(DATA, "Xy"))
    source = Counting(table["X"].source)
    bound = ppl.parse(TEXT).bind({name: replace(column, source=source) for name, column in table.items()})
    plan = bound.plan()
    source.given.clear()
    run_fit(plan, bound.data, draws=200, progress=True)
    assert sum(stop - start for name, start, stop in source.given if name == "X") == N
    assert "reading rows" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    """Of 32 MB a few are in memory at a time."""
    monkeypatch.undo()
    rows = 500_000
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", float, (rows, 8))
    x[:] = 5.0
    x[::3] = 7.0
    del x
    text = """
    data N, D: int
    data x: real[N, D]
    data y: real[N]
    s ~ half_normal(1)
    c[d in D] ~ normal(0, 3)
    plate n in N { y[n] ~ normal(sum([c[d] * x[n, d] for d in D]), s) }
    """
    np.save(tmp_path / "y.npy", RNG.normal(size=rows))
    program = ppl.parse(text)
    program.fit(ppl.open_data({"x": RNG.normal(size=(90, 8)), "y": RNG.normal(size=90)}), draws=50, progress=False)
    data = ppl.open_data({name: tmp_path / f"{name}.npy" for name in "xy"})
    tracemalloc.start()
    bound = program.bind(data)
    plan = bound.plan()
    (found,) = plan.collapses.values()
    statistics(found, bound.data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6


# Mistakes -----------------------------------------------------------------------------------------------------------


def spoiled(name, row, value):
    array = np.zeros(100_010)
    array[row] = value
    return ppl.open_data({**{each: np.zeros(100_010) for each in "yk"}, name: array})


MISTAKES = [
    ("y", np.nan, "E501", "y: row 100000 is NaN"),
    ("y", np.inf, "E501", "y: row 100000 is infinite"),
    ("k", 1.5, "E513", "k has numbers that are not whole, the first in row 100000"),
    ("k", -1, "E503", "k has -1, below 0"),
]


@pytest.mark.parametrize(("name", "value", "code", "said"), MISTAKES, ids=[each[3] for each in MISTAKES])
def test_a_wrong_number_far_down_is_found_with_its_row(name, value, code, said):
    text = "data N: int\ndata y: real[N]\ndata k: int(lower=0)[N]\nm ~ normal(0, 1)\n"
    program = ppl.parse(text + "plate n in N { y[n] ~ normal(m * k[n], 1) }")
    with pytest.raises(DataError, match=said) as caught:
        program.fit(spoiled(name, 100_000, value), progress=False)
    (record,) = caught.value.diagnostics
    assert record.code == code
    assert record.span is not None


def test_a_csv_file_with_a_word_far_down_is_refused_with_its_row(tmp_path):
    pytest.importorskip("pyarrow")
    lines = ["y,k", *["0.123456789,1"] * 100_000, "nothing,1"]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"column #0: Row #100002: .*'nothing'") as caught:
        ppl.open_data(tmp_path / "d.csv")
    assert caught.value.diagnostics[0].code == "E522"


@pytest.mark.parametrize("how", ["all", "picked"])
def test_a_word_among_numbers_is_shown_where_they_are_asked_for(how, tmp_path):
    """In a file so small that its columns are told apart by all of it; what nobody asks for may be text."""
    pytest.importorskip("pyarrow")
    lines = ["y,k,house", *["0.5,1,12"] * 9_000, "nothing,1,12b", "0.5,1,-"]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    program = ppl.parse("data N: int\ndata y: real[N]\nm ~ normal(0, 1)\nplate n in N { y[n] ~ normal(m, 1) }")
    with pytest.raises(DataError, match="`y` is no column of numbers: row 9000 is 'nothing'") as caught:
        program.bind(ppl.open_data(tmp_path / "d.csv", columns={"y": "y"} if how == "picked" else None))
    assert caught.value.diagnostics[0].code == "E522"
    assert list(ppl.open_data(tmp_path / "d.csv")) == ["k"]


@pytest.mark.parametrize("nothing", [{"X": X[:0], "y": Y[:0]}, [], [{"X": X[:0], "y": Y[:0]}]])
def test_no_rows_are_refused(nothing):
    with pytest.raises(DataError, match="there are no rows in") as caught:
        ppl.open_data(nothing)
    assert caught.value.diagnostics[0].code == "E522"


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    csv(tmp_path)
    (tmp_path / "m.ppl").write_text(TEXT)
    rows = ["m.ppl", "--data", "d.csv", "--column", "X=x1,x2", "--column", "y=y"]
    assert main(["explain", *rows, "--stream"]) == 0
    assert "a triangular least-squares factor, in one pass over the rows of d.csv" in capsys.readouterr().out
    outputs = []
    for stream in (["--stream"], []):
        assert main(["fit", *rows, *stream, "--draws", "500", "--no-progress"]) == 0
        outputs.append(capsys.readouterr().out.splitlines()[:5])
    assert outputs[0] == outputs[1]
