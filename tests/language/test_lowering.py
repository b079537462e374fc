"""What statements mean: their model in its stable text, and log densities beside SciPy."""

import re

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import bernoulli, binom, dirichlet, expon, gamma, multivariate_normal, norm, poisson

from ppl.errors import DataError, ModelError
from ppl.language.names import unused_data
from ppl.language.parser import parse as parse_tree
from ppl.model import model_text
from ppl.model.graph import dependency_graph
from ppl.program import parse
from ppl.source import Source

DATA = {
    "N": 4,
    "J": 3,
    "D": 2,
    "x": [0.5, 1.0, 1.5, 2.0],
    "y": [1.0, 2.0, 0.0, 1.0],
    "X": [[0.0, 0.3], [0.7, 1.0], [1.3, 1.7], [2.0, 2.3]],
    "g": [0, 2, 1, 2],
    "k": [3, 0, 2, 1],
    "b": [True, False, False, True],
}
HEAD = """
data N, J, D: int
data x, y: real[N]
data X: real[N, D]
data g: index(J)[N]
data k: int[N]
data b: bool[N]
a ~ normal(0, 1)
c ~ normal(0, 1)
beta[d in D] ~ normal(0, 1)
alpha[j in J] ~ normal(0, 1)
sigma ~ half_normal(1)
"""
VALUES = {
    "a": 0.3,
    "c": -0.2,
    "beta": np.array([0.5, -0.1]),
    "alpha": np.array([0.1, 0.2, 0.3]),
    "sigma": 0.7,
}


def program(statements, head=HEAD):
    """The program of `statements` behind the common declarations, those of data that it does not use left out."""
    text = f"{head}{statements}\n"
    while unused := unused_data(parse_tree(Source("m.ppl", text)), DATA):
        name = unused[0].span.text
        text = re.sub(rf"^data {name}:.*$|(?<=^data ){name}, ", "", text, flags=re.MULTILINE)
        text = re.sub(rf"^(data [\w, ]*), {name}(?=[,:])", r"\1", text, flags=re.MULTILINE)
    return parse(text, "m.ppl")


def of(statements, data=DATA, head=HEAD):
    """The model of `statements` behind the common declarations, bound."""
    return program(statements, head).bind(data)


def tail(statements, data=DATA):
    """The lines of the model's text for `statements`, without those of the common declarations and plates."""
    common = set(model_text(of("", data).model).splitlines())
    lines = str(of(statements, data)).splitlines()
    return [line for line in lines if line not in common and not line.startswith("plate ")]


def canonical(model):
    """The model's text with each plate called by its extent, as whole-array statements call theirs."""
    text = model_text(model)
    for axis in model.plates:
        text = re.sub(rf"(?<=[\[{{ ]){re.escape(axis.name)}(?=[\]}},: ])", str(axis.extent), text)
    return text


def log_density(statements, data=DATA, **values):
    return program(statements).log_density({**VALUES, **values}, data, by_site=True)


def likelihood(loc):
    return norm.logpdf(np.array(DATA["y"]), loc, VALUES["sigma"]).sum()


# Whole arrays and indices ---------------------------------------------------------------------------------

SAME = {
    "arithmetic": ("y ~ normal(a + c * x, sigma)", "plate n in N {\n y[n] ~ normal(a + c * x[n], sigma)\n}"),
    "one statement": ("y ~ normal(a + c * x, sigma)", "y[n in N] ~ normal(a + c * x[n], sigma)"),
    "local name": (
        "y ~ normal(a + c * x, sigma)",
        "plate n in N {\n m = c * x[n]\n loc = a + m\n y[n] ~ normal(loc, sigma)\n}",
    ),
    "matrix product": ("y ~ normal(X @ beta, sigma)", "plate n in N {\n y[n] ~ normal(X[n] @ beta, sigma)\n}"),
    "row and column": ("y ~ normal(X[:, 1] * a, sigma)", "plate n in N {\n y[n] ~ normal(X[n, 1] * a, sigma)\n}"),
    "gather": ("y ~ normal(alpha[g], sigma)", "plate n in N {\n y[n] ~ normal(alpha[g[n]], sigma)\n}"),
    "gather and function": (
        "y ~ normal(exp(alpha[g] * x^2) - a, sigma)",
        "plate n in N {\n y[n] ~ normal(exp(alpha[g[n]] * x[n]^2) - a, sigma)\n}",
    ),
    "conditional": (
        "y ~ normal(x if b else a, sigma)",
        "plate n in N {\n y[n] ~ normal(x[n] if b[n] else a, sigma)\n}",
    ),
    "guard": (
        "y ~ normal(a if k == 0 else x[k - 1], sigma)",
        "plate n in N {\n y[n] ~ normal(a if k[n] == 0 else x[k[n] - 1], sigma)\n}",
    ),
    "comprehension": ("y ~ normal([a + x[i] for i in N], sigma)", "y[n in N] ~ normal(a + x[n], sigma)"),
    "latent": ("z[n in N] ~ normal(a + x[n], 1)", "plate n in N {\n z[n] ~ normal(a + x[n], 1)\n}"),
    "order": ("m = a + c\ny ~ normal(m, sigma)", "y ~ normal(m, sigma)\nm = a + c"),
    "scan of known lags": (
        "plate t in 1:N {\n y[t] ~ normal(a * y_lag[t], sigma)\n}\ny_lag = [0 if t == 0 else y[t - 1] for t in N]",
        "scan t in 1:N {\n y[t] ~ normal(a * (0 if t == 0 else y[t - 1]), sigma)\n}",
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_two_ways_of_writing_give_one_model(case):
    one, other = (of(statements) for statements in SAME[case])
    if case != "scan of known lags":  # there the lags are named data in one of them
        assert canonical(one.model) == canonical(other.model)
    values = {**VALUES, "z": np.arange(4.0)} if "z" in one.model.by_name else VALUES
    densities = [program(s).log_density(values, DATA) for s in SAME[case]]
    assert np.isfinite(densities[0])
    np.testing.assert_allclose(densities[0], densities[1], rtol=1e-14)
    graphs = [dependency_graph(bound.model) for bound in (one, other)]
    assert set(graphs[0].edges) == set(graphs[1].edges)


# Each against SciPy -----------------------------------------------------------------------------------------

X, Y = np.array(DATA["x"]), np.array(DATA["y"])
MATRIX, G, K = np.array(DATA["X"]), np.array(DATA["g"]), np.array(DATA["k"])
A, C, BETA, ALPHA, SIGMA = (VALUES[name] for name in ("a", "c", "beta", "alpha", "sigma"))
SHAPED = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.7]])

# statements, their term in the log density, its value, further values
DENSITIES = {
    "gather of gathered": ("y ~ normal(alpha[g[k]], sigma)", "y", likelihood(ALPHA[G[K]]), {}),
    "slice": (
        "plate n in 1:3 {\n y[n] ~ normal(x[n - 1], sigma)\n}",
        "y",
        norm.logpdf(Y[1:3], X[:2], SIGMA).sum(),
        {},
    ),
    "slices": ("z ~ normal(sum(x[1:3]) + sum(x[2:]) + sum(x[:1]), 1)", "z", norm.logpdf(0, 2.5 + 3.5 + 0.5), {"z": 0}),
    "range of a comprehension": ("z ~ normal(sum([n * x[n] for n in 1:N]), 1)", "z", norm.logpdf(0, 10.0), {"z": 0.0}),
    "nested comprehension": (
        "M = [x[n] * beta[d] for n in N, d in D]\ny ~ normal(M[:, 1], sigma)",
        "y",
        likelihood(X * BETA[1]),
        {},
    ),
    "two plates": (
        "plate d in D {\n plate j in J {\n  w[d, j] ~ normal(beta[d], exp(alpha[j]))\n }\n}",
        "w",
        norm.logpdf(SHAPED, BETA[:, None], np.exp(ALPHA)[None, :]).sum(),
        {"w": SHAPED},
    ),
    "plates the other way round": (
        "plate j in J {\n plate d in D {\n  w[d, j] ~ normal(beta[d], exp(alpha[j]))\n }\n}",
        "w",
        norm.logpdf(SHAPED, BETA[:, None], np.exp(ALPHA)[None, :]).sum(),
        {"w": SHAPED},
    ),
    "events in a plate": (
        "v[d in D] ~ dirichlet(rep(2, J))",
        "v",
        sum(dirichlet.logpdf(row / row.sum(), [2, 2, 2]) for row in SHAPED),
        {"v": SHAPED / SHAPED.sum(axis=1, keepdims=True)},
    ),
    "event of whole arrays": (
        "y ~ multi_normal(a * x, cov = outer(x, x) + diag(rep(sigma, N)))",
        "y",
        multivariate_normal.logpdf(Y, A * X, np.outer(X, X) + SIGMA * np.eye(4)),
        {},
    ),
    "eye and rep": (
        "y ~ multi_normal(rep(a, N), cov = 2 * eye(N))",
        "y",
        multivariate_normal.logpdf(Y, np.full(4, A), 2 * np.eye(4)),
        {},
    ),
    "rep and size": ("z ~ normal(sum(rep(a, 2, 3)) + size(X) + size(X, 1), 1)", "z", norm.logpdf(0, 7.8), {"z": 0}),
    "matrix by matrix": (
        "M = transpose(X) @ X\nz ~ normal(M[0, 1] + (x @ X)[1] + x @ y, 1)",
        "z",
        norm.logpdf(0, (MATRIX.T @ MATRIX)[0, 1] + (X @ MATRIX)[1] + X @ Y),
        {"z": 0.0},
    ),
    "solve of a vector and of a matrix": (
        "S = outer(x, x) + eye(N)\nz ~ normal(sum(solve(S, x)) + sum(solve(S, X)), 1)",
        "z",
        norm.logpdf(0, sum(np.linalg.solve(np.outer(X, X) + np.eye(4), part).sum() for part in (X, MATRIX))),
        {"z": 0.0},
    ),
    "condition on an index": (
        "plate n in N {\n y[n] ~ normal(a if n == 0 else c * x[n - 1], sigma)\n}",
        "y",
        likelihood(np.concatenate([[A], C * X[:-1]])),
        {},
    ),
    "condition on a latent": ("z ~ normal(c if a > 0 else -c, 1)", "z", norm.logpdf(0, C), {"z": 0.0}),
    "nested conditions": (
        "plate n in N {\n y[n] ~ normal(x[n - 2] if n > 1 else (x[n - 1] if n > 0 else a), sigma)\n}",
        "y",
        likelihood(np.array([A, X[0], X[0], X[1]])),
        {},
    ),
    "condition that data decide": ("y ~ normal(x[7] if N > 9 else x[0], sigma)", "y", likelihood(X[0]), {}),
    "distribution that data decide": ("y ~ normal(a, sigma) if N < 9 else cauchy(a, 1)", "y", likelihood(A), {}),
    "def": (
        "def line(x, at) {\n slope = c0(x)\n return at + slope * x\n}\ndef c0(x) {\n return 2 * size(x)\n}\n"
        "y ~ normal(line(x, a), sigma)",
        "y",
        likelihood(A + 8 * X),
        {},
    ),
    "factor": ("factor f = -a * sum(x)", "f", -A * X.sum(), {}),
    "factor in a plate": ("plate n in N {\n factor f[n] = a * x[n]\n}", "f", A * X.sum(), {}),
    "factor that is read": ("factor f = a + c\nz ~ normal(f, 1)", "z", norm.logpdf(0, A + C), {"z": 0.0}),
    "logpdf": ("factor f = logpdf(normal(a, sigma), c)", "f", norm.logpdf(C, A, SIGMA), {}),
    "logpdf of a whole array": ("factor f = log_sum_exp(logpdf(normal(a, sigma), x))", "f",
                                logsumexp(norm.logpdf(X, A, SIGMA)), {}),
    "keywords": ("z ~ gamma(rate = 3, concentration = 2)", "z", gamma.logpdf(0.4, 2, scale=1 / 3), {"z": 0.4}),
    "other parameter": ("b ~ bernoulli(logits = a * x)", "b",
                        bernoulli.logpmf(DATA["b"], 1 / (1 + np.exp(-A * X))).sum(), {}),
    "counts": ("k ~ poisson(log_rate = a + c * x)", "k", poisson.logpmf(K, np.exp(A + C * X)).sum(), {}),
    "trials as data": ("k ~ binomial(g + 3, inv_logit(alpha[g]))", "k",
                       binom.logpmf(K, G + 3, 1 / (1 + np.exp(-ALPHA[G]))).sum(), {}),
    "running sums": ("y ~ normal(cumsum(alpha)[g], sigma)", "y", likelihood(np.cumsum(ALPHA)[G]), {}),
    "plate of a whole-array prior": ("lam ~ exponential(exp(alpha))", "lam",
                                     expon.logpdf([1, 2, 3], scale=np.exp(-ALPHA)).sum(), {"lam": np.arange(1.0, 4)}),
}  # fmt: skip


@pytest.mark.parametrize("case", DENSITIES)
def test_log_density(case):
    statements, term, expected, values = DENSITIES[case]
    np.testing.assert_allclose(log_density(statements, **values)[term], expected, rtol=1e-12)


# The text of the model ----------------------------------------------------------------------------------------

TEXTS = {
    "gather": (
        "plate n in N {\n y[n] ~ normal(alpha[g[n]], sigma)\n}",
        ["y {n}: real ~ normal(loc = alpha[g[n]], scale = sigma) = y[n]"],
    ),
    "transformed data are folded": ("z = x - mean(x)\ny ~ normal(z, 1)", [
        "y {N}: real ~ normal(loc = x[N] - mean(x), scale = 1) = y[N]",
    ]),
    "a guard leaves indices in range alone": (
        "plate n in N {\n y[n] ~ normal(x[n] if b[n] else a, sigma)\n}",
        ["y {n}: real ~ normal(loc = where(b[n], x[n], a), scale = sigma) = y[n]"],
    ),
    "deterministic": (
        "plate n in N {\n m[n] = a * x[n]\n y[n] ~ normal(m[n], 1)\n}",
        ["m {n} = a * x[n]", "y {n}: real ~ normal(loc = m[n], scale = 1) = y[n]"],
    ),
    "predict": (
        "predict {\n new ~ normal(a, sigma)\n plate n in N {\n  p[n] = a * x[n]\n }\n}",
        ["predict", "  new: real ~ normal(loc = a, scale = sigma)", "  p {n} = a * x[n]"],
    ),
    "a plate of one index over two ranges": (
        "plate n in N {\n u[n] ~ normal(0, 1)\n}\nplate n in 1:N {\n v[n] ~ normal(u[n - 1], 1)\n}",
        [
            "u {n}: real ~ normal(loc = 0, scale = 1)",
            "v {n in 1:N}: real ~ normal(loc = u[0:3][n in 1:N], scale = 1)",
        ],
    ),
    "flat": ("z ~ flat(lower=a)", ["z: greater_than ~ flat(lower = a)"]),
    "param": ("param p: real(lower=0)[J] = 2", ["param p: positive[3] = 2.0"]),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_text(case):
    statements, expected = TEXTS[case]
    assert tail(statements) == expected


# Parameters -------------------------------------------------------------------------------------------------

STARTS = {
    "real": ("real", 0.0),
    "real[2]": ("real[2]", [0.0, 0.0]),
    "positive": ("real(lower=0)", 1.0),
    "interval": ("real(lower=2, upper=4)", 3.0),
    "simplex": ("simplex(4)", [0.25, 0.25, 0.25, 0.25]),
    "simplexes": ("simplex(2)[3]", [[0.5, 0.5]] * 3),
    "written": ("real(lower=0)[2] = [2, 3]", [2.0, 3.0]),
}


@pytest.mark.parametrize("case", STARTS)
def test_a_parameter_starts_as_written_or_in_the_middle(case):
    kind, expected = STARTS[case]
    (param,) = parse(f"param p: {kind}\nz ~ normal(0, 1)\n").bind({}).model.params
    np.testing.assert_allclose(param.initial, expected)
    assert param.shape == np.shape(expected)


# Errors -----------------------------------------------------------------------------------------------------


def codes(text, data, call="bind"):
    with pytest.raises((ModelError, DataError)) as caught:
        getattr(parse(text, "m.ppl"), call)(data)
    return [(record.code, record.span.text) for record in caught.value.diagnostics]


def test_every_wrong_statement_is_reported_and_what_reads_it_is_not():
    text = "a ~ normal(0)\nb ~ normal(a, 1)\nc = b + exp(1, 2)\nd ~ normal(c, [1, 2][2])\ne ~ normal(0, -1)\n"
    assert codes(text, {}) == [("E303", "normal(0)"), ("E305", "-1")]


def test_an_outcome_that_is_read_must_be_given():
    text = "data N: int\ndata y: real[N]\na ~ normal(0, 1)\nm = mean(y)\ny ~ normal(a, 1)\nz ~ normal(m, 1)\n"
    assert codes(text, {"N": 3}, "bind_without_outcomes") == [("E511", "y"), ("E511", "m")]


def test_a_series_is_not_drawn_from_its_own_observed_past():
    text = "data T: int\ndata y: real[T]\na ~ normal(0, 1)\nscan t in 1:T {\n  y[t] ~ normal(a * y[t - 1], 1)\n}\n"
    assert codes(text, {"T": 3}, "bind_without_outcomes") == [("E801", "scan t in 1:T")]
    assert parse(text).bind_without_outcomes({"y": [1, 2, 3]}).model.observed[0].shape == (2,)


def test_outcomes_that_are_absent_are_latent():
    text = "data N: int\ndata x, y: real[N]\na ~ normal(0, 1)\ny ~ normal(a * x, 1)\n"
    model = parse(text).bind_without_outcomes({"x": [1, 2, 3]}).model
    assert [(site.name, site.shape) for site in model.latents] == [("a", ()), ("y", (3,))]
