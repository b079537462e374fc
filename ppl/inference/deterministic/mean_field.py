"""Deterministic mean field with linear response: DADVI on paired, standardised draws in whitened coordinates.

Giordano, Ingram and Broderick (2024), Black box variational inference with a deterministic objective. The pairs
and their standardisation are ours: they make the fit exact on any Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.deterministic.fixed_draws import ENOUGH, Curved, FixedDraws, Rows, Whitening

STAGE = "mean field"
NEWTON_STEPS = 2
"""With the whole Hessian, after L-BFGS, where the decrement asks for them."""


class Dense(Curved, Protocol):
    """A log density whose whole Hessians are affordable."""

    def hessians(self, rows: Rows, step: np.ndarray) -> np.ndarray: ...


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
    target: Dense, whitening: Whitening, rng: np.random.Generator, pairs: int, clock: Clock = ENDLESS
) -> LinearResponse:
    """Mean field by L-BFGS on fixed draws, then the linear-response covariance from the objective's Hessian.

    Where the Newton decrement says that L-BFGS has stopped short, Newton's method goes on. Once the clock is over the
    Hessian is not asked for.
    """
    objective = FixedDraws(target, whitening, paired_draws(rng, pairs, len(whitening.centre)))
    return maximised(objective, lambda eta: _curvature(target, objective, eta), clock)


@dataclass(frozen=True)
class Curvature:
    """Of an objective at a point: its Hessian (2 dim, 2 dim), and minus its slope by each pair of draws that it keeps
    (pairs, 2 dim): one row where it has none.
    """

    hessian: np.ndarray
    scores: np.ndarray


class Objective(Protocol):
    """Minus the ELBO, up to a constant, at eta = (means, log sds) in whitened coordinates: (2 dim,)."""

    @property
    def dim(self) -> int: ...

    @property
    def constant(self) -> float: ...

    @property
    def whitening(self) -> Whitening: ...

    @property
    def history(self) -> list[float]: ...

    def __call__(self, eta: np.ndarray) -> tuple[float, np.ndarray]: ...

    def begin(self) -> np.ndarray: ...


def maximised(objective: Objective, curvature: Callable[[np.ndarray], Curvature], clock: Clock) -> LinearResponse:
    """By L-BFGS, then Newton's method with the whole Hessian where the decrement asks for it."""
    dim, whitening = objective.dim, objective.whitening
    eta = climbed(objective, objective.begin(), 1e-5, clock)
    over = clock.over(STAGE) or not objective.history
    response = _unasked(np.exp(eta[dim:])) if over else _linear_response(curvature(eta), np.exp(eta[dim:]))
    for _ in range(NEWTON_STEPS):
        if (
            not response.sound
            or response.decrement < ENOUGH
            or clock.over(STAGE)
            or not objective(eta + response.step)[0] < objective(eta)[0]
        ):
            break
        eta = eta + response.step
        response = _linear_response(curvature(eta), np.exp(eta[dim:]))
    return LinearResponse(
        mean=whitening.rows(eta[None, :dim])[0],
        covariance=whitening.push(whitening.push(response.covariance).T),
        raw_sd=whitening.sd(np.exp(eta[dim:])),
        mean_error=response.error,
        sound=response.sound,
        elbo=objective.constant - objective(eta)[0],
        history=np.array(objective.history) + objective.constant,
    )


def climbed(objective: Objective, start: np.ndarray, smallest: float, clock: Clock = ENDLESS) -> np.ndarray:
    """Up the ELBO by L-BFGS until no element of the gradient is above `smallest`, or rounding or the clock ends it."""
    from scipy.optimize import minimize

    found: np.ndarray = minimize(
        objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10, "gtol": smallest},
        callback=clock.stopper(STAGE),
    ).x  # fmt: skip
    return found


@dataclass(frozen=True)
class _Response:
    """Covariance of v by linear response, the Monte Carlo error of its mean in sds, whether both are sound, and half
    the Newton decrement of the `step` to the optimum.
    """

    covariance: np.ndarray
    error: float
    sound: bool
    decrement: float
    step: np.ndarray


def _unasked(scale: np.ndarray) -> _Response:
    """What is left without a Hessian that is positive definite: mean field's sds (dim,)."""
    return _Response(np.diag(scale**2), np.inf, False, np.inf, np.zeros(2 * len(scale)))


def _curvature(target: Dense, objective: FixedDraws, eta: np.ndarray) -> Curvature:
    whitening, dim, draws = objective.whitening, objective.dim, len(objective.noise)
    scale, factor = np.exp(eta[dim:]), whitening.factor
    rows, jitter = objective.at(eta)
    curvature = factor.T @ target.hessians(rows, 1e-3 * whitening.sd(scale)) @ factor
    gradients = whitening.pull(target.value_and_gradient(rows)[1])
    mean_mean = -curvature.mean(axis=0)
    mean_scale = -np.einsum("nij,nj->ij", curvature, jitter) / draws
    scale_scale = -np.einsum("ni,nij,nj->ij", jitter, curvature, jitter) / draws
    scale_scale -= np.diag(np.mean(gradients * jitter, axis=0))
    scores = objective.scores(gradients, jitter)
    pairs = 0.5 * (scores[: draws // 2] + scores[draws // 2 :])
    return Curvature(np.block([[mean_mean, mean_scale], [mean_scale.T, scale_scale]]), pairs)


def _linear_response(found: Curvature, scale: np.ndarray) -> _Response:
    """At mean-field sds (dim,) in whitened coordinates."""
    full, pairs, dim = found.hessian, found.scores, len(scale)
    values = np.linalg.eigvalsh(full) if np.all(np.isfinite(full)) else np.array([-1.0, 1.0])
    if values[0] <= 1e-8 * values[-1]:
        return _unasked(scale)
    inverse = np.linalg.inv(full)
    covariance, slope = inverse[:dim, :dim], pairs.mean(axis=0)
    step, error = inverse @ slope, 0.0
    if len(pairs) > 1:
        sandwich = inverse @ np.cov(pairs.T, ddof=1) @ inverse / len(pairs)
        error = float(np.sqrt(np.diag(sandwich)[:dim] / np.diag(covariance)).max())
    return _Response(covariance, error, True, 0.5 * float(slope @ step), step)
