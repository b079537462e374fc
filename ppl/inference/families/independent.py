"""Mean field whose memory and cost are linear in the unknowns: where other guides begin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.deterministic.fixed_draws import LARGEST_LOG_SD
from ppl.inference.deterministic.mean_field import STAGE, paired_draws
from ppl.inference.target import Target

PAIRS = 16
PROBES = 16
ROUNDS = 6
DENSE = 400
"""Up to this many unknowns the whole Hessian is looked at."""


@dataclass(frozen=True)
class Independent:
    """Means and sds of independent Gaussians, with their ELBO over the fixed draws."""

    mean: np.ndarray
    sd: np.ndarray
    elbo: float

    def widest(self, target: Target, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The lowest eigenvalues of minus the expected Hessian in units of the sds, and their vectors (dim, count).

        In those units its diagonal is about 1; a low eigenvalue is a direction in which mean field is too narrow.
        """
        if count < 1 or target.clock.over(STAGE):
            return np.zeros(0), np.zeros((target.dim, 0))
        rows = self.mean + self.sd * paired_draws(rng, 4, target.dim)
        if target.dim <= DENSE:
            hessian = target.hessians(rows, 1e-3 * self.sd).mean(axis=0)
            values, vectors = np.linalg.eigh(-np.nan_to_num(hessian) * np.outer(self.sd, self.sd))
            return values[:count], vectors[:, :count]
        from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

        operator = LinearOperator((target.dim, target.dim), lambda v: self._curved(target, rows, v), dtype=float)
        try:
            return eigsh(operator, count, which="SA", tol=0.05, maxiter=200, v0=rng.standard_normal(target.dim))
        except ArpackNoConvergence as found:
            return found.eigenvalues, found.eigenvectors

    def _curved(self, target: Target, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """Minus the mean Hessian in units of the sds, times a vector."""
        moves = (self.sd * vector.ravel())[None, None]
        return -self.sd * target.curved(rows, moves, 1e-3 * self.sd)[0].mean(axis=0)


def fit_independent(target: Target, start: np.ndarray, rng: np.random.Generator) -> Independent:
    """Mean field over fixed draws, from unit scales at the start and from the mode's scales; the better one."""
    noise = paired_draws(rng, PAIRS, target.dim)
    first = _climb(target, start, np.ones(target.dim), noise)
    if target.clock.over(STAGE):
        return first
    mode, sd = _mode(target, start, rng)
    second = _climb(target, mode, sd, noise)
    return first if not second.elbo > first.elbo else second


def _climb(target: Target, centre: np.ndarray, unit: np.ndarray, noise: np.ndarray) -> Independent:
    """Mean field by L-BFGS, with steps in these units."""
    from scipy.optimize import minimize

    dim = len(centre)

    def loss(eta: np.ndarray) -> tuple[float, np.ndarray]:
        log_sd = np.minimum(eta[dim:], LARGEST_LOG_SD)
        moved = np.exp(log_sd) * noise
        values, gradients = target.value_and_gradient(centre + unit * (eta[:dim] + moved))
        if not np.all(np.isfinite(values)) or not np.all(np.isfinite(gradients)):
            return np.inf, np.zeros_like(eta)
        gradients = gradients * unit
        down = np.concatenate([gradients.mean(axis=0), 1.0 + np.mean(gradients * moved, axis=0)])
        return -float(values.mean() + log_sd.sum()), -down

    eta = np.zeros(2 * dim)
    while not np.isfinite(loss(eta)[0]) and eta[-1] > -12.0:
        eta[dim:] -= 1.0
    found = minimize(
        loss, eta, jac=True, method="L-BFGS-B", options={"maxiter": 500, "ftol": 1e-10, "gtol": 1e-4},
        callback=target.clock.stopper(STAGE),
    )  # fmt: skip
    sd = unit * np.exp(np.minimum(found.x[dim:], LARGEST_LOG_SD))
    elbo = -float(found.fun) + float(np.log(unit).sum()) + 0.5 * dim * np.log(2.0 * np.pi * np.e)
    return Independent(centre + unit * found.x[:dim], sd, elbo if np.isfinite(elbo) else -np.inf)


def _mode(target: Target, start: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A point near a mode and the scales of the coordinates there, by rounds of L-BFGS in the last round's scales."""
    from scipy.optimize import minimize

    vector, unit = start, _scales(target, start, np.full(len(start), 1e-4), rng)
    for _ in range(ROUNDS):

        def loss(v: np.ndarray, vector: np.ndarray = vector, unit: np.ndarray = unit) -> tuple[float, np.ndarray]:
            values, gradients = target.value_and_gradient((vector + unit * v)[None])
            if not np.isfinite(values[0]) or not np.all(np.isfinite(gradients)):
                return np.inf, np.zeros_like(v)
            return -float(values[0]), -gradients[0] * unit

        found = minimize(
            loss, np.zeros(len(vector)), jac=True, method="L-BFGS-B", options={"maxiter": 100},
            callback=target.clock.stopper(STAGE),
        )  # fmt: skip
        vector = vector + unit * found.x
        unit = _scales(target, vector, 1e-3 * unit, rng)
        if float(np.abs(found.x).max(initial=0.0)) < 0.1 or target.clock.over(STAGE):
            break
    return vector, unit


def _scales(target: Target, vector: np.ndarray, step: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One over the root of the curvature along each coordinate, whose diagonal is probed (Bekas et al. 2007)."""
    dim = len(vector)
    step = np.maximum(step, 1e-8 * (1.0 + np.abs(vector)))
    signs = np.eye(dim) if dim <= PROBES else rng.choice([-1.0, 1.0], (PROBES, dim))
    change = target.gradient(vector + step * signs) - target.gradient(vector - step * signs)
    curvature = -np.sum(change * signs, axis=0) / (2.0 * step * np.sum(signs**2, axis=0))
    curvature = np.where(np.isfinite(curvature), np.abs(curvature), 1.0)
    return 1.0 / np.sqrt(np.clip(curvature, 1e-12, 1e16))
