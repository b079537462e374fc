"""Ragged plates: densities against SciPy element by element, padding that holds anything, and both doors."""

import itertools

import numpy as np
import pytest
from scipy import stats

import ppl

LENGTHS = np.array([3, 0, 1, 2])
S, T = len(LENGTHS), 4
REGRESSION = """
data S, T: int
data len: int(lower=0, upper=T)[S]
data group: index(2)[S, T]
data x: real(lower=0)[S, T]
data y: real[S, T]
a ~ normal(0, 1)
b[g in 2] ~ normal(0, 1)
plate s in S {
  mu[s] ~ normal(0, 1)
  plate t in len[s] {
    m = b[group[s, t]] + a * log(x[s, t])
    y[s, t] ~ normal(mu[s] + m, 0.5 + t)
  }
}
"""
LATENTS = """
data S, T: int
data len: int(lower=0, upper=T)[S]
data y, w: real[S, T]
tau ~ half_normal(1)
plate s in S {
  plate t in len[s] {
    x[s, t] ~ normal(0, tau)
    d[s, t] = 2 * x[s, t]
    y[s, t] ~ normal(x[s, t], 0.5)
    g[s, t] ~ gamma(2, 1)
    z[s, t] ~ bernoulli(0.3)
    w[s, t] ~ normal(z[s, t], 1)
  }
}
"""
WALK = """
data S, T: int
data len: int(lower=1, upper=T)[S]
data y: real[S, T]
a ~ normal(0, 1)
plate s in S {
  scan t in len[s] {
    x[s, t] ~ normal(0 if t == 0 else a * x[s, t - 1], 1)
    e[s, t] = 1 if t == 0 else 0.5 + 0.1 * e[s, t - 1] + y[s, t - 1]^2
    y[s, t] ~ normal(x[s, t], e[s, t])
  }
  last[s] = x[s, len[s] - 1]
}
"""


def elements(lengths=LENGTHS):
    return [(s, t) for s, length in enumerate(lengths) for t in range(length)]


def padded(array, padding, lengths=LENGTHS):
    found = np.array(array, dtype=np.result_type(array, padding))
    for s, length in enumerate(lengths):
        found[s, length:] = padding
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def regression_data(rng, real=np.nan, index=-7):
    x, y = rng.uniform(1, 2, (S, T)), rng.normal(size=(S, T))
    group = padded(rng.integers(0, 2, (S, T)), index)
    return {"len": LENGTHS, "x": padded(x, real), "y": padded(y, real), "group": group}


def regression_density(values, data):
    total = sum(stats.norm.logpdf(values[name]).sum() for name in ("a", "b", "mu"))
    for s, t in elements():
        loc = values["mu"][s] + values["b"][data["group"][s, t]] + values["a"] * np.log(data["x"][s, t])
        total += stats.norm.logpdf(data["y"][s, t], loc, 0.5 + t)
    return total


def test_log_density(rng):
    data = regression_data(rng)
    values = {"a": 0.3, "b": rng.normal(size=2), "mu": rng.normal(size=S)}
    assert ppl.parse(REGRESSION).log_density(values, data) == pytest.approx(regression_density(values, data), abs=1e-9)


@pytest.mark.parametrize(("real", "index"), [(np.nan, 0), (np.inf, 10**6), (-1.0, -1), (1e300, 1)])
def test_padding_may_be_anything(real, index):
    values = {"a": 0.3, "b": [0.1, 0.2], "mu": np.arange(S)}
    densities = [
        ppl.parse(REGRESSION).log_density(values, regression_data(np.random.default_rng(4), *padding))
        for padding in ((0.5, 0), (real, index))
    ]
    assert densities[0] == densities[1]


def test_padding_in_whole_numbers_may_be_null():
    text = "data S, T: int\ndata len: int[S]\ndata k: int[S, T]\nr ~ gamma(1, 1)\n"
    text += "plate s in S { plate t in len[s] { k[s, t] ~ poisson(r) } }"
    found = ppl.parse(text).log_density({"r": 2.0}, {"len": [2, 1], "k": [[3, 0], [1, None]]})
    assert found == pytest.approx(stats.expon.logpdf(2) + stats.poisson.logpmf([3, 0, 1], 2).sum())


def test_what_is_not_padding_is_checked():
    data = regression_data(np.random.default_rng(4))
    data["x"][0, 0] = np.nan
    with pytest.raises(ppl.DataError, match="1 of 16 missing"):
        ppl.parse(REGRESSION).bind(data)


def test_missing_elements_within_the_ends(rng):
    text = REGRESSION.replace("data y: real[S, T]", "data y: real[S, T] missing")
    data = regression_data(rng)
    values = {"a": 0.3, "b": rng.normal(size=2), "mu": rng.normal(size=S)}
    full = ppl.parse(text).log_density(values, data)
    loc = values["mu"][0] + values["b"][data["group"][0, 1]] + values["a"] * np.log(data["x"][0, 1])
    expected = full - stats.norm.logpdf(data["y"][0, 1], loc, 1.5)
    data["y"][0, 1] = np.nan
    assert ppl.parse(text).log_density(values, data) == pytest.approx(expected, abs=1e-9)


def latent_density(values, data, state=None):
    total = stats.halfnorm.logpdf(values["tau"])
    for s, t in elements():
        x, w = values["x"][s, t], data["w"][s, t]
        total += stats.norm.logpdf(x, 0, values["tau"]) + stats.norm.logpdf(data["y"][s, t], x, 0.5)
        total += stats.gamma.logpdf(values["g"][s, t], 2)
        terms = np.log([0.7, 0.3]) + stats.norm.logpdf(w, [0, 1], 1)
        total += np.logaddexp(*terms) if state is None else terms[state[s, t]]
    return total


def test_latents(rng):
    """Values beyond the ends do not count, whatever they are; discrete ones are summed out exactly."""
    data = {"len": LENGTHS, "y": padded(rng.normal(size=(S, T)), np.nan), "w": padded(rng.normal(size=(S, T)), np.nan)}
    longest = (S, max(LENGTHS))
    values = {"tau": 0.7, "x": padded(rng.normal(size=longest), np.nan), "g": padded(rng.gamma(2, size=longest), -1.0)}
    model, state = ppl.parse(LATENTS), rng.integers(0, 2, longest)
    assert model.log_density(values, data) == pytest.approx(latent_density(values, data), abs=1e-9)
    expected = latent_density(values, data, state)
    assert model.log_density({**values, "z": state}, data) == pytest.approx(expected, abs=1e-9)


def test_the_guide_has_no_room_for_what_does_not_exist(rng):
    data = {"len": LENGTHS, "y": np.zeros((S, T)), "w": np.zeros((S, T))}
    guide = ppl.parse(LATENTS).guide(data)
    assert guide.layout.size == 1 + 2 * len(elements())
    vector = rng.normal(size=(2, guide.layout.size))
    assert guide.layout.pack(guide.layout.unpack(np, vector)) == pytest.approx(vector)
    assert "x[2, 0]" in guide.layout.element_names()
    assert "x[1, 0]" not in guide.layout.element_names()


@pytest.mark.parametrize("method", ["auto", "adam"])
def test_a_fit_agrees_with_the_exact_posterior(method, rng):
    """Gaussian, so that the posterior of each x is known; elements beyond the ends are left out or NaN."""
    text = LATENTS.replace("tau ~ half_normal(1)", "tau = 1")
    data = {"len": LENGTHS, "y": padded(rng.normal(size=(S, T)), np.nan), "w": padded(rng.normal(size=(S, T)), np.nan)}
    fit = ppl.parse(text).fit(data, method=method)
    observed = data["y"][:, : max(LENGTHS)]
    exists = ~np.isnan(observed)
    assert fit.mean("x")[exists] == pytest.approx(observed[exists] / 1.25, abs=0.06)
    assert fit.sd("x")[exists] == pytest.approx(np.full(len(elements()), np.sqrt(0.2)), rel=0.1)
    rows = {row.name for row in fit.summary(["x", "d", "z"]).rows}
    assert rows == {f"{name}[{s}, {t}]" for name in ("x", "d", "z") for s, t in elements()}
    for name in ("x", "d"):
        assert np.array_equal(np.isnan(fit.mean(name)), ~exists)
        assert np.array_equal(np.isnan(fit.draws(2)[name][0]), ~exists)
    assert np.all(fit.draws(5)["z"][:, ~exists] == 0)
    assert fit.log_likelihood(draws=3)["y"].shape == (3, len(elements()))
    assert np.array_equal(np.isnan(fit.predict(data, draws=1)["y"][0]), ~exists)


def test_scan_in_a_ragged_plate(rng):
    lengths = np.array([3, 1, 2])
    data = {"len": lengths, "y": padded(rng.normal(size=(3, 3)), np.nan, lengths)}
    x, y = rng.normal(size=(3, 3)), data["y"]
    expected = stats.norm.logpdf(0.5)
    for s, length in enumerate(lengths):
        scale = 1.0
        for t in range(length):
            scale = 0.5 + 0.1 * scale + y[s, t - 1] ** 2 if t else 1.0
            expected += stats.norm.logpdf(x[s, t], 0.5 * x[s, t - 1] if t else 0) + stats.norm.logpdf(
                y[s, t], x[s, t], scale
            )
    model = ppl.parse(WALK)
    assert model.log_density({"a": 0.5, "x": x}, data) == pytest.approx(expected, abs=1e-9)
    drawn = model.simulate(data, draws=2)
    assert np.array_equal(np.isnan(drawn["x"][0]), np.isnan(y))
    assert drawn["last"][0] == pytest.approx(drawn["x"][0][range(3), lengths - 1])


def test_hidden_markov_chains_of_unequal_length(rng):
    """Summed out exactly: against all paths of every chain."""
    text = """
data S, T: int
data len: int(lower=1, upper=T)[S]
data y: real[S, T]
m ~ normal(0, 1)
plate s in S {
  scan t in len[s] {
    z[s, t] ~ bernoulli(0.4 if t == 0 else [0.2, 0.9][z[s, t - 1]])
    y[s, t] ~ normal(m * z[s, t], 1)
  }
}
"""
    lengths = np.array([3, 1, 2])
    data = {"len": lengths, "y": padded(rng.normal(size=(3, 3)), np.nan, lengths)}
    expected = stats.norm.logpdf(0.7)
    for s, length in enumerate(lengths):
        paths = []
        for path in itertools.product([0, 1], repeat=length):
            chances = [0.4, *(np.array([0.2, 0.9])[list(path[:-1])])]
            paths.append(stats.bernoulli.logpmf(path, chances).sum())
            paths[-1] += stats.norm.logpdf(data["y"][s, :length], 0.7 * np.array(path)).sum()
        expected += np.logaddexp.reduce(paths)
    model = ppl.parse(text)
    assert model.log_density({"m": 0.7}, data) == pytest.approx(expected, abs=1e-9)
    drawn = model.fit(data).draws(50)["z"]
    assert np.all(drawn[:, [1, 1, 2], [1, 2, 2]] == 0)
    assert drawn[:, 0].any()


def test_a_range_with_a_start_of_its_own(rng):
    text = "data S, N: int\ndata start: int[S]\ndata y: real[N]\nmu[s in S] ~ normal(0, 1)\nplate s in S {\n"
    text += "  plate i in start[s]:start[s + 1] {\n    x[s, i] ~ normal(mu[s] + y[i], 1)\n  }\n}"
    text = text.replace("start: int[S]", "start: int[S + 1]")
    start, y = np.array([0, 2, 5]), rng.normal(size=5)
    x, mu = rng.normal(size=(2, 5)), rng.normal(size=2)
    expected = stats.norm.logpdf(mu).sum()
    for s, i in itertools.chain(((0, i) for i in range(2)), ((1, i) for i in range(2, 5))):
        expected += stats.norm.logpdf(x[s, i], mu[s] + y[i])
    assert ppl.parse(text).log_density({"mu": mu, "x": x}, {"S": 2, "start": start, "y": y}) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [("sum", np.sum), ("mean", np.mean), ("prod", np.prod), ("min", np.min), ("max", np.max),
     ("log_sum_exp", np.logaddexp.reduce)],
)  # fmt: skip
def test_reductions_of_ragged_lists(reduction, expected, rng):
    text = "data S, T: int\ndata len: int[S]\ndata x: real[S, T]\na ~ normal(0, 1)\n"
    text += f"factor f[s in S] = a * {reduction}([x[s, t] for t in len[s]])"
    lengths = np.array([2, 1, 3])
    x = padded(rng.normal(size=(3, 3)), np.nan, lengths)
    found = ppl.parse(text).log_density({"a": 1.5}, {"len": lengths, "x": x}, by_site=True)
    by_hand = sum(1.5 * expected(x[s, :length]) for s, length in enumerate(lengths))
    assert found["f"] == pytest.approx(by_hand)


def test_equal_lengths_are_no_mask():
    data = {"len": [2, 2], "y": np.zeros((2, 2)), "w": np.zeros((2, 2))}
    assert all(statement.present is None for statement in ppl.parse(LATENTS).bind(data).model.statements)


def test_both_doors(rng):
    @ppl.model
    def function(len, x, y, group):
        a = ppl.sample("a", ppl.Normal(0, 1))
        with ppl.plate("g", 2):
            b = ppl.sample("b", ppl.Normal(0, 1))
        with ppl.plate("s", len.shape[0]) as s:
            mu = ppl.sample("mu", ppl.Normal(0, 1))
            with ppl.plate("t", len[s]) as t:
                m = b[group[s, t]] + a * np.log(x[s, t])
                ppl.sample("y", ppl.Normal(mu[s] + m, 0.5 + t), obs=y[s, t])

    data, text = regression_data(rng), ppl.parse(REGRESSION)
    values = {"a": 0.3, "b": rng.normal(size=2), "mu": rng.normal(size=S)}
    by_text, by_function = (model.log_density(values, data, by_site=True) for model in (text, function))
    assert by_text == pytest.approx(by_function, abs=1e-10)
    assert text.explain(data) == function.explain(data)


def test_whole_arrays_in_a_ragged_plate(rng):
    @ppl.model
    def function(len, y):
        with ppl.plate("s", 4) as s, ppl.plate("t", len[s]):
            x = ppl.sample("x", ppl.Normal(0, 1))
            ppl.sample("y", ppl.Normal(x, 0.5), obs=y)

    y, x = padded(rng.normal(size=(S, T - 1)), np.nan), rng.normal(size=(S, T - 1))
    expected = sum(stats.norm.logpdf(x[i]) + stats.norm.logpdf(y[i], x[i], 0.5) for i in elements())
    assert function.log_density({"x": x}, {"len": LENGTHS, "y": y}) == pytest.approx(expected)


def test_a_saved_fit_keeps_what_does_not_exist(tmp_path):
    data = {"len": [2, 1], "y": np.zeros((2, 2)), "w": np.zeros((2, 2))}
    fit = ppl.parse(LATENTS).fit(data)
    fit.save(tmp_path / "fit.zip")
    assert str(ppl.load_fit(tmp_path / "fit.zip").summary("x")) == str(fit.summary("x"))
    assert np.isnan(ppl.load_fit(tmp_path / "fit.zip").mean("x")[1, 1])
