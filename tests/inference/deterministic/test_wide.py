"""Mean field where a dense covariance is too large: Newton's method, and linear response by solves."""

from __future__ import annotations

import numpy as np
import pytest
from inference.deterministic.test_mean_field import gaussian, random_covariance

import ppl
from ppl.backends import get_backend
from ppl.guides.derived import derive_guide
from ppl.inference.deterministic import wide
from ppl.inference.deterministic.fixed_draws import ENOUGH, FixedDraws, Whitening, conjugate_gradients, newton
from ppl.inference.deterministic.mean_field import fit_mean_field, paired_draws
from ppl.inference.families import fit as families
from ppl.inference.families.independent import fit_independent
from ppl.inference.sparsity import find_pattern
from ppl.inference.target import Target

GROUPS = """
data N: int
data K: int
data g: int(lower=0, upper=K-1)[N]
data y: real[N]
mu ~ normal(0, 5)
tau ~ half_normal(2)
plate k in K { alpha[k] ~ normal(mu, tau) }
plate n in N { y[n] ~ normal(alpha[g[n]], 1) }
"""


def _groups(count: int, each: int) -> dict:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(count), each)
    return {"N": len(g), "K": count, "g": g, "y": rng.normal(1.0, 0.8, count)[g] + rng.normal(size=len(g))}


def _target(text: str, data: dict) -> Target:
    bound = ppl.parse(text).bind(data)
    plan = bound.plan()
    return Target(plan, bound.data, derive_guide(plan, "mean_field"), get_backend())


def test_the_products_of_the_objective_are_its_gradients_differences():
    target = _target(GROUPS, _groups(4, 3))
    rng = np.random.default_rng(1)
    objective = FixedDraws(target, Whitening(np.zeros(target.dim), np.full(target.dim, 0.7)), paired_draws(rng, 4, 6))
    eta, vectors = 0.3 * rng.normal(size=12), rng.normal(size=(3, 12))
    step = 1e-5
    near = [(objective(eta + step * v)[1] - objective(eta - step * v)[1]) / (2 * step) for v in vectors]
    np.testing.assert_allclose(objective.curvature(eta)(vectors), near, rtol=1e-6, atol=1e-6)


def test_newton_ends_where_the_decrement_vanishes():
    covariance = random_covariance(7, 6)
    covariance /= np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    target = gaussian(np.linspace(-1.0, 1.0, 6), covariance)
    rng = np.random.default_rng(0)
    objective = FixedDraws(target, Whitening(np.zeros(6), np.eye(6)), paired_draws(rng, 16, 6))
    eta, decrement = newton(objective, objective.begin())
    assert decrement < ENOUGH
    np.testing.assert_allclose(eta[:6], target.mean, atol=1e-2)
    np.testing.assert_allclose(np.exp(eta[6:]), 1.0 / np.sqrt(np.diag(target.precision)), rtol=1e-2)


def test_conjugate_gradients_solve_and_refuse():
    matrix = random_covariance(2, 5)
    matrix /= np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    right = np.random.default_rng(0).normal(size=(3, 5))
    found, sound = conjugate_gradients(lambda v: v @ matrix, right, 1e-12)
    assert sound
    np.testing.assert_allclose(found, np.linalg.solve(matrix, right.T).T, rtol=1e-6)
    assert not conjugate_gradients(lambda v: v @ np.diag([1.0, -1.0, 1.0, 1.0, 1.0]), right)[1]


@pytest.mark.parametrize("groups", [300, 0])
def test_wide_linear_response_is_the_dense_one(groups, monkeypatch):
    """By the sparse factor, and by conjugate gradients where nothing counts as sparse."""
    monkeypatch.setattr(wide, "MOST_GROUPS", groups)
    target = _target(GROUPS, _groups(20, 4))
    rng = np.random.default_rng(0)
    begin = fit_independent(target, np.zeros(target.dim), rng)
    response = wide.fit_wide(target, begin.mean, begin.sd, np.random.default_rng(1))
    dense = fit_mean_field(target, Whitening(begin.mean, np.diag(begin.sd)), np.random.default_rng(2), 64)
    assert response.sound
    assert response.sparse == bool(groups)
    np.testing.assert_allclose(response.raw_sd, dense.raw_sd, rtol=0.1)
    np.testing.assert_allclose(
        np.sqrt(response.variances(np.eye(target.dim))), np.sqrt(np.diag(dense.covariance)), rtol=0.1
    )
    assert (response.draw(rng, 10) is not None) == bool(groups)


def test_draws_by_the_root_of_a_sparse_hessian_have_the_covariance_of_linear_response():
    """Sds are exact; covariances have a Monte Carlo error of 1 / sqrt(10,000) of two sds: five of them."""
    target = _target(GROUPS, _groups(20, 4))
    rng = np.random.default_rng(0)
    begin = fit_independent(target, np.zeros(target.dim), rng)
    response = wide.fit_wide(target, begin.mean, begin.sd, rng)
    rows = response.draw(rng, 20_000)
    exact = response.responses(np.eye(target.dim))
    sd = np.sqrt(np.diag(exact))
    assert np.abs(exact / np.outer(sd, sd) - np.eye(target.dim)).max() > 0.3
    np.testing.assert_allclose(rows.mean(axis=0), response.mean, atol=1e-9)
    np.testing.assert_allclose(rows.std(axis=0), sd, rtol=1e-9)
    np.testing.assert_allclose(np.cov(rows.T) / np.outer(sd, sd), exact / np.outer(sd, sd), atol=0.05)


PREDICTED = (
    GROUPS
    + """
predict {
  new ~ normal(mu, 0.01)
  total ~ normal(sum(alpha) / K, 0.01)
}
"""
)


@pytest.mark.filterwarnings("ignore::ppl.UncertainFitWarning")
def test_without_a_sparse_factor_predictions_are_mean_fields_own_and_a_note_says_so(monkeypatch):
    monkeypatch.setattr(families, "DENSE_LIMIT", 10)
    monkeypatch.setattr(wide, "MOST_GROUPS", 0)
    found = ppl.parse(PREDICTED).fit(_groups(12, 4), guide="mean_field")
    assert found.corrected is None
    assert found.run.corrections
    assert any("predictions are mean field's own" in note for note in found.run.notes)


def test_wide_mean_field_through_the_front_door(monkeypatch):
    """Sds of linear response are those of the full posterior; what is drawn from the latents has them too."""
    monkeypatch.setattr(families, "DENSE_LIMIT", 10)
    program, data = ppl.parse(PREDICTED), _groups(60, 2)
    found = program.fit(data, guide="mean_field")
    exact = program.fit(data)
    corrected = {each.name: each for each in found.run.corrections}
    assert len(corrected) == 64
    assert corrected["mu"].corrected == pytest.approx(exact.sd("mu"), rel=0.05)
    assert corrected["mu"].raw < 0.9 * corrected["mu"].corrected
    assert corrected["mu"].neighbour
    assert corrected["new"].neighbour == "mu"
    for name in ("new", "total"):
        assert found.sd(name) < 0.8 * exact.sd(name)
        assert found.corrected.sd(name) == pytest.approx(exact.sd(name), rel=0.05)
        assert found.predictive(data).sd(name) == pytest.approx(exact.sd(name), rel=0.05)
    assert found.mean("mu") == pytest.approx(exact.mean("mu"), abs=0.2 * float(exact.sd("mu")))


class Quadratic:
    """A Gaussian whose Hessian products are given."""

    def __init__(self, precision: np.ndarray) -> None:
        self.precision, self.dim = precision, len(precision)

    def curved(self, rows: np.ndarray, vectors: np.ndarray, step: np.ndarray) -> np.ndarray:
        return -np.broadcast_to(vectors, (len(vectors), *rows.shape)) @ self.precision


def test_a_long_chain_with_a_border_is_assembled_from_its_band():
    size = 60
    precision = np.diag(np.full(size + 2, 5.0))
    chain = np.arange(2, size + 1)
    precision[chain, chain + 1] = precision[chain + 1, chain] = -1.0
    precision[:2, 2:] = 0.1
    precision[2:, :2] = 0.1
    pattern = find_pattern(lambda u: -u @ precision, size + 2)
    assert any(width is not None for width in pattern.widths)
    target = Quadratic(precision)
    low, high, values = wide._entries(target, np.zeros((1, target.dim)), pattern, np.ones(target.dim))
    found = np.zeros_like(precision)
    found[low, high] = values[0]
    np.testing.assert_allclose(found, -precision, atol=1e-12)
