"""Chains against known densities; what R-hat and the effective number say of good and of bad ones."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.inference.chains.convergence import effective_draws, nested_rhat
from ppl.inference.chains.hamiltonian import run_chains
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.importance.evidence import bridge


def test_a_correlated_gaussian_from_unit_scales() -> None:
    """Sds over three orders of magnitude, correlations of .9; at 2,000 effective draws four errors are 6 % of an sd."""
    dim, rng = 8, np.random.default_rng(0)
    scale = np.logspace(-1.5, 1.5, dim)
    covariance = (0.1 * np.eye(dim) + 0.9) * np.outer(scale, scale)
    precision = np.linalg.inv(covariance)
    chains = run_chains(
        lambda rows: -0.5 * np.einsum("ni,ij,nj->n", rows, precision, rows),
        lambda rows: -rows @ precision,
        rng.standard_normal((16, dim)),
        Whitening(np.zeros(dim), np.eye(dim)),
        rng,
        budget=40_000,
        enough=2000.0,
    )
    flat = chains.rows.reshape(-1, dim)
    assert chains.agree
    np.testing.assert_allclose(flat.mean(axis=0) / scale, 0.0, atol=0.1)
    np.testing.assert_allclose(flat.std(axis=0) / scale, 1.0, rtol=0.07)


def test_chains_in_two_modes_do_not_agree() -> None:
    def density(rows: np.ndarray) -> np.ndarray:
        return np.logaddexp(-0.5 * (rows[:, 0] - 10.0) ** 2, -0.5 * (rows[:, 0] + 10.0) ** 2)

    def gradient(rows: np.ndarray) -> np.ndarray:
        return -rows + 10.0 * np.tanh(10.0 * rows)

    start = np.repeat([[-10.0], [10.0]], 8, axis=0)
    whitening = Whitening(np.zeros(1), np.eye(1))
    chains = run_chains(density, gradient, start, whitening, np.random.default_rng(0), budget=100, enough=1000.0)
    assert chains.rhat > 2.0
    assert not chains.agree


def test_a_matrix_that_is_singular_somewhere_ends_a_trajectory_and_not_the_fit() -> None:
    def gradient(rows: np.ndarray) -> np.ndarray:
        np.linalg.cholesky((3.0 - np.abs(rows))[..., None])
        return -rows

    def density(rows: np.ndarray) -> np.ndarray:
        np.linalg.cholesky((3.0 - np.abs(rows))[..., None])
        return -0.5 * rows[:, 0] ** 2

    start = np.linspace(-1.0, 1.0, 16)[:, None]
    whitening = Whitening(np.zeros(1), np.eye(1))
    chains = run_chains(density, gradient, start, whitening, np.random.default_rng(0), budget=3000, enough=1000.0)
    assert np.abs(chains.rows).max() < 3.0
    assert chains.rows.std() == pytest.approx(0.9866, rel=0.05)  # of the normal between -3 and 3


def test_rhat_of_independent_draws_is_one() -> None:
    draws = np.random.default_rng(0).standard_normal((100, 64, 5))
    assert np.all(nested_rhat(draws, 16) < 1.01)
    assert np.all(nested_rhat(draws + np.repeat(np.arange(16), 4)[:, None], 16) > 3.0)


def test_rhat_sees_a_drift_that_all_chains_share() -> None:
    draws = np.random.default_rng(0).standard_normal((100, 64)) + np.linspace(0.0, 3.0, 100)[:, None]
    assert nested_rhat(draws, 16) > 1.1


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_effective_draws_of_an_autoregression(correlation: float) -> None:
    """Known: draws (1 - r) / (1 + r)."""
    rng = np.random.default_rng(1)
    draws = np.empty((500, 50))
    draws[0] = rng.standard_normal(50)
    for t in range(1, 500):
        draws[t] = correlation * draws[t - 1] + np.sqrt(1.0 - correlation**2) * rng.standard_normal(50)
    expected = draws.size * (1.0 - correlation) / (1.0 + correlation)
    assert effective_draws(draws) == pytest.approx(expected, rel=0.15)


def test_bridge_sampling_gives_a_known_constant() -> None:
    """A Student-t with 5 degrees of freedom times e², seen from a normal."""
    from scipy import stats

    rng = np.random.default_rng(0)
    ours, theirs = rng.standard_t(5, 5000), rng.standard_normal(5000)
    evidence, error = bridge(
        stats.t(5).logpdf(ours) + 2.0 - stats.norm.logpdf(ours),
        stats.t(5).logpdf(theirs) + 2.0 - stats.norm.logpdf(theirs),
        5000.0,
    )
    assert 0.0 < error < 0.02
    assert evidence == pytest.approx(2.0, abs=4.0 * error)


def test_a_fit_by_chains_says_so() -> None:
    """A normal mean with known variance: posterior normal(1.6, 0.2), evidence in closed form."""
    from scipy import stats

    y = np.array([1.0, 2.0, 1.5, 2.5])
    fit = ppl.parse("data y: real[4]\nmu ~ normal(0, 1)\nfree ~ exponential(1)\ny ~ normal(mu, 1)\n").fit(
        {"y": y}, method="hamiltonian", progress=False
    )
    assert fit.run.method == "hamiltonian"
    assert "Hamiltonian Monte Carlo" in str(fit.verdict)
    assert fit.verdict.level == "trusted"
    assert fit.verdict.khat is None
    assert fit.mean("mu") == pytest.approx(y.sum() / 5, abs=0.06)
    assert fit.sd("mu") == pytest.approx(np.sqrt(0.2), rel=0.08)
    assert fit.sd("free") == pytest.approx(1.0, rel=0.12)
    exact = stats.multivariate_normal(np.zeros(4), np.eye(4) + 1.0).logpdf(y)
    assert fit.log_evidence == pytest.approx(exact, abs=0.1)
