"""Fits whose data are read row by row: they are those of the arrays, through either door, in bounded memory."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest

import ppl
from ppl.errors import DataError, ModelError
from ppl.guides import derive_guide
from ppl.inference.stochastic import batches as reading
from ppl.inference.stochastic.batches import Batches, step_plan
from ppl.inference.stochastic.objective import log_weights
from ppl.inference.stochastic.whole import _in_blocks
from ppl.numeric import NUMPY
from ppl.runtime import Executor

RNG = np.random.default_rng(3)
N = 500
X = RNG.normal(size=(N, 3))
Y = (RNG.random(N) < 1 / (1 + np.exp(-(X @ [1.0, -0.5, 0.2])))).astype(int)
G = RNG.integers(0, 4, N)
TEXT = """
data N, D: int
data X: real[N, D]
data y: bool[N]
data g: index(4)[N]
s ~ half_normal(1)
c[j in 4] ~ normal(0, s)
b[d in D] ~ normal(0, 2)
@minibatch(50)
plate n in N {
  y[n] ~ bernoulli(logits = c[g[n]] + X[n] @ b)
}
"""
LOCAL = """
data N: int
data x: real[N]
m ~ normal(0, 3)
@minibatch(50)
plate n in N {
  z[n] ~ normal(m, 1)
  x[n] ~ normal(z[n], 0.5)
}
"""
DATA = {"X": X, "y": Y, "g": G}


@ppl.model
def regression(X, y, g):
    columns = X.shape[1]
    s = ppl.sample("s", ppl.HalfNormal(1))
    with ppl.plate("j", 4):
        c = ppl.sample("c", ppl.Normal(0, s))
    with ppl.plate("d", columns):
        b = ppl.sample("b", ppl.Normal(0, 2))
    with ppl.plate("n", len(y), subsample=50) as n:
        ppl.sample("y", ppl.Bernoulli(logits=c[g[n]] + X[n] @ b), obs=y)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Several pieces, of which a few are shuffled at a time."""
    monkeypatch.setattr("ppl.streams.column.BLOCK_BYTES", 800)
    monkeypatch.setattr(reading, "POOL_BYTES", 4096)


@pytest.mark.parametrize("program", [ppl.parse(TEXT), regression], ids=["text", "function"])
def test_a_step_sees_the_rows_of_its_positions(program):
    plan = step_plan(program.bind(ppl.open_data(DATA)).plan())
    stream = Batches(plan.model.batches, np.random.default_rng(0))
    assert "shuffled together" in stream.notes[0]
    seen = []
    for _ in range(20):
        part = next(stream)
        at = part["batch of n"]
        for name, array in DATA.items():
            np.testing.assert_array_equal(part[f"rows of {name}"], array[at])
        seen.append(at)
    assert sorted(np.concatenate(seen[:10])) == sorted(np.concatenate(seen[10:])) == list(range(N))


def test_restored_batches_go_on():
    plates = step_plan(ppl.parse(TEXT).bind(ppl.open_data(DATA)).plan()).model.batches
    rng = np.random.default_rng(0)
    stream = Batches(plates, rng)
    for _ in range(7):
        next(stream)
    kept, generator = stream.state, rng.bit_generator.state
    want = [next(stream) for _ in range(15)]
    other = np.random.default_rng(9)
    again = Batches(plates, other)
    again.restore(kept)
    other.bit_generator.state = generator
    for one in want:
        for name, array in next(again).items():
            np.testing.assert_array_equal(array, one[name])


@pytest.mark.parametrize("text", [TEXT, LOCAL], ids=["global", "local"])
def test_the_density_in_blocks_is_that_of_all_rows(text):
    data = DATA if text is TEXT else {"x": X[:, 0]}
    streamed = ppl.parse(text).bind(ppl.open_data(data)).plan()
    whole = ppl.parse(text).bind(data)
    guide = derive_guide(streamed, "mean_field")
    parameters = np.random.default_rng(1).normal(0.0, 0.3, guide.parameters.size)
    found = _in_blocks(guide, {}, streamed.model.batches[0], parameters, np.random.default_rng(2), 300, 200)
    own = derive_guide(whole.plan(), "mean_field")
    plain = Executor(own.plan, whole.data, NUMPY)
    noise = plain.noise(own, np.random.default_rng(5), parameters, 4000)
    ratios = log_weights(own.plan, plain.trace(own, parameters, noise))
    error = np.hypot(ratios.std() / np.sqrt(len(ratios)), found.ratios.std() / np.sqrt(200))
    assert abs(found.ratios.mean() - ratios.mean()) < 5 * error
    assert found.ratios.shape == (200,)
    assert "z" not in found.values
    if text is TEXT:  # without unknowns of the rows the draws tell each weight exactly
        values = {name: array[7] for name, array in found.values.items()}
        density = ppl.parse(text).log_density(values, data)
        at = {name: np.asarray(value)[None] for name, value in values.items()}
        rows = Executor(own.plan, whole.data, NUMPY)
        assert np.isfinite(density)
        assert sum(np.sum(term) for term in rows.density(at).values()) == pytest.approx(density)


@pytest.mark.parametrize("program", [ppl.parse(TEXT), regression], ids=["text", "function"])
def test_the_fit_is_that_of_the_arrays(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        streamed = program.fit(ppl.open_data(DATA), seed=1, progress=False)
        whole = program.fit(DATA, seed=1, progress=False)
    assert streamed.run.converged
    for name in ("b", "c"):
        assert np.max(np.abs(streamed.mean(name) - whole.mean(name)) / whole.sd(name)) < 0.15
    assert streamed.predict({**DATA, "X": X}, draws=10)["y"].shape == (10, N)
    with pytest.raises(ModelError, match="needs all rows at once") as caught:
        streamed.predict()
    assert caught.value.diagnostics[0].code == "E409"


def test_unknowns_of_rows_are_left_out_and_encoded():
    x = X[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        fit = ppl.parse(LOCAL).fit(ppl.open_data({"x": x}), seed=1, progress=False)
    assert "z: left out" in str(fit.summary())
    found = fit.encode({"x": x[:6]}, refine=400)
    np.testing.assert_allclose(found.mean("z"), (fit.mean("m") + 4 * x[:6]) / 5, atol=0.12)
    np.testing.assert_allclose(found.sd("z"), np.sqrt(0.2), rtol=0.15)


def test_memory_does_not_grow_with_the_rows(tmp_path, monkeypatch):
    """32 MB of rows are fitted in a few MB."""
    monkeypatch.undo()
    monkeypatch.setattr(reading, "POOL_BYTES", 1 << 18)
    monkeypatch.setattr("ppl.inference.stochastic.whole.BLOCK_NUMBERS", 50_000)
    rows = 1_000_000
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((rows, 4)))
    text = """
    data N, D: int
    data x: real[N, D]
    m ~ normal(0, 3)
    @minibatch(500)
    plate n in N {
      plate d in D {
        x[n, d] ~ student_t(5, m, 1)
      }
    }
    """
    program, data = ppl.parse(text), ppl.open_data(tmp_path / "x.npy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        program.fit(ppl.open_data({"x": RNG.normal(size=(2000, 4))}), steps=20, window=10, draws=50, progress=False)
        tracemalloc.start()
        program.fit(data, steps=20, window=10, draws=50, progress=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


TROUBLE = [
    (TEXT.replace("@minibatch(50)\n", ""), DATA, "note the plate `@minibatch"),
    (TEXT.replace("(50)", "(500)"), DATA, "note the plate `@minibatch"),
    (TEXT.replace("c[g[n]]", "c[g[n]] + mean(g)"), DATA, "`g` is read row by row, and here all of it is"),
    (TEXT.replace("X[n] @ b", "X[0] @ b"), DATA, "`X` is read row by row, and here all of it is"),
    (TEXT.replace("X[n] @ b", "sum([X[i, 0] for i in N])"), DATA, "`X` is read row by row, and here all of it is"),
]


@pytest.mark.parametrize(("text", "data", "said"), TROUBLE, ids=["no note", "all of it", "whole", "one row", "a sum"])
def test_rows_that_cannot_be_read_one_by_one_are_refused(text, data, said):
    with pytest.raises(ModelError, match=said.replace("(", r"\(")) as caught:
        ppl.parse(text).bind(ppl.open_data(data)).plan()
    assert caught.value.diagnostics[0].code == "E409"
    assert caught.value.diagnostics[0].span is not None


def changed(name, place, value):
    array = np.array(DATA[name], float)
    array[place] = value
    return {**DATA, name: array}


WRONG = [
    (changed("X", (7, 1), np.nan), TEXT, "E501", "X: row 7 is NaN"),
    (changed("X", (8, 1), np.inf), TEXT, "E501", "X: row 8 is infinite"),
    (changed("y", 3, 0.5), TEXT, "E513", "not whole"),
    (changed("y", 3, 2), TEXT, "E513", "true or false"),
    (changed("g", 3, 4), TEXT, "E502", r"values run 0\.\.4; expected 0\.\.3"),
    ({**DATA, "X": X[:, 0]}, TEXT, "E512", "X has shape"),
    (DATA, TEXT.replace("data X: real[N, D]", "data X: real(lower=0)[N, D]"), "E503", "below 0"),
]


@pytest.mark.parametrize(("data", "text", "code", "said"), WRONG, ids=[each[3] for each in WRONG])
def test_wrong_rows_are_found_by_one_pass(data, text, code, said):
    with pytest.raises(DataError, match=said) as caught:
        ppl.parse(text).bind(ppl.open_data(data))
    assert caught.value.diagnostics[0].code == code


def test_an_outcome_outside_its_support_is_found():
    text = "data N: int\ndata k: real[N]\na ~ normal(0, 1)\n@minibatch(5)\nplate n in N {\n k[n] ~ gamma(2, exp(a))\n}"
    with pytest.raises(ModelError, match=r"k\[3\]") as caught:
        ppl.parse(text).bind(ppl.open_data({"k": np.array([1.0, 2.0, 1.0, -1.0, 3.0, 1.0])}))
    assert caught.value.diagnostics[0].code == "E504"


def test_what_needs_all_rows_says_so():
    data = ppl.open_data({"x": X[:, 0]})
    with pytest.raises(ModelError, match="log_density"):
        ppl.parse(LOCAL).log_density({"m": 0.0, "z": np.zeros(N)}, data)
    with pytest.raises(ModelError, match="simulate"):
        ppl.parse(LOCAL).simulate(data)
    with pytest.raises(ModelError, match="calibrate"):
        ppl.parse(LOCAL).calibrate(data, n=2, progress=False)
