"""The log joint density over unconstrained vectors, many rows at once, with gradients and Hessians."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ppl.backends import Backend
from ppl.guides import Guide
from ppl.inference.work import GRADIENT, density_seconds, widest_array
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.runtime import Executor

_CHUNK = 4_000_000
"""Numbers in the largest temporary array of one evaluation, roughly."""


class Target:
    """`log p(x, z(u)) + log |det dz/du|` for a plan without scored sites and learned points.

    Vectors have length `dim`; every method takes rows (draws, dim) and works through them in blocks. `evaluations`
    counts gradients, `densities` log densities; `seconds` is about what one log density takes.
    """

    def __init__(self, plan: Plan, data: Mapping[str, Any], guide: Guide, backend: Backend) -> None:
        self.guide = guide
        self.dim = guide.layout.size
        self.evaluations = 0
        self.densities = 0
        self.seconds = density_seconds(plan)
        self._plain = Executor(plan, data, NUMPY)
        differentiable = Executor(plan, data, backend.xp)
        widest = max(self.dim, widest_array(plan, backend.xp.in_blocks))
        self._block = 1 << (max(1, _CHUNK // widest).bit_length() - 1)
        self._log_joint = backend.rows(lambda rows: differentiable.log_joint(guide, rows), self._block)

    @property
    def spent(self) -> float:
        """Estimated seconds of arithmetic so far."""
        return (GRADIENT * self.evaluations + self.densities) * self.seconds

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        self.densities += len(rows)
        with np.errstate(all="ignore"):
            return np.concatenate([self._log_joint.values(part) for part in self._blocks(rows)])

    def gradient(self, rows: np.ndarray) -> np.ndarray:
        """(draws, dim)."""
        self.evaluations += len(rows)
        with np.errstate(all="ignore"):
            return np.concatenate([self._log_joint.gradients(part) for part in self._blocks(rows)])

    def value_and_gradient(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log densities (draws,) and gradients (draws, dim)."""
        self.evaluations += len(rows)
        self.densities += len(rows) if len(rows) > 1 else 0
        with np.errstate(all="ignore"):
            parts = [self._log_joint.values_and_gradients(part) for part in self._blocks(rows)]
        values, gradients = zip(*parts, strict=True)
        return np.concatenate(values), np.concatenate(gradients)

    def hessians(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray:
        """(draws, dim, dim), symmetric.

        Exact where the backend has second derivatives, else central differences of gradients along each axis scaled by
        `step` (dim,).
        """
        exact = self._exact_hessians(rows)
        hessian = self._differences(rows, step) if exact is None else exact
        return 0.5 * (hessian + np.swapaxes(hessian, 1, 2))

    def _exact_hessians(self, rows: np.ndarray) -> np.ndarray | None:
        parts = []
        for part in self._blocks(rows, self.dim):
            found = self._log_joint.hessians(part)
            if found is None:
                return None
            parts.append(found)
        self.evaluations += 2 * self.dim * len(rows)
        return np.concatenate(parts)

    def _differences(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray:
        draws, dim = rows.shape
        offsets = np.concatenate([np.diag(step), -np.diag(step)])
        points = (rows[:, None, :] + offsets[None]).reshape(-1, dim)
        gradients = self.gradient(points).reshape(draws, 2, dim, dim)
        return (gradients[:, 0] - gradients[:, 1]) / (2.0 * step[None, :, None])

    def values(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Constrained values of every latent at each row: (draws, *shape)."""
        unpacked = self.guide.layout.unpack(np, rows)
        with np.errstate(all="ignore"):
            values = self._plain.constrain(unpacked, {})[0]
        return {name: np.broadcast_to(v, (len(rows), *np.shape(v)[1:])) for name, v in values.items()}

    def _blocks(self, rows: np.ndarray, weight: int = 1) -> list[np.ndarray]:
        """The rows in blocks; `weight` is how many times the memory of a log density one row takes."""
        size = max(1, self._block // max(weight, 1))
        return [rows[start : start + size] for start in range(0, len(rows), size)]
