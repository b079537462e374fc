"""Local units integrated out one by one, against quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

import ppl
from ppl.backends import get_backend
from ppl.compiler.hierarchy import HYPER_BLOCK
from ppl.inference.choose import choose_guide
from ppl.inference.hierarchy.conditional import ConditionalTarget
from ppl.inference.hierarchy.units import TermsApart, UnitsTarget
from ppl.inference.hierarchy.unitwise import start_of
from ppl.inference.target import Target

PERSONS, ITEMS = 60, 4
Y = (np.random.default_rng(1).random((PERSONS, ITEMS)) < [0.3, 0.5, 0.6, 0.8]).astype(int)
TEST = """
data N, I: int
data y: bool[N, I]
sigma ~ half_normal(2)
b[i in I] ~ normal(0, 3)
plate n in N {
  theta[n] ~ normal(0, sigma)
  plate i in I {
    y[n, i] ~ bernoulli(logits = theta[n] - b[i])
  }
}
"""
SLOPES = """
data N, G: int
data group: index(G)[N]
data x: real[N]
data y: bool[N]
tau ~ half_normal(1)
plate g in G {
  a[g] ~ normal(0, tau)
  c[g] ~ normal(0, tau)
}
plate n in N {
  y[n] ~ bernoulli(logits = a[group[n]] + c[group[n]] * x[n])
}
"""


def units_of(source: str, **data: object):  # type: ignore[no-untyped-def]
    bound = ppl.parse(source).bind(data)
    plan = bound.plan()
    guide = choose_guide(plan)
    target, rng = Target(plan, bound.data, guide, get_backend()), np.random.default_rng(0)
    hyper = [np.arange(e.start, e.stop) for e in guide.layout.entries if plan.sites[e.name].block == HYPER_BLOCK]
    shared, _, _ = start_of(ConditionalTarget(target, np.concatenate(hyper)), rng)
    return UnitsTarget.of(target, shared, plan, bound.data, rng), target, shared


def exact_test(sigma: float, b: np.ndarray) -> float:
    """log p(y, log sigma, b): Gauss-Hermite quadrature over each person's ability."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    logits = sigma * nodes[:, None] - b
    log_likelihood = Y @ special.log_expit(logits).T + (1 - Y) @ special.log_expit(-logits).T
    persons = special.logsumexp(log_likelihood, b=weights / weights.sum(), axis=1).sum()
    return float(persons + stats.halfnorm(0, 2).logpdf(sigma) + np.log(sigma) + stats.norm(0, 3).logpdf(b).sum())


def test_the_estimate_is_unbiased() -> None:
    """The mean of 2,000 estimates of the density itself, within four of its standard errors of quadrature."""
    target, _, shared = units_of(TEST, y=Y)
    row = np.array([np.log(0.9), 0.8, 0.1, -0.4, -1.3])
    assert len(shared) == 5
    values = target.log_density(np.tile(row, (2000, 1)))
    ratios = np.exp(values - exact_test(0.9, row[1:]))
    assert ratios.std() < 0.3
    assert ratios.mean() == pytest.approx(1.0, abs=4.0 * ratios.std() / np.sqrt(2000))


def test_units_are_found_through_an_index_too() -> None:
    rng = np.random.default_rng(2)
    group = np.arange(200) % 50
    found, target, shared = units_of(SLOPES, group=group, x=rng.normal(size=200), y=rng.integers(0, 2, 200), G=50)
    assert found is not None
    assert len(shared) == 1
    rows = np.random.default_rng(3).normal(size=(3, target.dim))
    common, each = found._apart.sums(rows)
    assert each.shape == (3, 50)
    np.testing.assert_allclose(common + each.sum(axis=1), target.log_density(rows), rtol=1e-10)


def test_few_units_are_not_taken_apart() -> None:
    assert units_of(TEST, y=Y[:20])[0] is None


def test_a_test_of_sixty_persons() -> None:
    """Against a reference by quadrature over abilities and importance sampling over the rest: within 0.1 sd.

    Both are worth about 1,000 draws: four errors of their difference are 0.17 sd, and the seeds are fixed.
    """
    fit = ppl.parse(TEST).fit({"y": Y}, progress=False)
    assert fit.run.method == "conditional, unit by unit"
    assert fit.verdict.level == "trusted"
    draws = fit.draws(4000)
    rows = np.column_stack([np.log(draws["sigma"]), draws["b"]])
    guide = stats.multivariate_t(rows.mean(axis=0), np.cov(rows.T), df=6)
    points = guide.rvs(1500, random_state=np.random.default_rng(0))
    logs = np.array([exact_test(np.exp(p[0]), p[1:]) for p in points]) - guide.logpdf(points)
    weights = np.exp(logs - special.logsumexp(logs))
    mean = weights @ points
    sd = np.sqrt(weights @ (points - mean) ** 2)
    np.testing.assert_allclose((rows.mean(axis=0) - mean) / sd, 0.0, atol=0.12)
    np.testing.assert_allclose(rows.std(axis=0) / sd, 1.0, rtol=0.1)
    assert fit.log_evidence == pytest.approx(special.logsumexp(logs) - np.log(len(logs)), abs=0.1)


COUNTED = """
data N: int
data k: int(lower=0)[N]
data g: index(60)[N]
mu ~ normal(0, 2)
tau ~ half_normal(1)
a[j in 60] ~ normal(mu, tau)
plate n in N { k[n] ~ poisson(log_rate = a[g[n]]) }
"""


def test_terms_of_collapsed_rows_are_those_of_their_groups():
    """From arrays, and where rows are read as they come: a term for each group, not for each row."""
    rng = np.random.default_rng(4)
    group = rng.permutation(np.arange(600) % 60)
    data = {"k": rng.poisson(2.0, 600), "g": group}
    found = []
    for given in (data, ppl.open_data(data)):
        units, target, shared = units_of(COUNTED, **given)
        assert units is not None
        apart = TermsApart(target.guide.plan, ppl.parse(COUNTED).bind(given).data, target.guide)
        rows = 0.3 * rng.standard_normal((5, target.dim))
        assert apart.terms(rows).shape[1] < 150
        np.testing.assert_allclose(apart.terms(rows).sum(axis=1), target.log_density(rows), rtol=1e-12)
        found.append(units.log_density(np.array([[0.3] * len(shared)])))
    np.testing.assert_allclose(*found, rtol=1e-9)


POWERS = """
data J, T: int
data y: bool[J, T]
mu ~ normal(0, 2)
s ~ half_normal(2)
plate j in J {
  a[j] ~ normal(mu, s)
  plate t in T {
    y[j, t] ~ bernoulli(inv_logit(a[j])^(t + 1))
  }
}
"""


def test_few_skewed_units_are_taken_one_by_one_where_all_together_are_worth_little():
    """Beside quadrature over `mu`, `log s` and each unit."""
    rng, power = np.random.default_rng(2), np.arange(10) + 1
    chances = special.expit(rng.normal(1, 2, 30))[:, None] ** power
    y = (rng.random((30, 10)) < chances).astype(int)
    fit = ppl.parse(POWERS).fit({"y": y}, guide="conditional")
    assert fit.run.rungs[0].method == "conditional, unit by unit"
    assert fit.verdict.level == "trusted"
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    mu, log_s = np.meshgrid(np.linspace(-3, 5, 65), np.linspace(-1.5, 2.2, 65), indexing="ij")
    a = mu[..., None] + np.exp(log_s)[..., None] * nodes
    hit = special.log_expit(a)[..., None] * power
    miss = np.log(-np.expm1(np.minimum(hit, -1e-12)))
    terms = np.einsum("klnt,jt->klnj", hit, y) + np.einsum("klnt,jt->klnj", miss, 1 - y)
    units = special.logsumexp(terms, b=weights[:, None] / weights.sum(), axis=2).sum(axis=-1)
    height = units + stats.norm(0, 2).logpdf(mu) + stats.halfnorm(0, 2).logpdf(np.exp(log_s)) + log_s
    share = np.exp(height - height.max())
    share /= share.sum()
    for name, values in (("mu", mu), ("s", np.exp(log_s))):
        mean = np.sum(share * values)
        sd = np.sqrt(np.sum(share * (values - mean) ** 2))
        assert fit.mean(name) == pytest.approx(mean, abs=0.1 * sd)
        assert fit.sd(name) == pytest.approx(sd, rel=0.1)
