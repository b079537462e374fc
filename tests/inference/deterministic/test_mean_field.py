"""Deterministic mean field and linear response against Gaussians, where they are exact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.mean_field import fit_mean_field, paired_draws, whiten


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian log density with its derivatives."""

    mean: np.ndarray
    precision: np.ndarray

    def value_and_gradient(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        moved = rows - self.mean
        return -0.5 * np.einsum("ni,ij,nj->n", moved, self.precision, moved), -moved @ self.precision

    def hessians(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray:
        return np.broadcast_to(-self.precision, (len(rows), *self.precision.shape))

    def curved(self, rows: np.ndarray, vectors: np.ndarray, step: np.ndarray) -> np.ndarray:
        return -np.broadcast_to(vectors, (len(vectors), *rows.shape)) @ self.precision


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    return Gaussian(mean, np.linalg.inv(covariance))


def random_covariance(seed: int, dim: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(dim, dim))
    scale = 10.0 ** rng.uniform(-3, 3, dim)
    return (root @ root.T + 0.1 * np.eye(dim)) * np.outer(scale, scale)


@pytest.mark.parametrize("dim", [1, 3, 12])
def test_whitening_makes_a_hessian_the_identity(dim: int) -> None:
    hessian = -np.linalg.inv(random_covariance(dim, dim))
    whitening = whiten(np.zeros(dim), hessian, floor=1e-12)
    np.testing.assert_allclose(whitening.factor.T @ -hessian @ whitening.factor, np.eye(dim), atol=1e-6)


def test_paired_draws_have_exact_first_and_second_moments() -> None:
    draws = paired_draws(np.random.default_rng(0), 16, 7)
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=1e-14)
    np.testing.assert_allclose(draws.T @ draws / len(draws), np.eye(7), atol=1e-13)


def test_too_few_pairs_still_have_unit_variances() -> None:
    draws = paired_draws(np.random.default_rng(0), 4, 20)
    np.testing.assert_allclose((draws**2).mean(axis=0), 1.0, rtol=1e-13)


@pytest.mark.parametrize("dim", [1, 3, 12])
def test_linear_response_is_exact_on_a_gaussian(dim: int) -> None:
    """Mean and covariance from unwhitened coordinates: exact up to the optimiser's tolerance."""
    covariance = random_covariance(7, dim)
    covariance /= np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    mean = np.linspace(-1.0, 2.0, dim)
    start = Whitening(np.zeros(dim), np.eye(dim))
    response = fit_mean_field(gaussian(mean, covariance), start, np.random.default_rng(0), 16)
    assert response.sound
    np.testing.assert_allclose(response.mean, mean, atol=1e-4)
    np.testing.assert_allclose(response.covariance, covariance, atol=1e-4)


def test_mean_field_alone_is_too_narrow_and_linear_response_says_how_much() -> None:
    """Correlation 0.95: mean-field sd is sqrt(1 - 0.95²) = 0.31 of the truth, 69 % too small."""
    covariance = np.array([[1.0, 0.95], [0.95, 1.0]])
    start = Whitening(np.zeros(2), np.eye(2))
    response = fit_mean_field(gaussian(np.zeros(2), covariance), start, np.random.default_rng(0), 64)
    np.testing.assert_allclose(response.raw_sd, np.sqrt(1 - 0.95**2), rtol=0.01)
    np.testing.assert_allclose(np.sqrt(np.diag(response.covariance)), 1.0, rtol=0.01)


def test_the_bound_is_the_evidence_where_the_guide_can_be_exact() -> None:
    covariance = random_covariance(3, 4)
    start = whiten(np.zeros(4), -np.linalg.inv(covariance), floor=1e-14)
    response = fit_mean_field(gaussian(np.ones(4), covariance), start, np.random.default_rng(0), 16)
    evidence = 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
    assert response.elbo == pytest.approx(evidence, abs=1e-3)
