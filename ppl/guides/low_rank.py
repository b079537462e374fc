"""The low-rank Gaussian: a diagonal plus a few common factors, for many unknowns with few strong directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ppl.guides.base import GUIDES, HALF_LOG_TWO_PI, GaussianGuide, check_family_options, paired, refuse_notes
from ppl.model.plan import Plan

ALTERNATIONS, LEAST_UNIQUE = 50, 1e-3
"""Of the factor analysis, and the least share of a variance that it leaves to the diagonal."""
START = 0.1
"""Size of the first loadings; at zero their gradient vanishes."""


@dataclass(frozen=True)
class LowRank(GaussianGuide):
    """`u = loc + exp(log_sd) * (noise_1 + V noise_2)`, covariance `D (I + V V') D`.

    Parameters: loc (dim), log_sd (dim), V (dim, rank) by rows. Noise is noise_1 (dim), then noise_2 (rank).
    Solves are of the size of the rank only (Woodbury).
    """

    rank: int = 5
    name: str = "low_rank"
    doc: str = "A Gaussian whose covariance is a diagonal plus `rank` factors; cost linear in the unknowns."
    options: ClassVar[Mapping[str, int]] = {"rank": 5}

    def __str__(self) -> str:
        return f"{self.name} (rank {self.rank})"

    def for_plan(self, plan: Plan, **options: Any) -> LowRank:
        check_family_options(self, options)
        refuse_notes(plan, self.name, "fullrank")
        return replace(self, **options)

    def noise_size(self, dim: int) -> int:
        return dim + self.rank

    def size(self, dim: int) -> int:
        return (2 + self.rank) * dim

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        # columns of a cosine transform: no two of them alike, whatever the rank
        angles = np.outer(np.arange(len(mean)) + 0.5, np.arange(self.rank)) * (np.pi / max(len(mean), 1))
        return self.pack(mean, sd, START * np.cos(angles))

    def near(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Maximum likelihood factor analysis of its covariance, by alternation."""
        scale = np.sqrt(np.sum(factor**2, axis=1))
        correlation = (factor @ factor.T) / np.outer(scale, scale)
        unique = np.full(len(mean), 0.5)
        for _ in range(ALTERNATIONS):
            values, vectors = np.linalg.eigh(correlation / np.sqrt(np.outer(unique, unique)))
            values, vectors = values[::-1][: self.rank], vectors[:, ::-1][:, : self.rank]
            loadings = vectors * np.sqrt(np.maximum(values - 1.0, 0.0))
            unique = np.clip(1.0 - unique * np.sum(loadings**2, axis=1), LEAST_UNIQUE, 1.0)
        wide = np.zeros((len(mean), self.rank))
        wide[:, : loadings.shape[1]] = loadings
        return self.pack(mean, scale * np.sqrt(unique), wide)

    def pack(self, mean: np.ndarray, sd: np.ndarray, loadings: np.ndarray) -> np.ndarray:
        """Parameters from loc (dim,), diagonal (dim,) and V (dim, rank)."""
        return np.concatenate([mean, np.log(sd), loadings.ravel()])

    def unpack(self, xp: Any, parameters: Any) -> tuple[Any, Any, Any]:
        """Loc (dim,), log_sd (dim,) and V (dim, rank)."""
        dim = parameters.shape[0] // (2 + self.rank)
        return parameters[:dim], parameters[dim : 2 * dim], xp.reshape(parameters[2 * dim :], (dim, self.rank))

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        loc, log_sd, loadings = self.unpack(xp, parameters)
        dim = loc.shape[0]
        return loc + xp.exp(log_sd) * (noise[:, :dim] + noise[:, dim:] @ loadings.T)

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        loc, log_sd, _ = self.unpack(xp, parameters)
        return self._standard_density(xp, parameters, (draws - loc) * xp.exp(-log_sd))

    def log_density_at_noise(self, xp: Any, parameters: Any, noise: Any) -> Any:
        _, _, loadings = self.unpack(xp, parameters)
        dim = loadings.shape[0]
        return self._standard_density(xp, parameters, noise[:, :dim] + noise[:, dim:] @ loadings.T)

    def fixed_noise(self, rng: np.random.Generator, pairs: int, dim: int) -> np.ndarray | None:
        """The factors' columns are orthogonal to all others: no loading can cancel what the diagonal adds."""
        if pairs < 4 * self.rank:
            return None
        factors = np.linalg.qr(rng.standard_normal((pairs, self.rank)))[0]
        own = rng.standard_normal((pairs, dim))
        return paired(np.concatenate([own - factors @ (factors.T @ own), factors], axis=1))

    def entropy(self, xp: Any, parameters: Any) -> Any:
        loc, _, _ = self.unpack(xp, parameters)
        return self._half_log_det(xp, parameters) + loc.shape[0] * (0.5 + HALF_LOG_TWO_PI)

    def marginals(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        loc, log_sd, loadings = self.unpack(xp, parameters)
        return loc, xp.exp(2.0 * log_sd) * (1.0 + xp.sum(loadings * loadings, axis=1))

    def spread(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        _, log_sd, loadings = self.unpack(xp, parameters)
        sd = xp.exp(log_sd)
        return sd * sd, loadings.T * sd

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        loc, log_sd, loadings = self.unpack(np, parameters)
        sd = np.exp(log_sd)
        return loc, (np.eye(len(loc)) + loadings @ loadings.T) * np.outer(sd, sd)

    def _standard_density(self, xp: Any, parameters: Any, standard: Any) -> Any:
        """Log density at draws less loc, over the diagonal: (draws,)."""
        _, _, loadings = self.unpack(xp, parameters)
        seen = standard @ loadings
        explained = xp.sum(seen * xp.linalg.solve(self._inner(xp, loadings), seen.T).T, axis=1)
        square = xp.sum(standard * standard, axis=1) - explained
        return -0.5 * square - self._half_log_det(xp, parameters) - loadings.shape[0] * HALF_LOG_TWO_PI

    def _half_log_det(self, xp: Any, parameters: Any) -> Any:
        _, log_sd, loadings = self.unpack(xp, parameters)
        factor = xp.linalg.cholesky(self._inner(xp, loadings))
        return xp.sum(log_sd) + xp.sum(xp.log(xp.sum(factor * np.eye(self.rank), axis=1)))

    def _inner(self, xp: Any, loadings: Any) -> Any:
        return np.eye(self.rank) + loadings.T @ loadings


GUIDES.register(LowRank())
