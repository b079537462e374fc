"""The mixture and topic programs of the language, larger than brute force could do, against their closed forms."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import dirichlet, halfnorm, norm

from ppl.inference.discrete import draw_enumerated, enumerated_marginals
from ppl.program import load, parse

EXAMPLES = Path(__file__).parents[2] / "examples"

MIXTURE = """
data N, K: int
data y: real[N]
w  ~ dirichlet(rep(1, K))
mu[k in K] ~ normal(0, 2)
s[k in K] ~ half_normal(2)
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ normal(mu[z[n]], s[z[n]])
}
"""

TOPICS = """
data V, M, K, N: int
data doc: index(M)[N]
data word: index(V)[N]
param a: real(lower=0) = 0.5
theta[m in M] ~ dirichlet(rep(a, K))
phi[k in K]   ~ dirichlet(rep(0.1, V))
plate n in N {
  z[n]    ~ categorical(theta[doc[n]])
  word[n] ~ categorical(phi[z[n]])
}
"""


def test_mixture():
    rng = np.random.default_rng(0)
    data = {"N": 3000, "K": 3, "y": rng.normal(0, 2, 3000)}
    values = {"w": np.array([0.2, 0.5, 0.3]), "mu": np.array([-1.0, 0.2, 2.0]), "s": np.array([0.3, 1.0, 0.8])}
    found = parse(MIXTURE).log_density(values, data, by_site=True)
    parts = np.log(values["w"]) + norm.logpdf(data["y"][:, None], values["mu"], values["s"])
    assert found["z, y"] == pytest.approx(logsumexp(parts, axis=1).sum(), rel=1e-12)
    prior = dirichlet.logpdf(values["w"], [1] * 3) + norm.logpdf(values["mu"], 0, 2).sum()
    prior += halfnorm.logpdf(values["s"], scale=2).sum()
    assert sum(found.values()) - found["z, y"] == pytest.approx(prior, rel=1e-12)


def test_topics():
    rng = np.random.default_rng(1)
    V, M, K, N = 40, 12, 5, 4000
    data = {"V": V, "M": M, "K": K, "N": N, "doc": rng.integers(0, M, N), "word": rng.integers(0, V, N)}
    theta, phi = rng.dirichlet(np.full(K, 0.5), M), rng.dirichlet(np.full(V, 0.3), K)
    found = parse(TOPICS).log_density({"theta": theta, "phi": phi}, data, by_site=True)
    joint = theta[data["doc"]] * phi[:, data["word"]].T
    assert found["z, word"] == pytest.approx(np.log(joint.sum(axis=1)).sum(), rel=1e-12)
    bound = parse(TOPICS).bind(data)
    values = {"theta": theta[None], "phi": phi[None], "a": np.asarray(0.5)}
    responsibilities = enumerated_marginals(bound.plan(), bound.data, values, 1)["z"][0]
    np.testing.assert_allclose(responsibilities, joint / joint.sum(axis=1, keepdims=True), atol=1e-12)
    drawn = draw_enumerated(bound.plan(), bound.data, rng, values, 1)["z"][0]
    expected = responsibilities.sum(axis=0)
    spread = np.sqrt((responsibilities * (1 - responsibilities)).sum(axis=0))
    # a sum of 4000 independent indicators for each topic: 5 standard deviations, a false alarm in under 1e-5 runs
    assert np.all(np.abs(np.bincount(drawn, minlength=K) - expected) < 5 * spread)


@pytest.mark.parametrize("name", ["asia", "gaussian_mixture"])
def test_examples_have_only_enumerated_discretes(name):
    data = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    bound = load(EXAMPLES / f"{name}.ppl").bind(data)
    discrete = {site.name for site in bound.model.latents if site.distribution.family.discrete}
    assert discrete
    assert {site.name for site in bound.plan().enumerated} == discrete
