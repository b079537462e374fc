"""Expected log likelihoods over linear predictors: the averages of the untouched log density, without draws."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ppl
from ppl.backends import get_backend
from ppl.compiler.programs import blocks
from ppl.guides import Noise, derive_guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.stochastic.batches import step_plan
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.numeric import NUMPY
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

ROWS, DRAWS = 60, 10_000
GUIDES = ("mean_field", "full_rank", "low_rank")
LATENTS = """
mu ~ normal(0, 1)
sigma ~ half_normal(1)
a[i in 7] ~ normal(mu, sigma)
b[d in 3] ~ normal(0, 1)
@noncentered
c[i in 7] ~ normal(mu, sigma)
"""
DATA = {
    "x": "real[N]", "y": "real[N]", "g": "index(7)[N]", "h": "index(7)[N]", "z": "bool[N]", "k": "int(lower=0)[N]",
    "n": "int(lower=0)[N]", "p": "real(lower=0)[N]", "X": "real[N, 3]", "o": "int(lower=0, upper=2)[N]",
}  # fmt: skip


def made_up(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    k = rng.poisson(3, rows)
    g = rng.integers(0, 7, rows)
    return {
        "x": rng.normal(size=rows), "y": rng.normal(size=rows), "g": g, "h": (g + rng.integers(0, 3, rows)) % 7,
        "z": rng.integers(0, 2, rows), "k": k, "n": k + rng.integers(0, 5, rows), "p": rng.gamma(2.0, 1.0, rows),
        "X": rng.normal(size=(rows, 3)), "o": rng.integers(0, 3, rows),
    }  # fmt: skip


def bound(line, declared, rows=ROWS, extra=""):
    data = {"N": rows, **{name: made_up(rows)[name] for name in declared}}
    heads = "".join(f"data {name}: {DATA[name]}\n" for name in declared)
    return ppl.parse(f"data N: int\n{heads}{LATENTS}{extra}{line}\n").bind(data)


def somewhere(guide, spread=0.4, seed=1):
    """Parameters of a guide with correlations."""
    rng = np.random.default_rng(seed)
    size = guide.layout.size
    shape = np.linalg.cholesky(np.cov(rng.standard_normal((size, 3 * size))) + 0.1 * np.eye(size))
    return guide.parameters.pack({GAUSSIAN: guide.vector.near(0.3 * rng.standard_normal(size), spread * shape)})


def paired_noise(guide, draws, seed=2):
    half = np.random.default_rng(seed).standard_normal((draws // 2, guide.vector.noise_size(guide.layout.size)))
    return Noise(np.concatenate([half, -half]))


def check(plan, data, guide, name, draws=DRAWS, spread=0.4):
    """The expectation of a term against its mean over draws of the untouched density: 5 standard errors of pairs."""
    executor = Executor(replace(plan, collapses={}), data, NUMPY)
    parameters, noise = somewhere(guide, spread), paired_noise(guide, draws)
    with np.errstate(all="ignore"):
        plain = executor.trace(replace(guide, plan=executor.plan), parameters, noise)
        found = Executor(plan, data, NUMPY).trace(guide, parameters, noise, closed=True).records[name]
    assert found.over == guide.predicted[name].over
    one, other = np.split(np.broadcast_to(plain.records[name].log_p, (draws,)), 2)
    off = np.broadcast_to(found.log_p, (draws,))
    difference = 0.5 * (one + other) - 0.5 * (off[: draws // 2] + off[draws // 2 :])
    error = difference.std() / np.sqrt(len(difference))
    assert abs(difference.mean()) < 5.0 * error + 1e-9 * abs(off.mean())


@pytest.mark.parametrize("note", ["", '@fullrank("one")\n'])
@pytest.mark.parametrize("guide", GUIDES)
def test_diagonal_and_columns_make_the_covariance(guide, note):
    if note and guide != "mean_field":
        return
    text = f"{note}p ~ normal(0, 1)\nq ~ normal(0, 1)\n{note}r ~ normal(0, 1)\nfactor f = -p * q * r\n"
    family = derive_guide(ppl.parse(text).bind({}).plan(), guide).vector
    parameters = np.random.default_rng(0).normal(size=family.size(3))
    variance, columns = family.spread(np, parameters)
    found = np.diag(np.zeros(3) if variance is None else variance) + (0.0 if columns is None else columns.T @ columns)
    np.testing.assert_allclose(found, family.moments(parameters)[1], rtol=1e-12, atol=1e-14)


CASES = [
    ("z ~ bernoulli(logits = mu + X @ b)", "zX", 20),
    ("z ~ bernoulli(logits = mu + b[0] * x - b[1] * x * x + a[g])", "zxg", 20),
    ("z ~ bernoulli(logits = a[g] - a[h])", "zgh", 20),
    ("z ~ bernoulli(logits = c[g] - (mu + x * b[2]) / 3)", "zgx", 20),
    ("z ~ bernoulli(normal_cdf(0.3 * X @ b))", "zX", 20),
    ("z ~ bernoulli(expit(2 * X @ b))", "zX", 20),
    ("eta = mu + X @ b\nz ~ bernoulli(logits = eta)", "zX", 20),
    ("k ~ binomial(n, logits = mu + x * b[0])", "knx", 20),
    ("k ~ poisson(log_rate = X @ b)", "kX", 1),
    ("k ~ poisson(exp(mu - 0.5 * x * b[0]))", "kx", 1),
    ("k ~ poisson(p * exp(X @ b) / 2)", "kpX", 1),
    ("p ~ exponential(exp(-(X @ b)))", "pX", 1),
    ("p ~ gamma(2, 3 / exp(X @ b))", "pX", 1),
    ("p ~ gamma(sigma, sigma / exp(a[g] + mu))", "pg", 1),
    ("p ~ lognormal(X @ b, 0.5 + x * x)", "pXx", 2),
    ("y ~ normal(a[g] + X @ b, 0.5 + x * x + sigma)", "ygXx", 2),
    ("y ~ student_t(4, mu + X @ b, 2)", "yX", 20),
    ("y ~ student_t(4, mu + X @ b, 0.5 + sigma)", "yX", 20),
    ("k ~ negative_binomial(exp(mu + X @ b), 1 + sigma)", "kX", 20),
    ("k ~ negative_binomial(log_mean = mu + X @ b, concentration = 2)", "kX", 20),
    ("o ~ ordered_logistic(X @ b, [-1, 1.5])", "oX", 20),
    ("p ~ weibull(exp(X @ b), 2)", "pX", 20),
    ("y ~ normal(X @ b, exp(mu * x))", "yXx", 2),
]


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_expectations_are_the_means_over_draws(case, guide):
    line, declared, nodes = case
    model = bound(line, declared)
    name = line.split("\n")[-1][0]
    plan = replace(model.plan(), collapses={})
    derived = derive_guide(plan, guide)
    if any(unknown in line for unknown in ("sigma", "c[g]", "mu * x")) and guide != "mean_field":
        assert name not in derived.predicted  # the predictor is not independent of other unknowns
        return
    assert derived.predicted[name].nodes == nodes
    check(plan, model.data, derived, name, draws=2000 if "sigma" in line or "c[g]" in line else DRAWS)


@pytest.mark.parametrize(("line", "declared"), [
    ("z ~ bernoulli(logits = a[g])", "zg"),
    ("k ~ poisson(log_rate = a[g])", "kg"),
    ("k ~ binomial(n, logits = a[g] + mu)", "kng"),
    ("k ~ negative_binomial(log_mean = a[g], concentration = 2)", "kg"),
])  # fmt: skip
@pytest.mark.parametrize("guide", GUIDES)
def test_collapsed_likelihoods_too(line, declared, guide):
    model = bound(line, declared, rows=2000)
    plan = model.plan()
    derived = derive_guide(plan, guide)
    name = line[0]
    assert name in plan.collapses
    check(plan, model.data, derived, name, draws=1000)


REFUSED = [
    ("y ~ laplace(X @ b, 1)", "yX"),  # a corner
    ("k ~ poisson(3 + x * b[0])", "kx"),  # may be negative
    ("z ~ bernoulli(logits = b[0] * b[1])", "z"),  # not affine
    ("y ~ normal(x * b[0], exp(b[0]))", "yx"),  # read twice
    ("z ~ bernoulli(logits = a[0] * x + sum(a))", "zx"),  # elements are not told apart
    ("z ~ bernoulli(mean([expit(a[i]) for i in 7]))", "z"),  # many numbers a row
]


@pytest.mark.parametrize(("line", "declared"), REFUSED)
def test_what_is_no_single_smooth_predictor_keeps_its_draws(line, declared):
    model = bound(line, declared)
    plan = replace(model.plan(), collapses={})
    assert line[0] not in derive_guide(plan, "mean_field").predicted


def test_correlated_unknowns_beside_the_predictor_keep_their_draws():
    model = bound("k ~ negative_binomial(exp(X @ b), 1 + sigma)", "kX")
    assert "k" in derive_guide(model.plan(), "mean_field").predicted
    assert "k" not in derive_guide(model.plan(), "full_rank").predicted


TERMS = {"mu": "", "b[0] * x": "x", "X @ b": "X", "a[g]": "g", "c[h]": "h", "(a[g] - a[h]) / 2": "gh",
         "x * (mu + b[1])": "x", "e[g]": "g", "a[3]": "", "x": "x"}  # fmt: skip
DENSITIES = (
    ("z ~ bernoulli(logits = {eta})", "z"), ("k ~ poisson(log_rate = {eta})", "k"), ("y ~ normal({eta}, 2)", "y"),
    ("k ~ binomial(n, expit({eta}))", "kn"), ("p ~ gamma(2, exp({eta}))", "p"), ("y ~ student_t(5, {eta}, 3)", "y"),
)  # fmt: skip


def test_standardised_unknowns_beside_the_predictor_keep_their_draws():
    for scale, found in (("exp(c[g])", False), ("exp(a[g])", True)):
        model = bound(f"y ~ normal(2 + X @ b, {scale})", "yXg")
        plan = replace(model.plan(), collapses={})
        derived = derive_guide(plan, "mean_field")
        assert ("y" in derived.predicted) == found
        if found:
            assert derived.predicted["y"].over == {"b"}
            check(plan, model.data, derived, "y", draws=4000, spread=0.2)


def test_a_latent_for_each_of_many_rows(monkeypatch):
    monkeypatch.setattr(blocks, "LEAST", 50)
    model = ppl.parse("data k: int(lower=0)[60]\nt[n in 60] ~ normal(0, 1)\nk ~ poisson(exp(t))\n")
    plan = replace(model.bind({"k": made_up()["k"]}).plan(), collapses={})
    derived = derive_guide(plan, "mean_field")
    check(plan, {"k": made_up()["k"]}, derived, "k")


def test_unknowns_that_move_with_the_predictor_keep_their_draws():
    """The value of a non-centred site is computed from its location."""
    extra = "{note}r ~ lognormal(mu, 1)\n"
    for note, found in (("", True), ("@noncentered\n", False)):
        model = bound("y ~ normal(mu + x * b[0], r)", "yx", extra=extra.format(note=note))
        plan = replace(model.plan(), collapses={})
        assert ("y" in derive_guide(plan, "mean_field").predicted) == found


@pytest.mark.parametrize("guide", GUIDES)
def test_a_row_that_takes_away_what_it_reads_is_certain(guide):
    """All that a row with g and h equal to 3 reads cancels; rounding leaves a variance a little below 0."""
    model = bound("z ~ bernoulli(logits = 0.2 + 0.3 * a[3] - 0.1 * a[g] - 0.2 * a[h])", "zgh")
    plan = replace(model.plan(), collapses={})
    check(plan, model.data, derive_guide(plan, guide), "z", draws=4000, spread=0.15)
    chosen, derived = objective(plan, model.data, guide)
    value, slope = chosen.value_and_grad(somewhere(derived), paired_noise(derived, 4))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(TERMS)), st.sampled_from(("+", "-"))), min_size=1, max_size=4),
    st.sampled_from(DENSITIES),
    st.sampled_from(GUIDES),
)
def test_random_predictors(terms, density, guide):
    """`e` is a group effect that is written out: a lookup of a sum of products."""
    line, declared = density
    eta = "0.1 " + " ".join(f"{sign} {term}" for term, sign in terms)
    extra = "plate i in 7 { e[i] = mu + 0.5 * c[i] }\n"
    declared += "".join(sorted(set("".join(TERMS[term] for term, _ in terms))))
    model = bound(line.format(eta=f"({eta})"), declared, extra=extra)
    plan = model.plan()
    derived = derive_guide(replace(plan, collapses={}), guide)
    assume(line[0] in derived.predicted)
    check(derived.plan, model.data, derived, line[0], draws=4000, spread=0.15)


LOGISTIC = """
data N: int
data X: real[N, 3]
data z: bool[N]
mu ~ normal(0, 5)
b[d in 3] ~ normal(0, 5)
{note}
plate n in N {{ z[n] ~ bernoulli(logits = mu + X[n] @ b) }}
"""


def objective(plan, data, guide="mean_field", name="elbo"):
    derived = derive_guide(plan, guide)
    backend = get_backend()
    return StochasticObjective(Executor(plan, data, backend.xp), derived, backend, OBJECTIVES[name].make()), derived


def logistic(rows, note=""):
    data = {"N": rows, **{name: made_up(rows)[name] for name in ("X", "z")}}
    return ppl.parse(LOGISTIC.format(note=note)).bind(data)


@pytest.mark.parametrize("guide", GUIDES)
def test_no_noise_is_left_and_the_gradient_is_that_of_the_value(guide):
    model = logistic(ROWS)
    chosen, derived = objective(model.plan(), model.data, guide)
    assert chosen.noiseless
    parameters = somewhere(derived)
    value, gradient = chosen.value_and_grad(parameters, paired_noise(derived, 2, seed=5))
    again = chosen.value_and_grad(parameters, paired_noise(derived, 10, seed=6))
    np.testing.assert_allclose(again[0], value, rtol=1e-13)
    np.testing.assert_allclose(again[1], gradient, rtol=1e-9, atol=1e-11)
    steps = 1e-5 * np.eye(len(parameters))
    noise = paired_noise(derived, 2)
    slopes = [
        (chosen.value_and_grad(parameters + s, noise)[0] - chosen.value_and_grad(parameters - s, noise)[0]) / 2e-5
        for s in steps
    ]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-6)


def test_a_row_of_zeros_has_a_finite_gradient():
    data = {"N": 2, "X": np.zeros((2, 3)), "z": [0, 1]}
    model = ppl.parse(LOGISTIC.format(note="").replace("mu + ", "")).bind(data)
    chosen, derived = objective(model.plan(), model.data)
    assert "z" in derived.predicted
    assert np.isfinite(chosen.value_and_grad(somewhere(derived), paired_noise(derived, 2))[1]).all()


@pytest.mark.parametrize("guide", GUIDES)
@pytest.mark.parametrize(("line", "declared"), [
    ("z ~ bernoulli(logits = mu + X @ b)", "zX"), ("k ~ poisson(p * exp(X @ b))", "kpX"),
])  # fmt: skip
def test_blocks_of_rows_add_up(monkeypatch, guide, line, declared):
    model = bound(line, declared, rows=9000)
    plan = replace(model.plan(), collapses={})
    found = []
    for least in (10**9, 9000):
        monkeypatch.setattr(blocks, "LEAST", least)
        derived = derive_guide(plan, guide)
        trace = Executor(plan, model.data, NUMPY).trace(
            derived, somewhere(derived), paired_noise(derived, 2), closed=True
        )
        found.append(float(trace.records[line[0]].log_p[0]))
    assert found[1] == pytest.approx(found[0], rel=1e-12)


def test_parts_of_the_rows_have_the_mean_of_all():
    """Minibatches that go once through the rows average to the objective of all of them, which has more nodes."""
    whole, parts = logistic(ROWS), logistic(ROWS, note="@minibatch(12)")
    plan = step_plan(parts.plan())
    chosen, derived = objective(plan, parts.data)
    assert chosen.noiseless
    every, _ = objective(whole.plan(), whole.data)
    parameters, normal = somewhere(derived, spread=0.1), paired_noise(derived, 2).normal
    (batch,) = plan.model.batches
    positions = np.random.default_rng(0).permutation(ROWS).reshape(-1, 12)
    gradients = [chosen.value_and_grad(parameters, Noise(normal, {}, {batch.name: part}))[1] for part in positions]
    exact = every.value_and_grad(parameters, Noise(normal))[1]
    assert derived.predicted["z"].nodes == 10
    np.testing.assert_allclose(np.mean(gradients, axis=0), exact, rtol=1e-8, atol=1e-8)


def test_a_fit_that_needs_no_draws_is_one_of_lbfgs():
    model = ppl.parse(LOGISTIC.format(note=""))
    data = {"N": 300, **{name: made_up(300)[name] for name in ("X", "z")}}
    full = model.fit(data, guide="full_rank", method="stochastic", progress=False)
    best = model.fit(data, progress=False)
    assert full.run.method == "lbfgs"
    assert full.run.converged
    assert full.run.steps < 200
    np.testing.assert_allclose(full.mean("b"), best.mean("b"), atol=0.1 * best.sd("b").max())
    np.testing.assert_allclose(full.sd("b"), best.sd("b"), rtol=0.08)
    steps = model.fit(data, guide="mean_field", method="adam", steps=200, progress=False)
    assert steps.run.method == "adam"


def test_what_quasi_newton_cannot_search_is_left_to_steps():
    """Closed terms alone, but draws that depend on the parameters."""
    text = '@guide("gamma")\nx ~ gamma(2, 1)\nb ~ normal(0, 1)\n'
    fit = ppl.parse(text).fit({}, method="stochastic", guide="mean_field", progress=False, gradient_draws=4)
    assert fit.run.method == "adam"
    assert fit.mean("x") == pytest.approx(2.0, rel=0.1)


def test_counts_of_large_covariates_start_narrow_enough():
    """exp(m + s^2 / 2) is beyond all numbers at the width that a start usually has."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200) * 2000
    heads = "data x: real[200]\ndata k: int(lower=0)[200]\n"
    text = f"{heads}a ~ normal(0, 5)\nb ~ normal(0, 1)\nk ~ poisson(log_rate = a + b * x)\n"
    fit = ppl.parse(text).fit(
        {"x": x, "k": rng.poisson(np.exp(1 + 4e-4 * x))}, guide="mean_field", method="stochastic", progress=False
    )
    assert fit.run.converged
    assert fit.mean("b") == pytest.approx(4e-4, abs=5 * fit.sd("b"))


def test_explain_says_so():
    model = ppl.parse(LOGISTIC.format(note=""))
    data = {"N": 20, **{name: made_up(20)[name] for name in ("X", "z")}}
    said = model.explain(data, guide="mean_field")
    assert "expected log likelihoods without draws" in said
    assert "z over b, mu, by 20 nodes a row" in said
