"""Models with discrete unknowns, fitted: their marginals and draws in the results beside exact ones.

The exact posteriors are sums over all states on a grid of the continuous unknowns. A fit's numbers are weighted means
of at least 4,000 draws; the tolerances are five standard errors of as many independent ones, and a grid's own error.
"""

import itertools

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from scipy.stats import binom, norm

import ppl
from ppl.errors import DataError, InferenceError
from ppl.inference import discrete

GRID = (np.arange(400) + 0.5) / 400


def fitted(text, data):
    fit = ppl.parse(text).fit(data, progress=False)
    assert fit.run.method != "adam"
    return fit


def moments(log_weights, values):
    """Mean and sd of values on a grid."""
    weights = np.exp(log_weights - logsumexp(log_weights))
    mean = float(np.sum(weights * values))
    return mean, float(np.sqrt(np.sum(weights * (values - mean) ** 2)))


SEEN = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1], [1, 1, 1], [0, 0, 0]])
OCCUPANCY = """
data I, J: int
data seen: bool[I, J]
psi ~ beta(1, 1)
p ~ beta(2, 2)
plate i in I {
  z[i] ~ bernoulli(psi)
  plate j in J {
    seen[i, j] ~ bernoulli(z[i] * p)
  }
}
occupied = sum(z)
"""


def test_occupancy():
    psi, p = np.meshgrid(GRID, GRID, indexing="ij")
    visits, found = SEEN.shape[1], SEEN.sum(axis=1)
    some, none = found[found > 0], int(np.sum(found == 0))
    missed = psi * (1 - p) ** visits
    log_weights = np.log(p * (1 - p)) + none * np.log(missed + 1 - psi)
    log_weights += len(some) * np.log(psi) + some.sum() * np.log(p) + (visits * len(some) - some.sum()) * np.log(1 - p)
    present, _ = moments(log_weights, missed / (missed + 1 - psi))
    fit = fitted(OCCUPANCY, {"seen": SEEN})
    for name, exact in (("psi", moments(log_weights, psi)), ("p", moments(log_weights, p))):
        assert fit.mean(name) == pytest.approx(exact[0], abs=0.08 * exact[1])
        assert fit.sd(name) == pytest.approx(exact[1], rel=0.08)
    np.testing.assert_allclose(fit.mean("z"), np.where(found, 1.0, present), atol=0.04)
    assert fit.mean("occupied") == pytest.approx(len(some) + none * present, abs=0.1)
    drawn = fit.draws(500)
    assert set(np.unique(drawn["z"])) == {0, 1}
    assert np.all(drawn["z"][:, found > 0] == 1)
    np.testing.assert_array_equal(drawn["z"].sum(axis=1), drawn["occupied"])


RECAPTURE = """
data M, J: int
data caught: bool[M, J]
share ~ beta(1, 1)
p ~ beta(1, 1)
plate i in M {
  inside[i] ~ bernoulli(share)
  plate j in J {
    caught[i, j] ~ bernoulli(inside[i] * p)
  }
}
size = sum(inside)
"""


def test_capture_recapture():
    """Of 30 possible animals 12 were caught in 4 nights; given `share` and `p` the others are binomial."""
    rng = np.random.default_rng(6)
    caught = np.zeros((30, 4), int)
    caught[:12] = rng.random((12, 4)) < 0.3
    caught[:12, 0] |= caught[:12].sum(axis=1) == 0
    share, p = np.meshgrid(GRID, GRID, indexing="ij")
    missed = share * (1 - p) ** 4
    log_weights = 18 * np.log(missed + 1 - share) + 12 * np.log(share)
    log_weights += caught.sum() * np.log(p) + (48 - caught.sum()) * np.log(1 - p)
    weights = np.exp(log_weights - logsumexp(log_weights))
    more = np.arange(19)
    shares = np.array([np.sum(weights * binom.pmf(k, 18, missed / (missed + 1 - share))) for k in more])
    mean = 12 + float(shares @ more)
    sd = float(np.sqrt(shares @ (12 + more - mean) ** 2))
    fit = fitted(RECAPTURE, {"caught": caught})
    assert fit.mean("size") == pytest.approx(mean, abs=0.1 * sd)
    assert fit.sd("size") == pytest.approx(sd, rel=0.1)
    np.testing.assert_allclose(fit.mean("inside")[:12], 1.0)
    np.testing.assert_allclose(fit.mean("inside")[12:], (mean - 12) / 18, atol=0.04)
    assert fit.draws(300)["size"].min() >= 12


SERIES = np.array([[-1.1, -0.4, 1.6, 2.3], [1.2, 1.9, -0.7, 0.0]])
LENGTHS = np.array([4, 3])
MOVES = np.array([[0.8, 0.2], [0.3, 0.7]])
HIDDEN = """
data S, T: int
data len: int(lower=1, upper=T)[S]
data A: simplex(2)[2]
data y: real[S, T]
low ~ normal(-1, 1)
high ~ normal(1, 1)
plate s in S {
  scan t in len[s] {
    z[s, t] ~ categorical([0.5, 0.5] if t == 0 else A[z[s, t - 1]])
    y[s, t] ~ normal(high if z[s, t] == 1 else low, 0.7)
  }
}
"""


def exact_states(lengths):
    """Posterior means of `low` and of every state, by all paths of all sequences on a grid of the two levels."""
    grid = np.linspace(-5.0, 5.0, 161)
    low, high = np.meshgrid(grid, grid, indexing="ij")
    total = norm.logpdf(low, -1, 1) + norm.logpdf(high, 1, 1)
    ones = []
    for series, length in zip(SERIES, lengths, strict=True):
        paths = np.array(list(itertools.product((0, 1), repeat=length)))
        levels = [np.where(path[:, None, None], high, low) for path in paths]
        fits = [norm.logpdf(series[:length, None, None], level, 0.7).sum(axis=0) for level in levels]
        prior = np.log(0.5) + np.log(MOVES)[paths[:, :-1], paths[:, 1:]].sum(axis=1)
        weights = np.array(fits) + prior[:, None, None]
        whole = logsumexp(weights, axis=0)
        ones.append(np.einsum("p...,pt->t...", np.exp(weights - whole), paths))
        total += whole
    return moments(total, low), [[moments(total, each)[0] for each in one] for one in ones]


@pytest.mark.parametrize("lengths", [np.array([4, 4]), LENGTHS], ids=["batched", "ragged"])
def test_hidden_markov_models(lengths):
    (mean, sd), ones = exact_states(lengths)
    fit = fitted(HIDDEN, {"y": SERIES, "len": lengths, "A": MOVES})
    assert fit.mean("low") == pytest.approx(mean, abs=0.1 * sd)
    assert fit.sd("low") == pytest.approx(sd, rel=0.1)
    found, drawn = fit.mean("z"), fit.draws(2000)["z"]
    for s, length in enumerate(lengths):
        np.testing.assert_allclose(found[s, :length], ones[s], atol=0.04)
        np.testing.assert_allclose(drawn[:, s, :length].mean(axis=0), ones[s], atol=5 * np.sqrt(0.25 / 2000))
        assert np.all(np.isnan(found[s, length:]))


CHANGE = """
data T: int
data y: int(lower=0)[T]
early ~ gamma(2, 1)
late ~ gamma(2, 1)
change ~ categorical(rep(1 / T, T))
plate t in T {
  y[t] ~ poisson(early if t < change else late)
}
"""


def test_a_change_point():
    """The rates integrate out: the years have probabilities in closed form."""
    y = np.array([4, 3, 5, 2, 4, 1, 0, 1, 0, 2])

    def marginal(total, count):
        return gammaln(2 + total) - (2 + total) * np.log(1 + count)

    years = np.arange(len(y))
    before = np.concatenate([[0], np.cumsum(y)[:-1]])
    log_weights = marginal(before, years) + marginal(y.sum() - before, len(y) - years)
    shares = np.exp(log_weights - logsumexp(log_weights))
    drawn = fitted(CHANGE, {"y": y}).draws(4000)["change"]
    np.testing.assert_allclose(np.bincount(drawn.astype(int), minlength=len(y)) / 4000, shares, atol=0.04)


def test_asia_through_a_fit():
    """Nothing continuous is left: means are those of independent exact draws, and the evidence is exact."""
    text = """
    data asia, dyspnoea: bool
    asia ~ bernoulli(0.01)
    smoking ~ bernoulli(0.5)
    tuberculosis ~ bernoulli(0.05 if asia else 0.01)
    cancer ~ bernoulli(0.1 if smoking else 0.01)
    bronchitis ~ bernoulli(0.6 if smoking else 0.3)
    either = tuberculosis or cancer
    dyspnoea ~ bernoulli((0.9 if bronchitis else 0.7) if either else (0.8 if bronchitis else 0.1))
    """
    weights = {}
    for s, t, c, b in itertools.product((0, 1), repeat=4):
        breathless = (0.9 if b else 0.7) if t or c else (0.8 if b else 0.1)
        parts = [(0.5, s), (0.05, t), (0.1 if s else 0.01, c), (0.6 if s else 0.3, b)]
        weights[s, t, c, b] = 0.01 * breathless * np.prod([q if yes else 1 - q for q, yes in parts])
    total = sum(weights.values())
    fit = fitted(text, {"asia": True, "dyspnoea": True})
    assert fit.log_evidence == pytest.approx(np.log(total), abs=1e-10)
    for place, name in enumerate(("smoking", "tuberculosis", "cancer", "bronchitis")):
        exact = sum(weight for states, weight in weights.items() if states[place]) / total
        assert fit.mean(name) == pytest.approx(exact, abs=5 * np.sqrt(0.25 / 4000))


def test_where_discrete_unknowns_are_many_weighted_draws_are_resampled_first(monkeypatch):
    whole = fitted(OCCUPANCY, {"seen": SEEN})
    monkeypatch.setattr(discrete, "MOST_NUMBERS", 10_000)
    fit = fitted(OCCUPANCY, {"seen": SEEN})
    assert whole.posterior.log_weights is not None
    assert fit.posterior.log_weights is None
    assert fit.posterior.count == 4000
    assert fit.posterior.values["z"].shape == (4000, len(SEEN))
    for name in ("psi", "p", "z", "occupied"):
        np.testing.assert_allclose(fit.mean(name), whole.mean(name), atol=0.05 * np.max(whole.sd(name)))
    ahead, behind = fit.posterior.values["psi"].reshape(2, -1).mean(axis=1)
    assert ahead == pytest.approx(behind, abs=5 * float(whole.sd("psi")) / np.sqrt(2000))


def test_more_draws_of_discrete_unknowns_than_have_room_are_left_out(monkeypatch, tmp_path):
    monkeypatch.setattr(discrete, "MOST_NUMBERS", 10_000)
    monkeypatch.setattr(discrete, "MOST_KEPT", 10_000)
    fit = fitted(OCCUPANCY, {"seen": SEEN})
    assert "z: left out" in str(fit.summary())
    for name in ("z", "occupied"):
        with pytest.raises(InferenceError, match="fit with fewer `draws`"):
            fit.mean(name)
    assert 0 < fit.mean("psi") < 1
    with pytest.raises(DataError, match="4000 draws of 8 elements"):
        fit.predict()
    fit.save(tmp_path / "fit.ppl")
    assert ppl.load_fit(tmp_path / "fit.ppl").mean("psi") == fit.mean("psi")
    few = ppl.parse(OCCUPANCY).fit({"seen": SEEN}, draws=1000, progress=False)
    assert few.draws(7)["z"].shape == (7, len(SEEN))
