"""The log joint density over unconstrained vectors, many rows at once, with gradients and Hessians."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.backends import Backend
from ppl.guides import Guide
from ppl.inference.work import density_seconds
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.runtime import Executor

_CHUNK = 4_000_000
"""Numbers in the largest temporary array of one evaluation, roughly."""


class Target:
    """`log p(x, z(u)) + log |det dz/du|` for a plan without scored sites and learned points.

    Vectors have length `dim`; every method takes rows (draws, dim) and works through them in blocks. `evaluations`
    counts gradients; `seconds` is about what one log density takes.
    """

    def __init__(self, plan: Plan, data: Mapping[str, Any], guide: Guide, backend: Backend) -> None:
        self.guide = guide
        self.dim = guide.layout.size
        self.evaluations = 0
        self.seconds = density_seconds(plan.model)
        self._plain = Executor(plan, data, NUMPY)
        differentiable = Executor(plan, data, backend.xp)
        self._value_and_grad = backend.value_and_grad(
            lambda rows: backend.xp.sum(differentiable.log_joint(guide, rows))
        )
        widest = max([self.dim, *(int(np.prod(site.shape)) for site in plan.model.sites)], default=1)
        widest = max([widest, *(elimination.largest for elimination in plan.eliminations)])
        self._block = max(1, _CHUNK // widest)

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        with np.errstate(all="ignore"):
            parts = [self._plain.log_joint(self.guide, part) for part in self._blocks(rows)]
        return np.concatenate(parts)

    def gradient(self, rows: np.ndarray) -> np.ndarray:
        """(draws, dim): draws are independent, so the gradient of the sum holds each one's own."""
        self.evaluations += len(rows)
        with np.errstate(all="ignore"):
            return np.concatenate([self._value_and_grad(part)[1] for part in self._blocks(rows)])

    def value_and_gradient(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log densities (draws,) and gradients (draws, dim)."""
        if len(rows) > 1:
            return self.log_density(rows), self.gradient(rows)
        self.evaluations += 1
        with np.errstate(all="ignore"):
            value, gradient = self._value_and_grad(rows)
        return np.array([float(value)]), gradient

    def hessians(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Central differences of gradients along each axis scaled by `step` (dim,): (draws, dim, dim), symmetric."""
        draws, dim = rows.shape
        offsets = np.concatenate([np.diag(step), -np.diag(step)])
        points = (rows[:, None, :] + offsets[None]).reshape(-1, dim)
        gradients = self.gradient(points).reshape(draws, 2, dim, dim)
        hessian = (gradients[:, 0] - gradients[:, 1]) / (2.0 * step[None, :, None])
        return 0.5 * (hessian + np.swapaxes(hessian, 1, 2))

    def values(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Constrained values of every latent at each row: (draws, *shape)."""
        unpacked = self.guide.layout.unpack(np, rows)
        with np.errstate(all="ignore"):
            values = self._plain.constrain(unpacked, {})[0]
        return {name: np.broadcast_to(v, (len(rows), *np.shape(v)[1:])) for name, v in values.items()}

    def _blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        return [rows[start : start + self._block] for start in range(0, len(rows), self._block)]
