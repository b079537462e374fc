"""Deterministic mean field with linear response: DADVI on paired, standardised draws in whitened coordinates.

Giordano, Ingram and Broderick (2024), Black box variational inference with a deterministic objective. The pairs
and their standardisation are ours: they make the fit exact on any Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Rows = np.ndarray


@dataclass(frozen=True)
class Whitening:
    """Coordinates `v` in which a target is near a standard normal: `u = centre + factor v`."""

    centre: np.ndarray
    factor: np.ndarray

    def rows(self, v: Rows) -> Rows:
        return self.centre + v @ self.factor.T


@dataclass(frozen=True)
class LinearResponse:
    """The outcome in the target's coordinates: mean, mean-field sd and linear-response covariance.

    `mean_error` is the Monte Carlo error of the mean because the draws are finite, in units of the
    linear-response sd (whitened coordinates). `sound` is False where the Hessian is not positive definite: then the
    covariance is the mean field's.
    """

    mean: np.ndarray
    covariance: np.ndarray
    raw_sd: np.ndarray
    mean_error: float
    sound: bool
    elbo: float
    history: np.ndarray


def whiten(centre: np.ndarray, hessian: np.ndarray, floor: float = 1e-6) -> Whitening:
    """Coordinates from minus a Hessian at a point; eigenvalues are made positive and floored relative to the largest.

    The spectrum is taken after scaling to unit diagonal, so that badly scaled parameters do not set the floor.
    """
    scale = 1.0 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    values, vectors = np.linalg.eigh(-hessian * np.outer(scale, scale))
    values = np.maximum(np.abs(values), floor * np.abs(values).max())
    return Whitening(centre, scale[:, None] * vectors / np.sqrt(values))


def paired_draws(rng: np.random.Generator, pairs: int, dim: int) -> np.ndarray:
    """Standard normal draws in ± pairs with unit variances: (2 pairs, dim).

    Where there are enough pairs the columns are orthogonal too, so that all second moments are those of the normal
    and a Gaussian target is fitted without any Monte Carlo error.
    """
    half = rng.standard_normal((pairs, dim))
    if pairs >= dim:
        half = np.linalg.qr(half)[0]
    draws = np.concatenate([half, -half])
    return draws / np.sqrt(np.mean(draws**2, axis=0))


def fit_mean_field(
    value_and_gradient: Callable[[Rows], tuple[np.ndarray, Rows]],
    hessians: Callable[[Rows, np.ndarray], np.ndarray],
    whitening: Whitening,
    rng: np.random.Generator,
    pairs: int,
) -> LinearResponse:
    """Mean field by L-BFGS on fixed draws, then the linear-response covariance from the objective's Hessian."""
    from scipy.optimize import minimize

    dim = len(whitening.centre)
    noise = paired_draws(rng, pairs, dim)
    history: list[float] = []

    def objective(eta: np.ndarray) -> tuple[float, np.ndarray]:
        loc, scale = eta[:dim], np.exp(np.minimum(eta[dim:], 10.0))
        values, gradients = value_and_gradient(whitening.rows(loc + scale * noise))
        gradients = gradients @ whitening.factor
        if not np.all(np.isfinite(values)) or not np.all(np.isfinite(gradients)):
            return np.inf, np.zeros_like(eta)
        history.append(float(values.mean() + eta[dim:].sum()))
        down = np.concatenate([gradients.mean(axis=0), 1.0 + np.mean(gradients * scale * noise, axis=0)])
        return -history[-1], -down

    start = np.zeros(2 * dim)
    while not np.isfinite(objective(start)[0]) and start[-1] > -8.0:
        start[dim:] -= 1.0
    found = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10, "gtol": 1e-5}
    )
    loc, scale = found.x[:dim], np.exp(found.x[dim:])
    covariance, error, sound = _linear_response(value_and_gradient, hessians, whitening, noise, loc, scale)
    factor = whitening.factor
    return LinearResponse(
        mean=whitening.rows(loc[None])[0],
        covariance=factor @ covariance @ factor.T,
        raw_sd=np.sqrt(np.diag(factor @ np.diag(scale**2) @ factor.T)),
        mean_error=error,
        sound=sound,
        elbo=-float(found.fun) + 0.5 * dim * np.log(2 * np.pi * np.e) + float(np.linalg.slogdet(factor)[1]),
        history=np.array(history),
    )


def _linear_response(
    value_and_gradient: Callable[[Rows], tuple[np.ndarray, Rows]],
    hessians: Callable[[Rows, np.ndarray], np.ndarray],
    whitening: Whitening,
    noise: np.ndarray,
    loc: np.ndarray,
    scale: np.ndarray,
) -> tuple[np.ndarray, float, bool]:
    """Covariance of v by linear response, the Monte Carlo error of its mean in sds, and whether it is sound."""
    dim, factor = len(loc), whitening.factor
    rows = whitening.rows(loc + scale * noise)
    step = 1e-3 * np.sqrt(np.sum((factor * scale) ** 2, axis=1))
    curvature = factor.T @ hessians(rows, step) @ factor
    gradients = value_and_gradient(rows)[1] @ factor
    jitter = scale * noise
    mean_mean = -curvature.mean(axis=0)
    mean_scale = -np.einsum("nij,nj->ij", curvature, jitter) / len(noise)
    scale_scale = -np.einsum("ni,nij,nj->ij", jitter, curvature, jitter) / len(noise)
    scale_scale -= np.diag(np.mean(gradients * jitter, axis=0))
    full = np.block([[mean_mean, mean_scale], [mean_scale.T, scale_scale]])
    values = np.linalg.eigvalsh(full) if np.all(np.isfinite(full)) else np.array([-1.0, 1.0])
    if values[0] <= 1e-8 * values[-1]:
        return np.diag(scale**2), np.inf, False
    inverse = np.linalg.inv(full)
    covariance = inverse[:dim, :dim]
    scores = np.concatenate([gradients, 1.0 + gradients * jitter], axis=1)
    pairs = 0.5 * (scores[: len(noise) // 2] + scores[len(noise) // 2 :])
    sandwich = inverse @ np.cov(pairs.T, ddof=1) @ inverse / len(pairs)
    error = np.sqrt(np.diag(sandwich)[:dim] / np.diag(covariance))
    return covariance, float(error.max()), True
