"""Mean field whose ELBO takes no draws, or draws of a few unknowns only: against formulas, differences and draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.guides import derive_guide
from ppl.inference.deterministic import expectations, gaussian
from ppl.inference.deterministic.expectations import ByExpectations, Elbo, Expectations, by_expectations
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.mean_field import fit_mean_field
from ppl.inference.families import fit as families
from ppl.inference.outcome import Outcome
from ppl.inference.target import Target

REGRESSION = """
data N, D: int
data X: real[N, D]
data y: {kind}[N]
b[d in D] ~ normal(0, 2)
y ~ {likelihood}
"""
POISSON = REGRESSION.format(kind="int(lower=0)", likelihood="poisson(log_rate = X @ b)")
LOGISTIC = REGRESSION.format(kind="bool", likelihood="bernoulli(logits = X @ b)")
GROUPED = """
data N, G: int
data g: int(lower=0, upper=G-1)[N]
data x: real[N]
data y: int(lower=0)[N]
mu ~ normal(0, 2)
tau ~ gamma(3, 5)
plate j in G { a[j] ~ normal(mu, tau) }
b ~ normal(0, 2)
plate n in N { y[n] ~ poisson(log_rate = a[g[n]] + b * x[n]) }
"""
NEGATIVE_BINOMIAL = """
data N: int
data x: real[N]
data y: int(lower=0)[N]
b ~ normal(0, 2)
phi ~ gamma(2, 1)
plate n in N { y[n] ~ negative_binomial(log_mean = 1 + b * x[n], concentration = phi) }
"""
RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
ETA = X @ np.array([0.5, -0.3, 0.2])
COUNTS = {"N": 60, "D": 3, "X": X, "y": RNG.poisson(np.exp(ETA))}
CHANCES = {"N": 60, "D": 3, "X": X, "y": RNG.random(60) < 1.0 / (1.0 + np.exp(-ETA))}
GROUPS = {"N": 60, "G": 5, "g": np.arange(60) % 5, "x": X[:, 0], "y": RNG.poisson(np.exp(1.0 + 0.3 * X[:, 0]))}


def _target(text: str, data: dict[str, object]) -> tuple[Target, dict[str, object]]:
    bound = ppl.parse(text).bind(data)
    guide = derive_guide(bound.plan(), "mean_field")
    return Target(guide.plan, bound.data, guide, get_backend()), bound.data


def _expected(text: str, data: dict[str, object]) -> ByExpectations:
    target, bound = _target(text, data)
    expected = by_expectations(target, bound, get_backend())
    assert expected is not None
    return expected


def _elbo(expected: ByExpectations, noise: np.ndarray, at_once: int = 6) -> Elbo:
    dim = expected.target.dim
    whitening = Whitening(np.linspace(-0.2, 0.3, dim), np.linspace(0.1, 0.4, dim))
    return Elbo(expected.rows, expected.target.guide, whitening, noise, expected.noiseless, at_once)


def test_the_bound_of_a_poisson_regression_is_its_formula() -> None:
    expected = _expected(POISSON, COUNTS)
    assert expected.noiseless
    elbo = _elbo(expected, np.zeros((2, 3)))
    eta = np.array([0.3, -0.5, 0.1, -0.2, 0.4, 0.0])
    mean = elbo.whitening.centre + elbo.whitening.factor * eta[:3]
    sd = elbo.whitening.factor * np.exp(eta[3:])
    predictor, variance, y = X @ mean, X**2 @ sd**2, COUNTS["y"]
    factorials = sum(np.log(np.arange(1, count + 1)).sum() for count in y)
    likelihood = np.sum(y * predictor - np.exp(predictor + 0.5 * variance)) - factorials
    prior = np.sum(-0.125 * (mean**2 + sd**2) - np.log(2.0) - 0.5 * np.log(2 * np.pi))
    entropy = np.sum(np.log(sd) + 0.5 * np.log(2 * np.pi * np.e))
    assert -elbo(eta)[0] == pytest.approx(likelihood + prior + entropy, rel=1e-12)


@pytest.mark.parametrize(("text", "data"), [(LOGISTIC, CHANCES), (GROUPED, GROUPS)])
def test_gradient_and_hessian_are_those_of_the_bound(text: str, data: dict[str, object]) -> None:
    """The second with fixed draws of two unknowns; columns of the Hessian four at a time, the last ones filled up."""
    expected = _expected(text, data)
    dim = expected.target.dim
    elbo = _elbo(expected, np.random.default_rng(1).standard_normal((4, dim)), at_once=4)
    eta, step = np.linspace(-0.3, 0.2, 2 * dim), 1e-5
    moved = [(elbo(eta + move), elbo(eta - move)) for move in step * np.eye(2 * dim)]
    slopes = [(after[0] - before[0]) / (2 * step) for after, before in moved]
    bends = [(after[1] - before[1]) / (2 * step) for after, before in moved]
    np.testing.assert_allclose(elbo(eta)[1], slopes, atol=1e-5)
    curvature = elbo.curvature(eta)
    np.testing.assert_allclose(curvature.hessian, bends, atol=1e-4)
    np.testing.assert_allclose(curvature.scores.mean(axis=0), -elbo(eta)[1], atol=1e-9)


def test_means_sds_and_linear_response_are_those_of_very_many_draws() -> None:
    target, _ = _target(LOGISTIC, CHANCES)
    whitening = Whitening(np.zeros(3), np.full(3, 0.3))
    found = _expected(LOGISTIC, CHANCES).respond(Whitening(np.zeros(3), np.diag(whitening.factor)), RNG)
    drawn = fit_mean_field(target, Whitening(np.zeros(3), np.diag(whitening.factor)), np.random.default_rng(3), 2000)
    assert found.sound
    assert found.mean_error == 0.0
    np.testing.assert_allclose(found.mean, drawn.mean, atol=0.01 * found.raw_sd.min())
    np.testing.assert_allclose(found.raw_sd, drawn.raw_sd, rtol=0.01)
    np.testing.assert_allclose(found.covariance, drawn.covariance, atol=0.01 * found.covariance.max())
    assert found.elbo == pytest.approx(drawn.elbo, abs=0.01)


def test_a_fit_without_draws_has_one_bound_whatever_the_seed() -> None:
    fits = [ppl.parse(LOGISTIC).fit(CHANCES, guide="mean_field", seed=seed) for seed in (0, 1)]
    assert fits[0].run.elbo_mcse == 0.0
    assert fits[0].run.elbo == pytest.approx(fits[1].run.elbo, abs=1e-6)
    assert fits[0].run.history[-1] == pytest.approx(fits[0].run.elbo, abs=1e-6)
    assert "no draws needed" in fits[0].explain()
    assert "no draws needed" in ppl.parse(LOGISTIC).explain(CHANCES, guide="mean_field")


def test_where_some_need_draws_only_those_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = Expectations.of(_target(GROUPED, GROUPS)[0].guide)
    assert choice.pays
    assert choice.drawn == {"mu", "tau"}
    assert "fixed draws of mu, tau only" in str(choice)
    found = ppl.parse(GROUPED).fit(GROUPS, guide="mean_field")
    monkeypatch.setattr(expectations.Expectations, "pays", property(lambda self: False))
    drawn = ppl.parse(GROUPED).fit(GROUPS, guide="mean_field")
    assert found.run.elbo_mcse > 0.0
    assert found.run.elbo == pytest.approx(drawn.run.elbo, abs=4 * (found.run.elbo_mcse + drawn.run.elbo_mcse) + 0.02)
    for name in ("mu", "tau", "b"):
        assert found.mean(name) == pytest.approx(drawn.mean(name), abs=0.15 * drawn.sd(name))


def test_nodes_for_every_draw_of_many_rows_are_not_worth_it() -> None:
    data = {"N": 60, "x": X[:, 0], "y": COUNTS["y"]}
    target, bound = _target(NEGATIVE_BINOMIAL, data)
    choice = Expectations.of(target.guide)
    assert not choice.pays
    assert by_expectations(target, bound, get_backend()) is None
    assert "nodes for each draw of phi" in str(choice)


def test_a_bound_that_draws_do_not_bear_out_is_a_problem() -> None:
    expected = _expected(LOGISTIC, CHANCES)
    response = expected.respond(Whitening(np.zeros(3), 0.3 * np.eye(3)), RNG)
    ratios = response.elbo + 0.1 * np.random.default_rng(0).standard_normal(1000)
    outcome = Outcome(
        method="", parameters=ratios, values={}, log_weights=None, ratios=ratios, khat=0.0, effective=1.0,
        log_evidence=None, history=ratios, steps=1, converged=True, stopped="",
    )  # fmt: skip
    computed = expected.computed(outcome, response)
    assert computed.bounds is not None
    assert computed.bounds.tolist() == [response.elbo]
    assert not computed.problems
    off = expected.computed(outcome, replace(response, elbo=response.elbo + 1.0))
    assert off.bounds is None
    assert "is not that of nodes" in off.problems[0]


def test_expectations_beyond_all_numbers_are_begun_narrower() -> None:
    elbo = replace(
        _elbo(_expected(POISSON, COUNTS), np.zeros((2, 3))), whitening=Whitening(np.zeros(3), np.full(3, 50.0))
    )
    start = elbo.begin()
    assert start[-1] < 0.0
    assert np.isfinite(elbo(start)[0])


def test_a_low_rank_guide_takes_no_draws_either() -> None:
    fit = ppl.parse(LOGISTIC).fit(CHANCES, guide="low_rank", rank=1)
    assert fit.run.method == "lbfgs"
    assert fit.verdict.level == "trusted"


def test_both_backends_agree() -> None:
    pytest.importorskip("jax")
    text, bound = ppl.parse(GROUPED), GROUPS
    plan = text.bind(bound)
    found = []
    for name in ("autograd", "jax"):
        backend = get_backend(name)
        guide = derive_guide(plan.plan(), "mean_field")
        expected = by_expectations(Target(guide.plan, plan.data, guide, backend), plan.data, backend)
        assert expected is not None
        elbo = _elbo(expected, np.random.default_rng(1).standard_normal((4, expected.target.dim)), at_once=5)
        eta = np.linspace(-0.3, 0.2, 2 * expected.target.dim)
        found.append((*elbo(eta), elbo.curvature(eta).hessian))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8, rtol=1e-8)


def test_many_unknowns_have_linear_response_whether_they_need_draws_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Hessians at all draws are too many, the sparse one; where there are no draws there is one Hessian only."""
    monkeypatch.setattr(families, "LARGE", 2)
    monkeypatch.setattr(gaussian, "LARGE", 2)
    text = GROUPED.replace("poisson(log_rate = a[g[n]] + b * x[n])", "student_t(4, exp(a[g[n]]) + b * x[n], 1)")
    drawn = ppl.parse(text.replace("y: int(lower=0)", "y: real")).fit(GROUPS, guide="mean_field")
    assert drawn.run.stopped == "the Newton decrement vanished"
    assert drawn.corrected is not None
    assert drawn.corrected.sd("mu") > 1.02 * drawn.sd("mu")
    exact = ppl.parse(LOGISTIC).fit(CHANCES, guide="mean_field")
    assert exact.run.stopped == "the gradient vanished"
    assert exact.run.elbo_mcse == 0.0
