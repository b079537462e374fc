"""The full-rank Gaussian: a Cholesky factor with positive diagonal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.guides.base import GUIDES, HALF_LOG_TWO_PI, GaussianGuide, paired


@dataclass(frozen=True)
class FullRank(GaussianGuide):
    """`u = loc + L @ noise`. Parameters: loc (dim), log diagonal of L (dim), strict lower triangle by rows."""

    name: str
    doc: str

    def size(self, dim: int) -> int:
        return 2 * dim + dim * (dim - 1) // 2

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return self.near(mean, np.diag(sd))

    def near(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Exactly that Gaussian."""
        dim = len(mean)
        return np.concatenate([mean, np.log(np.diag(factor)), factor[np.tril_indices(dim, -1)]])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        loc, factor = self.unpack(xp, parameters)
        return loc + noise @ factor.T

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        loc, factor = self.unpack(xp, parameters)
        dim = loc.shape[0]
        standard = xp.solve_triangular(factor, (draws - loc).T, True)
        log_det = xp.sum(parameters[dim : 2 * dim])
        return -0.5 * xp.sum(standard * standard, axis=0) - log_det - dim * HALF_LOG_TWO_PI

    def fixed_noise(self, rng: np.random.Generator, pairs: int, dim: int) -> np.ndarray | None:
        """Orthogonal columns, so that no direction is without draws; many more of them than directions."""
        return paired(np.linalg.qr(rng.standard_normal((pairs, dim)))[0]) if pairs >= 4 * dim else None

    def entropy(self, xp: Any, parameters: Any) -> Any:
        dim = _dimension(parameters.shape[0])
        return xp.sum(parameters[dim : 2 * dim]) + dim * (0.5 + HALF_LOG_TWO_PI)

    def marginals(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        loc, factor = self.unpack(xp, parameters)
        return loc, xp.sum(factor * factor, axis=1)

    def spread(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        return None, self.unpack(xp, parameters)[1].T

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        loc, factor = self.unpack(np, parameters)
        return loc, factor @ factor.T

    def unpack(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        """Loc (dim,) and Cholesky factor (dim, dim)."""
        dim = _dimension(parameters.shape[0])
        rows, columns = np.tril_indices(dim, -1)
        # position of element (i, j) in (log diagonal | strict lower | one zero)
        place = np.full((dim, dim), dim * (dim - 1) // 2)
        place[rows, columns] = np.arange(len(rows))
        lower = xp.concatenate([parameters[2 * dim :], np.zeros(1)])[place]
        return parameters[:dim], lower + xp.exp(parameters[dim : 2 * dim]) * np.eye(dim)


def _dimension(size: int) -> int:
    """The dim for which dim (dim + 3) / 2 parameters are needed."""
    return (math.isqrt(9 + 8 * size) - 3) // 2


FULL_RANK = FullRank("full_rank", "One multivariate Gaussian in unconstrained space.")
GUIDES.register(FULL_RANK)
GUIDES.register(FullRank("laplace", "The Gaussian at the mode with the curvature there: Laplace's approximation."))
