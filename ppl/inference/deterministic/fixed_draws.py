"""The mean-field objective over fixed draws, its exact Hessian-vector products, and Newton's method on it.

With f = -sum(w) - mean log p(u), u = F (a + exp(w) z): gradients g and products h of the log density are pulled back
by F; see Giordano, Ingram and Broderick (2024).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ppl.inference.clock import ENDLESS, Clock

Rows = np.ndarray
LARGEST_LOG_SD = 10.0
ENOUGH = 1e-4
"""Half the Newton decrement, in nats, below which the optimum is found: means are then within 0.015 sd of it."""
NEWTON_ROUNDS, NEWTON_STEPS = 4, 5
SOLVED, MOST_STEPS = 1e-6, 200
"""Relative residual at which conjugate gradients stop, and after how many steps at the latest."""


class Curved(Protocol):
    """A log density of rows (draws, dim), with gradients and products of Hessians with vectors."""

    def value_and_gradient(self, rows: Rows) -> tuple[np.ndarray, Rows]: ...

    def curved(self, rows: Rows, vectors: np.ndarray, step: np.ndarray) -> np.ndarray: ...


@dataclass(frozen=True)
class Whitening:
    """Coordinates `v` in which a target is near a standard normal: `u = centre + factor v`.

    A `factor` of one dimension holds the diagonal of one.
    """

    centre: np.ndarray
    factor: np.ndarray

    def rows(self, v: Rows) -> Rows:
        return self.centre + self.push(v)

    def push(self, v: Rows) -> Rows:
        """Directions (…, dim) of `v` as those of `u`."""
        return v * self.factor if self.factor.ndim == 1 else v @ self.factor.T

    def pull(self, gradients: Rows) -> Rows:
        """Gradients (…, dim) in `u` as those in `v`."""
        return gradients * self.factor if self.factor.ndim == 1 else gradients @ self.factor

    @property
    def log_det(self) -> float:
        dense = self.factor.ndim > 1
        return float(np.linalg.slogdet(self.factor)[1] if dense else np.log(np.abs(self.factor)).sum())

    def sd(self, scale: np.ndarray) -> np.ndarray:
        """Sds of `u` for independent `v` with these."""
        return np.abs(self.factor * scale) if self.factor.ndim == 1 else np.sqrt(np.sum((self.factor * scale) ** 2, 1))


@dataclass(frozen=True)
class FixedDraws:
    """Minus the ELBO, less a constant, at eta = (means, log sds) in whitened coordinates: (2 dim,).

    `history` has the ELBO of every evaluation.
    """

    target: Curved
    whitening: Whitening
    noise: np.ndarray
    history: list[float] = field(default_factory=list)

    @property
    def dim(self) -> int:
        return self.noise.shape[1]

    @property
    def constant(self) -> float:
        """What the ELBO is above minus this."""
        return 0.5 * self.dim * float(np.log(2 * np.pi * np.e)) + self.whitening.log_det

    def at(self, eta: np.ndarray) -> tuple[Rows, np.ndarray]:
        """The draws in the target's coordinates and their deviations in whitened ones: (draws, dim)."""
        jitter = np.exp(np.minimum(eta[self.dim :], LARGEST_LOG_SD)) * self.noise
        return self.whitening.rows(eta[: self.dim] + jitter), jitter

    def __call__(self, eta: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient; infinite where a log density is not finite."""
        rows, jitter = self.at(eta)
        values, gradients = self.target.value_and_gradient(rows)
        gradients = self.whitening.pull(gradients)
        if not np.all(np.isfinite(values)) or not np.all(np.isfinite(gradients)):
            return np.inf, np.zeros_like(eta)
        self.history.append(float(values.mean() + np.minimum(eta[self.dim :], LARGEST_LOG_SD).sum()))
        return -self.history[-1], -self.scores(gradients, jitter).mean(axis=0)

    def scores(self, gradients: Rows, jitter: np.ndarray) -> Rows:
        """Slopes of the ELBO of each draw: (draws, 2 dim)."""
        return np.concatenate([gradients, 1.0 + gradients * jitter], axis=1)

    def begin(self) -> np.ndarray:
        """Unit sds, or narrower ones where the log density is not finite there."""
        start = np.zeros(2 * self.dim)
        while not np.isfinite(self(start)[0]) and start[-1] > -8.0:
            start[self.dim :] -= 1.0
        return start

    def curvature(self, eta: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """The Hessian at a point as a function of vectors (count, 2 dim), from exact products."""
        rows, jitter = self.at(eta)
        gradients = self.whitening.pull(self.target.value_and_gradient(rows)[1])
        bend = np.mean(gradients * jitter, axis=0)
        step = 1e-3 * self.whitening.sd(np.exp(np.minimum(eta[self.dim :], LARGEST_LOG_SD)))

        def times(vectors: np.ndarray) -> np.ndarray:
            means, logs = vectors[:, : self.dim], vectors[:, self.dim :]
            moves = self.whitening.push(means[:, None] + logs[:, None] * jitter)
            found = self.whitening.pull(self.target.curved(rows, moves, step))
            return -np.concatenate([found.mean(axis=1), np.mean(found * jitter, axis=1) + logs * bend], axis=1)

        return times

    def product(self, eta: np.ndarray, vector: np.ndarray) -> np.ndarray:
        """The Hessian at a point times one vector."""
        return self.curvature(eta)(vector[None])[0]


def newton(objective: FixedDraws, eta: np.ndarray, clock: Clock = ENDLESS) -> tuple[np.ndarray, float]:
    """Trust-region Newton-CG from a point near the optimum: the point, and half the Newton decrement in nats.

    That is infinite where the Hessian is not positive definite.
    """
    from scipy.optimize import minimize

    decrement = np.inf
    for _ in range(NEWTON_ROUNDS):
        gradient = objective(eta)[1]
        step, sound = conjugate_gradients(objective.curvature(eta), gradient[None], 1e-3)
        decrement = 0.5 * float(gradient @ step[0]) if sound else np.inf
        if decrement < ENOUGH or clock.over("Newton's method"):
            break

        try:
            found = minimize(
                objective.__call__, eta, jac=True, method="trust-ncg", hessp=objective.product,
                options={"maxiter": NEWTON_STEPS, "gtol": 1e-8}, callback=clock.stopper("Newton's method"),
            )  # fmt: skip
        except ValueError:  # a step beyond the largest numbers: there is no optimum this way
            return eta, np.inf
        if not found.fun < objective(eta)[0]:
            break
        eta = found.x
    return eta, decrement


def conjugate_gradients(
    times: Callable[[np.ndarray], np.ndarray], right: np.ndarray, tolerance: float = SOLVED
) -> tuple[np.ndarray, bool]:
    """Solutions of `H x = b` for many b at once (count, size), and whether all are found.

    Not so where a direction of negative curvature is met.
    """
    found, residual = np.zeros_like(right), right.copy()
    direction, square = residual.copy(), np.sum(right**2, axis=1)
    goal = tolerance**2 * square
    for _ in range(MOST_STEPS):
        going = square > goal
        if not going.any():
            return found, True
        product = times(direction[going])
        bend = np.sum(direction[going] * product, axis=1)
        if not np.all(bend > 0.0):
            return found, False
        length = (square[going] / bend)[:, None]
        found[going] += length * direction[going]
        residual[going] -= length * product
        after = np.sum(residual[going] ** 2, axis=1)
        direction[going] = residual[going] + (after / square[going])[:, None] * direction[going]
        square[going] = after
    return found, False
