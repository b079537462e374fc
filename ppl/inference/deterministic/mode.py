"""Finding a mode without a step size: L-BFGS in coordinates that each round's Hessian has whitened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.mean_field import whiten
from ppl.inference.target import Target

_FAR = 1e6
_KEPT, _OFTEN = 1e-3, 2
"""Where rounds gain less than this part of what the slope at their end promises, so often in a row, there is a kink."""
STAGE = "the search for modes"


@dataclass(frozen=True)
class Mode:
    """A stationary point with the whitening of its Hessian; `evidence` is its Laplace estimate in nats."""

    whitening: Whitening
    value: float
    found: bool

    @property
    def vector(self) -> np.ndarray:
        return self.whitening.centre

    @property
    def evidence(self) -> float:
        dim = len(self.vector)
        return self.value + 0.5 * dim * np.log(2 * np.pi) + float(np.linalg.slogdet(self.whitening.factor)[1])


def find_mode(target: Target, start: np.ndarray, rounds: int = 12) -> Mode:
    """Climb from a start; badly scaled parameters do no harm, since every round rescales them.

    `found` is False where the gradient did not become small: the mode is at infinity, the density is rough, or the
    target's clock was over.
    """
    from scipy.optimize import minimize

    vector = start
    step = np.full(len(start), 1e-4)
    stuck = 0
    for _ in range(rounds):
        whitening = _whitening_at(target, vector, step)

        def loss(v: np.ndarray, whitening: Whitening = whitening) -> tuple[float, np.ndarray]:
            values, gradients = target.value_and_gradient(whitening.rows(v[None]))
            if not np.isfinite(values[0]) or not np.all(np.isfinite(gradients)):
                return np.inf, np.zeros_like(v)
            return -float(values[0]), -gradients[0] @ whitening.factor

        result = minimize(
            loss, np.zeros(len(vector)), jac=True, method="L-BFGS-B", options={"maxiter": 60, "maxls": 40},
            callback=target.clock.stopper(STAGE),
        )  # fmt: skip
        moved = whitening.rows(result.x[None])[0]
        stuck = stuck + 1 if loss(np.zeros(len(vector)))[0] - result.fun < _KEPT * 0.5 * np.sum(result.jac**2) else 0
        small = float(np.linalg.norm(result.jac)) < 1e-3 * np.sqrt(len(vector)) and float(np.abs(result.x).max()) < 0.05
        vector = moved if np.all(np.isfinite(moved)) and np.abs(moved).max() < _FAR else vector
        step = 1e-3 * np.sqrt(np.sum(whitening.factor**2, axis=1))
        if small or stuck == _OFTEN or target.clock.over(STAGE):
            break
    final = _whitening_at(target, vector, step)
    return Mode(final, float(target.log_density(vector[None])[0]), small)


def _whitening_at(target: Target, vector: np.ndarray, step: np.ndarray) -> Whitening:
    hessian = target.hessians(vector[None], np.maximum(step, 1e-8 * (1.0 + np.abs(vector))))[0]
    if not np.all(np.isfinite(hessian)):
        return Whitening(vector, np.eye(len(vector)))
    return whiten(vector, hessian)
