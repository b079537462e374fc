"""Hidden Markov models: sums over paths, marginals and draws beside all paths written out."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from ppl import chains
from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.discrete import draw_enumerated, enumerated_marginals
from ppl.inference.target import Target
from ppl.program import parse

SEQUENCES, STEPS, STATES = 2, 4, 3
RNG = np.random.default_rng(7)
SERIES = RNG.standard_normal((SEQUENCES, STEPS))
LENGTHS = np.array([3, 4])
DATA = {"y": SERIES, "K": STATES}
VALUES = {
    "init": np.array([0.2, 0.3, 0.5]),
    "A": RNG.dirichlet(np.ones(STATES), STATES),
    "mu": np.array([-1.0, 0.0, 1.5]),
    "sigma": np.array([0.5, 1.0, 0.7]),
}
PLAIN = """
data S, T, K: int
data y: real[S, T]
init ~ dirichlet(rep(1, K))
A[k in K] ~ dirichlet(rep(1, K))
mu[k in K] ~ normal(0, 5)
sigma[k in K] ~ half_normal(1)
plate s in S {
  scan t in T {
    z[s, t] ~ categorical(init if t == 0 else A[z[s, t - 1]])
    y[s, t] ~ normal(mu[z[s, t]], sigma[z[s, t]])
  }
}
"""
RAGGED = PLAIN.replace("data y", "data len: int(lower=1, upper=T)[S]\ndata y").replace("in T {", "in len[s] {")
# What is observed depends on two states in a row, and is a mixture with a component of its own at each step.
PAIRED = PLAIN.replace(
    "    y[s, t] ~ normal(mu[z[s, t]], sigma[z[s, t]])\n",
    """    moved = 0 if t == 0 else mu[z[s, t - 1]]
    y[s, t] ~ normal(mu[z[s, t]] + 0.5 * moved, sigma[z[s, t]])
    c[s, t] ~ bernoulli(0.3)
    w[s, t] ~ normal(c[s, t] + mu[z[s, t]], 1)
""",
).replace("data y", "data w: real[S, T]\ndata y")
# An unknown regime for each sequence, that all of its steps know.
REGIMES = PLAIN.replace("  scan", "  r[s] ~ bernoulli(0.4)\n  scan").replace("mu[z[s, t]],", "mu[z[s, t]] + r[s],")


def paths(length):
    return np.array(list(itertools.product(range(STATES), repeat=length)))


def path_weights(series, emission):
    """The log weight of each path of one sequence."""
    found = []
    for path in paths(len(series)):
        steps = np.log(VALUES["A"])[path[:-1], path[1:]].sum() + np.log(VALUES["init"][path[0]])
        found.append(steps + emission(series, path))
    return np.array(found)


def emission(series, path, shift=0.0):
    return norm.logpdf(series, VALUES["mu"][path] + shift, VALUES["sigma"][path]).sum()


def paired(series, path):
    mu = VALUES["mu"][path]
    before = np.append(0.0, mu[:-1])
    other = np.logaddexp(np.log(0.3) + norm.logpdf(series, mu + 1), np.log(0.7) + norm.logpdf(series, mu)).sum()
    return norm.logpdf(series, mu + 0.5 * before, VALUES["sigma"][path]).sum() + other


def regimes(series):
    with_regime = path_weights(series, lambda y, path: emission(y, path, 1.0))
    return np.logaddexp(np.log(0.6) + logsumexp(path_weights(series, emission)), np.log(0.4) + logsumexp(with_regime))


CASES = {
    "plain": (PLAIN, DATA, sum(logsumexp(path_weights(y, emission)) for y in SERIES)),
    "ragged": (
        RAGGED,
        {**DATA, "len": LENGTHS},
        sum(logsumexp(path_weights(y[:n], emission)) for y, n in zip(SERIES, LENGTHS, strict=True)),
    ),
    "two states in a row": (PAIRED, {**DATA, "w": SERIES}, sum(logsumexp(path_weights(y, paired)) for y in SERIES)),
    "a regime outside": (REGIMES, DATA, sum(regimes(y) for y in SERIES)),
}


@pytest.mark.parametrize("case", CASES)
def test_log_density(case):
    text, data, expected = CASES[case]
    terms = parse(text).log_density(VALUES, data, by_site=True)
    (joined,) = (name for name in terms if "z" in name.split(", "))
    np.testing.assert_allclose(terms[joined], expected, rtol=1e-10)
    assert parse(text).bind(data).plan().warnings == ()


@pytest.mark.parametrize("case", CASES)
def test_gradient(case):
    text, data, _ = CASES[case]
    bound = parse(text).bind(data)
    plan = bound.plan()
    target = Target(plan, bound.data, choose_guide(plan, "auto"), get_backend())
    rng, step = np.random.default_rng(8), 1e-5
    for rows in (1, 3, 3, 3, 3, 3):
        x = 0.3 * rng.standard_normal((rows, target.dim))
        pairs = [(target.log_density(x + step * e), target.log_density(x - step * e)) for e in np.eye(target.dim)]
        slopes = np.stack([(up - down) / (2 * step) for up, down in pairs], axis=1)
        np.testing.assert_allclose(target.gradient(x), slopes, rtol=1e-6, atol=1e-6)


def posterior(weights, length):
    """The probability of each state at each step."""
    shares = np.exp(weights - logsumexp(weights))
    return np.array([[shares[paths(length)[:, t] == k].sum() for k in range(STATES)] for t in range(length)])


@pytest.mark.parametrize("case", ["plain", "ragged", "two states in a row"])
def test_marginals_and_draws(case):
    text, data, _ = CASES[case]
    bound = parse(text).bind(data)
    plan, draws = bound.plan(), 20_000
    values = {name: np.broadcast_to(value, (draws, *value.shape)) for name, value in VALUES.items()}
    one = {name: value[:1] for name, value in values.items()}
    found = enumerated_marginals(plan, bound.data, one, 1)["z"][0]
    drawn = draw_enumerated(plan, bound.data, np.random.default_rng(9), values, draws)["z"]
    for s, length in enumerate(LENGTHS if case == "ragged" else [STEPS] * SEQUENCES):
        series = SERIES[s, :length]
        exact = posterior(path_weights(series, paired if case == "two states in a row" else emission), length)
        np.testing.assert_allclose(found[s, :length], exact, atol=1e-12)
        shares = np.stack([np.mean(drawn[:, s, :length] == k, axis=0) for k in range(STATES)], axis=-1)
        # five standard errors of a share: fewer than 1 false alarm in 20,000 runs of the 24 shares or so
        np.testing.assert_allclose(shares, exact, atol=5 * np.sqrt(0.25 / draws))


def test_draws_are_whole_paths():
    """Two steps are drawn together: their joint shares are those of the pairs."""
    weights = np.log(RNG.dirichlet(np.ones(STATES), (3, STATES)))
    exact = chains.pairs(weights)
    drawn = chains.drawn(np.random.default_rng(10), np.broadcast_to(weights[:, None], (3, 20_000, STATES, STATES)))
    for t in (1, 2):
        shares = np.zeros((STATES, STATES))
        np.add.at(shares, (drawn[t - 1], drawn[t]), 1 / 20_000)
        np.testing.assert_allclose(shares, exact[t], atol=5 * np.sqrt(0.25 / 20_000))


def test_impossible_paths_have_no_weight_and_no_slope():
    with np.errstate(divide="ignore"):
        weights = np.log(np.array([[[1.0, 0.0], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]]))
    np.testing.assert_allclose(chains.total(weights), np.log(0.5))
    assert np.isfinite(chains.pairs(weights)).all()
    nothing = np.full((3, 2, 2), -np.inf)
    assert chains.total(nothing) == -np.inf
    np.testing.assert_array_equal(chains.pairs(nothing), 0.0)


def test_what_follows_itself_otherwise_is_scored():
    text = PLAIN.replace("A[z[s, t - 1]]", "A[z[s, 0 if t == 1 else t - 2]]")
    plan = parse(text).bind(DATA).plan()
    (warning,) = plan.warnings
    assert warning.code == "W402"
    assert "an element depends on earlier ones" in warning.found
