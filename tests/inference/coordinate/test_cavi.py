"""Coordinate ascent against updates written out by hand, and what a fit by it says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln, digamma, gammaln, logsumexp

import ppl
from ppl.backends import get_backend
from ppl.compiler.conjugacy.sites import find_conjugacy
from ppl.errors import InferenceError
from ppl.inference.coordinate.ascent import CoordinateAscent, Family
from ppl.inference.coordinate.fit import CaviOptions, ascend
from ppl.inference.fit import run_fit
from ppl.inference.progress import Progress
from ppl.inference.result import InferenceResult

TIGHT = CaviOptions(tolerance=1e-13, starts=2)


def ascended(text: str, data: dict[str, Any], seed: int = 0) -> Family:
    """The family at its optimum."""
    bound = ppl.parse(text).bind(data)
    rng = np.random.default_rng(seed)
    ascent = CoordinateAscent(find_conjugacy(bound.plan()), bound.data, get_backend(), rng)
    with np.errstate(all="ignore"):
        found = ascend(ascent, rng, TIGHT, Progress(False))
    assert found.converged
    return found.family


def fitted(text: str, data: dict[str, Any], method: str = "cavi", **options: Any) -> InferenceResult:
    bound = ppl.parse(text).bind(data)
    return run_fit(bound.plan(), bound.data, method=method, options=options, progress=False)


def parameters(family: Family, name: str) -> list[np.ndarray]:
    return list(family.natural[name].parameters.values())


# Against the known updates: the optimum is a fixed point of each ------------------------------------------

MIXTURE = """
data N, K: int
data y: real[N]
w ~ dirichlet(rep(0.5, K))
mu[k in K] ~ normal(1, 5)
tau[k in K] ~ gamma(2, 1.5)
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ normal(mu[z[n]], 1 / sqrt(tau[z[n]]))
}
"""


def mixture_data() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {"N": 60, "K": 3, "y": np.concatenate([rng.normal(c, 0.7, 20) for c in (-4, 0, 5)])}


def test_a_gaussian_mixture_is_at_a_fixed_point_of_its_known_updates() -> None:
    data = mixture_data()
    family, y = ascended(MIXTURE, data), data["y"]
    (alpha,), (a, b) = parameters(family, "w"), parameters(family, "tau")
    m, v = family.blocks[0].mean, family.blocks[0].sd ** 2
    log_rho = digamma(alpha) - digamma(alpha.sum()) + 0.5 * (digamma(a) - np.log(b))
    log_rho = log_rho - 0.5 * (a / b) * ((y[:, None] - m) ** 2 + v)
    r = np.exp(log_rho - logsumexp(log_rho, axis=1)[:, None])
    count, total = r.sum(axis=0), r.T @ y
    precision = 1 / 25 + a / b * count
    np.testing.assert_allclose(alpha, 0.5 + count, rtol=1e-5)
    np.testing.assert_allclose(v, 1 / precision, rtol=1e-5)
    np.testing.assert_allclose(m, (1 / 25 + a / b * total) / precision, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(a, 2 + 0.5 * count, rtol=1e-5)
    np.testing.assert_allclose(b, 1.5 + 0.5 * np.sum(r * ((y[:, None] - m) ** 2 + v), axis=0), rtol=1e-5)


CLUSTERS = """
data N, K: int
data y: real[N, 2]
w ~ dirichlet(rep(0.5, K))
plate k in K {
  precision[k] ~ wishart(5, eye(2) / 2)
  centre[k] ~ multi_normal(rep(0, 2), prec = 0.1 * precision[k])
}
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ multi_normal(centre[z[n]], prec = precision[z[n]])
}
"""


def test_a_mixture_with_full_covariances_is_at_a_fixed_point_of_its_known_updates() -> None:
    """Bishop 2006, section 10.2, with centres and precisions apart."""
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=(30, 2)) @ [[0.6, 0.4], [0.0, 0.5]] + c for c in ([-3, 0], [2, 3])])
    family = ascended(CLUSTERS, {"N": 60, "K": 2, "y": y})
    (alpha,), (df, scale) = parameters(family, "w"), parameters(family, "precision")
    block = family.blocks[0]
    mean, apart = block.mean.reshape(2, 2), (block.points - block.mean).reshape(-1, 2, 2)
    cov = np.einsum("pki,pkj->kij", apart, apart) / len(apart)
    expected = df[:, None, None] * scale
    log_det = digamma((df[:, None] - np.arange(2)) / 2).sum(axis=1) + 2 * np.log(2) + np.linalg.slogdet(scale)[1]
    away = y[:, None] - mean
    square = np.einsum("nki,kij,nkj->nk", away, expected, away) + np.einsum("kij,kji->k", expected, cov)
    log_rho = digamma(alpha) - digamma(alpha.sum()) + 0.5 * (log_det - square)
    r = np.exp(log_rho - logsumexp(log_rho, axis=1)[:, None])
    count = r.sum(axis=0)
    np.testing.assert_allclose(alpha, 0.5 + count, rtol=1e-5)
    np.testing.assert_allclose(df, 5 + count + 1, rtol=1e-5)
    inner = np.einsum("nk,nki,nkj->kij", r, away, away) + count[:, None, None] * cov
    prior = 2 * np.eye(2) + 0.1 * (mean[:, :, None] * mean[:, None] + cov)
    np.testing.assert_allclose(np.linalg.inv(scale), prior + inner, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.linalg.inv(cov), (0.1 + count)[:, None, None] * expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean, r.T @ y / (0.1 + count)[:, None], rtol=1e-5)


TOPICS = """
data V, M, K, N: int
data doc: index(M)[N]
data word: index(V)[N]
theta[m in M] ~ dirichlet(rep(0.5, K))
phi[k in K]   ~ dirichlet(rep(0.1, V))
@minibatch(100)
plate n in N {
  z[n]    ~ categorical(theta[doc[n]])
  word[n] ~ categorical(phi[z[n]])
}
"""


def topics_data(tokens: int = 300) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    phi, theta = rng.dirichlet(np.full(9, 0.2), 3), rng.dirichlet(np.full(3, 0.3), 12)
    doc = rng.integers(0, 12, tokens)
    word = np.array([rng.choice(9, p=theta[d] @ phi) for d in doc])
    return {"V": 9, "M": 12, "K": 3, "N": tokens, "doc": doc, "word": word}


def topic_weights(family: Family, data: dict[str, Any]) -> np.ndarray:
    """The weights of the topics of each token: (tokens, topics)."""
    (theta,), (phi,) = parameters(family, "theta"), parameters(family, "phi")
    log_theta = digamma(theta) - digamma(theta.sum(axis=1, keepdims=True))
    log_phi = digamma(phi) - digamma(phi.sum(axis=1, keepdims=True))
    log_r = log_theta[data["doc"]] + log_phi[:, data["word"]].T
    return np.exp(log_r - logsumexp(log_r, axis=1)[:, None])


def test_latent_dirichlet_allocation_is_at_a_fixed_point_of_its_known_updates() -> None:
    data = topics_data()
    family = ascended(TOPICS.replace("@minibatch(100)\n", ""), data)
    r = topic_weights(family, data)
    theta, phi = np.full((12, 3), 0.5), np.full((9, 3), 0.1)
    np.add.at(theta, data["doc"], r)
    np.add.at(phi, data["word"], r)
    np.testing.assert_allclose(parameters(family, "theta")[0], theta, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(parameters(family, "phi")[0], phi.T, rtol=1e-4, atol=1e-4)


HIERARCHY = """
data N, J: int
data group: index(J)[N]
data y: real[N]
mu ~ normal(0, 10)
lambda ~ gamma(1.5, 1)
tau ~ gamma(1, 0.5)
theta[j in J] ~ normal(mu, 1 / sqrt(lambda))
plate n in N { y[n] ~ normal(theta[group[n]], 1 / sqrt(tau)) }
"""


def hierarchy_data() -> dict[str, Any]:
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(6), 5)
    return {"N": 30, "J": 6, "group": group, "y": rng.normal(2, 1.5, 6)[group] + 0.6 * rng.standard_normal(30)}


def test_a_hierarchy_with_gamma_precisions_is_at_a_fixed_point_of_its_known_updates() -> None:
    """The means of the groups and their own mean are one joint normal, dense here."""
    data = hierarchy_data()
    family, y, design = ascended(HIERARCHY, data), data["y"], np.eye(6)[data["group"]]
    (a, b), (c, d) = parameters(family, "lambda"), parameters(family, "tau")
    between, within = a / b, c / d
    contrast = np.hstack([-np.ones((6, 1)), np.eye(6)])
    rows = np.hstack([np.zeros((30, 1)), design])
    precision = between * contrast.T @ contrast + within * rows.T @ rows
    precision[0, 0] += 1 / 100
    covariance = np.linalg.inv(precision)
    mean = covariance @ (within * rows.T @ y)
    (block,) = family.blocks
    assert block.coordinates.names == ("mu", "theta")
    np.testing.assert_allclose(block.mean, mean, rtol=1e-6)
    np.testing.assert_allclose(block.sd, np.sqrt(np.diag(covariance)), rtol=1e-6)
    spread = np.sum((contrast @ mean) ** 2) + np.trace(contrast @ covariance @ contrast.T)
    error = np.sum((y - rows @ mean) ** 2) + np.trace(rows @ covariance @ rows.T)
    np.testing.assert_allclose([a, b], [1.5 + 3, 1 + 0.5 * spread], rtol=1e-6)
    np.testing.assert_allclose([c, d], [1 + 15, 0.5 + 0.5 * error], rtol=1e-6)


CHAIN = """
data T: int
data y: real[T]
A[k in 2] ~ dirichlet([3.0, 1.0])
mu[k in 2] ~ normal(0, 5)
scan t in T {
  z[t] ~ categorical([0.5, 0.5] if t == 0 else A[z[t - 1]])
  y[t] ~ normal(mu[z[t]], 0.8)
}
"""


def test_a_hidden_markov_model_is_at_a_fixed_point_of_its_known_updates() -> None:
    rng = np.random.default_rng(3)
    z = np.repeat([0, 1, 0, 1], 10)
    data = {"T": 40, "y": np.array([-1.0, 1.5])[z] + 0.8 * rng.standard_normal(40)}
    family, y = ascended(CHAIN, data), data["y"]
    (rows,) = parameters(family, "A")
    (block,) = family.blocks
    transition = np.exp(digamma(rows) - digamma(rows.sum(axis=1, keepdims=True)))
    emission = np.exp(-0.5 * ((y[:, None] - block.mean) ** 2 + block.sd**2) / 0.64)
    forward, backward = np.zeros((40, 2)), np.ones((40, 2))
    forward[0] = 0.5 * emission[0]
    for t in range(1, 40):
        forward[t] = forward[t - 1] @ transition * emission[t]
        forward[t] /= forward[t].sum()
    for t in range(38, -1, -1):
        backward[t] = transition @ (emission[t + 1] * backward[t + 1])
        backward[t] /= backward[t].sum()
    state = forward * backward
    state /= state.sum(axis=1, keepdims=True)
    pairs = forward[:-1, :, None] * transition * (emission[1:] * backward[1:])[:, None, :]
    pairs /= pairs.sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(rows, np.array([3.0, 1.0]) + pairs.sum(axis=0), rtol=1e-5)
    precision = 1 / 25 + state.sum(axis=0) / 0.64
    np.testing.assert_allclose(block.mean, state.T @ y / 0.64 / precision, rtol=1e-5)
    np.testing.assert_allclose(block.sd, precision**-0.5, rtol=1e-5)


# Exact where one factor is conjugate ----------------------------------------------------------------------

REGRESSION = """
data N, D: int
data X: real[N, D]
data y: real[N]
v ~ inverse_gamma(2, 3)
beta[d in D] ~ normal(0, 3 * sqrt(v))
y ~ normal(X @ beta, sqrt(v))
"""


def regression_data() -> dict[str, Any]:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((25, 3))
    return {"N": 25, "D": 3, "X": x, "y": x @ [1.0, -2.0, 0.5] + 0.7 * rng.standard_normal(25)}


def test_regression_with_unknown_scale_and_its_conjugate_prior_is_exact() -> None:
    data = regression_data()
    x, y = data["X"], data["y"]
    precision = np.eye(3) / 9 + x.T @ x
    mean = np.linalg.solve(precision, x.T @ y)
    shape, scale = 2 + 12.5, 3 + 0.5 * (y @ y - mean @ precision @ mean)
    evidence = -12.5 * np.log(2 * np.pi) + 0.5 * (np.linalg.slogdet(np.eye(3) / 9)[1] - np.linalg.slogdet(precision)[1])
    evidence += 2 * np.log(3) - gammaln(2) - shape * np.log(scale) + gammaln(shape)
    family = ascended(REGRESSION, data)
    np.testing.assert_allclose(family.blocks[0].mean, mean, rtol=1e-8)
    np.testing.assert_allclose(np.array(parameters(family, "v")), [shape, scale], rtol=1e-8)
    fit = fitted(REGRESSION, data)
    assert fit.log_evidence == pytest.approx(evidence, abs=1e-7)
    assert np.ptp(fit.history[-1] - evidence) < 1e-7
    assert fit.verdict.level == "trusted"
    assert "exact" in " ".join(fit.notes)
    sd = np.sqrt(np.diag(np.linalg.inv(precision)) * scale / (shape - 1))
    np.testing.assert_allclose(fit.values["beta"].std(axis=0), sd, rtol=0.06)


def test_regression_with_an_independent_prior_is_at_a_fixed_point_of_its_known_updates() -> None:
    text = REGRESSION.replace("3 * sqrt(v)", "3")
    data = regression_data()
    x, y = data["X"], data["y"]
    family = ascended(text, data)
    shape, scale = parameters(family, "v")
    precision = np.eye(3) / 9 + shape / scale * x.T @ x
    mean = np.linalg.solve(precision, shape / scale * x.T @ y)
    error = np.sum((y - x @ mean) ** 2) + np.trace(x @ np.linalg.inv(precision) @ x.T)
    np.testing.assert_allclose(family.blocks[0].mean, mean, rtol=1e-6)
    np.testing.assert_allclose([shape, scale], [2 + 12.5, 3 + 0.5 * error], rtol=1e-6)


def test_counts_with_a_beta_prior_are_exact() -> None:
    text = "data y: int\np ~ beta(2, 3)\ny ~ binomial(12, p)"
    fit = fitted(text, {"y": 7})
    choices = gammaln(13) - gammaln(8) - gammaln(6)
    assert fit.log_evidence == pytest.approx(choices + betaln(9, 8) - betaln(2, 3), abs=1e-9)
    assert fit.values["p"].mean() == pytest.approx(9 / 17, abs=0.01)


def test_several_scales_are_each_integrated_with_their_own_means() -> None:
    """A normal-gamma prior for each of several groups: exact, one evidence for each."""
    text = """
    data N, K: int
    data y: real[K, N]
    tau[k in K] ~ gamma(2, 1)
    mu[k in K] ~ normal(0, 2 / sqrt(tau[k]))
    plate k in K { plate n in N { y[k, n] ~ normal(mu[k], 1 / sqrt(tau[k])) } }
    """
    y = np.random.default_rng(5).normal([[0.0], [3.0], [-1.0]], [[0.3], [1.0], [2.0]], (3, 8))
    precision = 0.25 + 8
    mean, shape = y.sum(axis=1) / precision, 2 + 4
    rate = 1 + 0.5 * (np.sum(y**2, axis=1) - precision * mean**2)
    evidence = (
        -4 * np.log(2 * np.pi) + 0.5 * np.log(0.25 / precision) + gammaln(shape) - gammaln(2) - shape * np.log(rate)
    )
    fit = fitted(text, {"N": 8, "K": 3, "y": y})
    assert fit.log_evidence == pytest.approx(evidence.sum(), abs=1e-8)


# The ELBO never falls -------------------------------------------------------------------------------------

PRIORS = {
    "scale": ("t ~ gamma(2, 1)", "1 / sqrt(t)"), "variance": ("t ~ inverse_gamma(3, 2)", "sqrt(t)"),
    "scales": ("t[g in 2] ~ gamma(2, 1)", "1 / sqrt(t[n % 2])"), "known": ("t ~ gamma(1, 1)", "0.7"),
    "no closed form": ("t ~ lognormal(0, 1)", "t"),
}  # fmt: skip
MEANS = {
    "mean": ("b ~ normal(0, 3)", "b"),
    "slopes": ("b[k in 2] ~ normal(0, 3)", "b[0] + b[1] * n"),
    "groups": ("m ~ normal(0, 2)\nb[g in 2] ~ normal(m, 1)", "b[n % 2]"),
    "product": ("b ~ normal(0, 1)\nc[g in 2] ~ normal(0, 1)", "b * c[n % 2]"),
    "states": ("w ~ dirichlet([1.0, 2.0])\nb[k in 2] ~ normal(0, 3)\nz[n in 8] ~ categorical(w)", "b[z[n]]"),
}


@settings(max_examples=25)
@given(st.sampled_from(sorted(PRIORS)), st.sampled_from(sorted(MEANS)), st.integers(0, 1000))
def test_the_elbo_never_falls(scale: str, mean: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (prior, sd), (means, loc) = PRIORS[scale], MEANS[mean]
    text = f"data y: real[8]\n{prior}\n{means}\nplate n in 8 {{ y[n] ~ normal({loc}, {sd}) }}"
    bound = ppl.parse(text).bind({"y": 3.0 * rng.standard_normal(8)})
    ascent = CoordinateAscent(find_conjugacy(bound.plan()), bound.data, get_backend(), rng)
    with np.errstate(all="ignore"):
        family, bounds = ascent.begin(rng, 1.0), []
        for _ in range(8):
            family, bound_now = ascent.sweep(family)
            bounds.append(bound_now)
        bounds.append(ascent.elbo(ascent.with_discrete(family)))
    assert np.all(np.isfinite(bounds))
    assert np.min(np.diff(bounds)) >= -1e-8 * (1.0 + abs(bounds[-1]))


# What a fit says ------------------------------------------------------------------------------------------


def test_a_mixture_is_fitted_with_its_states_and_said_to_be_so() -> None:
    fit = fitted(MIXTURE, mixture_data())
    assert sorted(np.round(fit.values["mu"].mean(axis=0))) == pytest.approx([-4, 0, 5], abs=1.0)
    assert fit.values["z"].shape == (len(fit.values["mu"]), 60)
    assert fit.plan.sites["tau"].reason.startswith("closed form: gamma")
    assert "summed out" in fit.plan.sites["z"].reason
    assert any("starts" in note for note in fit.notes)


def test_what_is_not_conjugate_takes_gradient_steps_and_says_why() -> None:
    text = "data y: real[12]\ns ~ half_cauchy(1)\nb ~ normal(0, 2)\ny[n in 12] ~ normal(b, s)"
    y = np.random.default_rng(6).normal(1.0, 0.5, 12)
    fit = fitted(text, {"y": y})
    assert "half_cauchy" in fit.plan.sites["s"].reason
    assert fit.values["b"].mean() == pytest.approx(y.mean(), abs=0.1)
    assert fit.values["s"].mean() == pytest.approx(y.std(), rel=0.4)


def test_factors_that_are_too_narrow_are_said_to_be_so() -> None:
    """Two products of unknowns: far from a product of independent factors."""
    text = "data y: real[20]\nu ~ normal(0, 3)\nv ~ normal(0, 3)\ny[n in 20] ~ normal(u * v, 1)"
    fit = fitted(text, {"y": np.random.default_rng(7).normal(2.0, 1.0, 20)})
    assert fit.verdict.level != "trusted"
    assert "independent" in str(fit.verdict)


def test_a_fit_can_be_explained_and_predicts() -> None:
    model = ppl.parse(REGRESSION)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = model.fit(regression_data(), method="cavi")
    assert "closed form: inverse_gamma; its scale is integrated with it" in fit.explain()
    assert fit.predict(draws=20)["y"].shape == (20, 25)


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("a ~ normal(0, 1)\ny ~ normal(a, 1)", {"guide": "full_rank"}, "has factors of its own"),
        ("param p: real\na ~ normal(0, 1)\ny ~ normal(a + p, 1)", {}, "learned as a point"),
        ("@score\na ~ bernoulli(0.4)\ny ~ normal(a, 1)", {}, "discrete and not summed out"),
        ('@guide("laplace")\na ~ normal(0, 1)\ny ~ normal(a, 1)', {}, "guide factor that was asked for"),
        ("a ~ normal(0, 1)\ny ~ normal(a, 1)", {"options": {"sweps": 3}}, "unknown option sweps"),
        ("a ~ normal(0, 1)\ny ~ normal(a, 1)", {"options": {"sweeps": 0}}, "sweeps is 0"),
        ("a ~ normal(0, 1)\ny ~ normal(a, 1)", {"method": "svi", "options": {"forgetting": 0.3}}, "forgetting is 0.3"),
        ("a ~ normal(0, 1)\ny ~ normal(a, 1)", {"method": "svi"}, "no plate of the data"),
        ("a ~ cauchy(0, 1)\nplate n in 5 { x[n] ~ normal(a, 1) }", {"method": "svi"}, "no closed-form update"),
    ],
)
def test_what_cannot_be_done_is_refused(text: str, arguments: dict[str, Any], said: str) -> None:
    data = {"y": 0.3, "x": np.zeros(5)}
    declared = {"y": "data y: real\n", "x": "data x: real[5]\n"}
    used = "x" if "x[n]" in text else "y"
    bound = ppl.parse(declared[used] + text).bind({used: data[used]})
    with pytest.raises(InferenceError, match=r"E70[34]") as caught:
        run_fit(bound.plan(), bound.data, **{"method": "cavi", "progress": False, **arguments})
    assert said in str(caught.value)


# In random parts ------------------------------------------------------------------------------------------


def test_topics_in_random_parts_come_near_those_of_all_the_data() -> None:
    """Every token's topic weights say how likely its word is: compare the perplexities."""
    data = topics_data(2000)
    whole = fitted(TOPICS.replace("@minibatch(100)\n", ""), data)
    parts = fitted(TOPICS, data, "svi", steps=300)
    found = [np.einsum("nk,nk->n", f.values["theta"].mean(axis=0)[data["doc"]],
                       f.values["phi"].mean(axis=0)[:, data["word"]].T) for f in (whole, parts)]  # fmt: skip
    perplexities = [np.exp(-np.mean(np.log(each))) for each in found]
    assert perplexities[1] == pytest.approx(perplexities[0], rel=0.05)
    assert perplexities[0] < 0.8 * 9


def test_local_topics_are_updated_within_a_step() -> None:
    """Documents in random parts, the local proportions of each found for the part at hand (Hoffman 2013)."""
    text = """
    data V, M, K, T: int
    data word: index(V)[M, T]
    phi[k in K] ~ dirichlet(rep(0.1, V))
    @minibatch(20)
    plate m in M {
      theta[m] ~ dirichlet(rep(0.5, K))
      plate t in T {
        z[m, t] ~ categorical(theta[m])
        word[m, t] ~ categorical(phi[z[m, t]])
      }
    }
    """
    rng = np.random.default_rng(8)
    phi = np.kron(np.eye(3), np.ones(4)) / 4
    theta = rng.dirichlet(np.full(3, 0.3), 120)
    word = np.array([[rng.choice(12, p=row @ phi) for _ in range(30)] for row in theta])
    fit = fitted(text, {"V": 12, "M": 120, "K": 3, "T": 30, "word": word}, "svi", steps=200)
    mass = fit.values["phi"].mean(axis=0).reshape(3, 3, 4).sum(axis=2)
    assert sorted(mass.argmax(axis=1)) == [0, 1, 2]
    assert mass.max(axis=1).min() > 0.9
    found = fit.values["theta"].mean(axis=0)[:, np.argsort(mass.argmax(axis=1))]
    assert np.abs(found - theta).mean() < 0.07


def test_a_mixture_in_random_parts_comes_near_that_of_all_the_data() -> None:
    rng = np.random.default_rng(9)
    data = {"N": 3000, "K": 3, "y": np.concatenate([rng.normal(c, 0.7, 1000) for c in (-4, 0, 5)])}
    parts = fitted(MIXTURE, data, "svi", steps=300, batch=200)
    whole = fitted(MIXTURE, data)
    order = [np.argsort(f.values["mu"].mean(axis=0)) for f in (parts, whole)]
    means = [f.values["mu"].mean(axis=0)[o] for f, o in zip((parts, whole), order, strict=True)]
    sds = [f.values["mu"].std(axis=0)[o] for f, o in zip((parts, whole), order, strict=True)]
    np.testing.assert_allclose(means[0], means[1], atol=3.0 * sds[1].max())
    np.testing.assert_allclose(sds[0], sds[1], rtol=0.15)


def test_what_is_all_discrete_is_exact() -> None:
    fit = fitted("data y: bool\na ~ bernoulli(0.3)\ny ~ bernoulli(0.8 if a else 0.1)", {"y": True})
    assert fit.method == "exact"
    assert fit.values["a"].mean() == pytest.approx(0.24 / 0.31, abs=0.03)


def test_a_block_that_is_too_large_is_refused() -> None:
    """A dense precision of more coordinates than its zeros are looked for."""
    text = "data y: real\nb[d in 1200] ~ normal(0, 1)\ny ~ normal(sum(b), 1)"
    with pytest.raises(InferenceError, match=r"E704.*too large for closed-form updates"):
        fitted(text, {"y": 1.0})


def test_columns_on_very_different_scales_are_no_trouble() -> None:
    """Exact, against the same regression on columns of unit size."""
    rng = np.random.default_rng(10)
    x = np.stack([np.ones(30), rng.uniform(0, 1, 30), rng.uniform(0, 1, 30)], axis=1)
    scale = np.array([1.0, 1e3, 1e9])
    y = x @ [1.0, -2.0, 3.0] + 0.3 * rng.standard_normal(30)
    text = """
    data N, D: int
    data X: real[N, D]
    data y: real[N]
    data s: real(lower=0)[D]
    v ~ inverse_gamma(2, 1)
    beta[d in D] ~ normal(0, s[d] * sqrt(v))
    y ~ normal(X @ beta, sqrt(v))
    """
    fits = [fitted(text, {"N": 30, "D": 3, "X": x * c, "y": y, "s": 5.0 / c}) for c in (np.ones(3), scale)]
    assert fits[1].log_evidence == pytest.approx(fits[0].log_evidence, abs=1e-5)
    np.testing.assert_allclose(
        fits[1].values["beta"].mean(axis=0) * scale, fits[0].values["beta"].mean(axis=0), rtol=0.02
    )


def test_the_elbo_of_a_mixture_with_scaled_means_never_falls() -> None:
    data = mixture_data()
    text = MIXTURE.replace("normal(1, 5)", "normal(1, 3 / sqrt(tau[k]))")
    lines = text.splitlines()
    mu, tau = (next(k for k, line in enumerate(lines) if line.startswith(name)) for name in ("mu", "tau"))
    lines[mu], lines[tau] = lines[tau], lines[mu]
    bound = ppl.parse("\n".join(lines)).bind(data)
    rng = np.random.default_rng(0)
    ascent = CoordinateAscent(find_conjugacy(bound.plan()), bound.data, get_backend(), rng)
    assert [pair.site for pair in ascent.scaled] == ["tau"]
    family, bounds = ascent.begin(rng, 0.5), []
    for _ in range(15):
        family, bound_now = ascent.sweep(family)
        bounds.append(bound_now)
    assert np.min(np.diff(bounds)) >= -1e-9 * abs(bounds[-1])


def test_the_updates_are_explained_before_a_fit() -> None:
    text = "data y: real[6]\ns ~ half_cauchy(1)\nb ~ normal(0, 2)\nt ~ gamma(1, 1)\ny[n in 6] ~ normal(b, s / sqrt(t))"
    said = ppl.parse(text).explain({"y": np.zeros(6)}, method="cavi")
    assert "factors, updated in turn:\n  t ~ gamma\n  b ~ normal\n  s: independent normals in unconstrained" in said
    assert "there is no closed form: in `s` `half_cauchy` is not of a form that keeps it conjugate" in said


def test_groups_that_a_part_does_not_have_keep_their_correlations() -> None:
    """A regression with many groups, few of them in any part of the data: sds as those of all the data."""
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(30), 20)
    x = rng.standard_normal(600) + 0.05 * group
    data = {"N": 600, "J": 30, "g": group, "x": x, "y": 0.1 * group + 0.7 * x + rng.standard_normal(600)}
    text = """
    data N, J: int
    data g: index(J)[N]
    data x, y: real[N]
    b ~ normal(0, 2)
    a[j in J] ~ normal(0, 2)
    plate n in N { y[n] ~ normal(a[g[n]] + b * x[n], 1) }
    """
    whole = fitted(text, data)
    parts = fitted(text, data, "svi", steps=600, batch=60, starts=1, forgetting=0.9)
    assert "exact" in " ".join(whole.notes)
    np.testing.assert_allclose(parts.values["b"].std(), whole.values["b"].std(), rtol=0.1)
    np.testing.assert_allclose(parts.values["a"].std(axis=0), whole.values["a"].std(axis=0), rtol=0.2)
    error = (parts.values["a"].mean(axis=0) - whole.values["a"].mean(axis=0)) / whole.values["a"].std(axis=0)
    assert np.abs(error).max() < 1.0


def test_rows_without_exposure_and_counts_add_nothing() -> None:
    """A gamma rate with exposures 0, 0, 1, 2 and counts 0, 0, 3, 4: gamma(9, 4)."""
    source = (
        "data N: int\ndata y: int[N]\ndata e: real[N]\nlam ~ gamma(2, 1)\nplate n in N { y[n] ~ poisson(lam * e[n]) }\n"
    )
    fit = ppl.parse(source).fit({"y": [0, 0, 3, 4], "e": [0.0, 0.0, 1.0, 2.0]}, method="cavi", progress=False)
    assert fit.verdict.level == "trusted"
    assert (fit.mean("lam"), fit.sd("lam")) == pytest.approx((9 / 4, 3 / 4), rel=0.06)
