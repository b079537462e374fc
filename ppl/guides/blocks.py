"""Independent blocks, each with a Gaussian of its own: what notes make of the mean-field guide."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.guides.base import GaussianGuide


@dataclass(frozen=True)
class Block:
    """Coordinates `members` of the vector and the Gaussian over them."""

    guide: GaussianGuide
    members: np.ndarray = field(compare=False, repr=False)

    @property
    def dim(self) -> int:
        return len(self.members)


@dataclass(frozen=True)
class Blocks(GaussianGuide):
    """A product of Gaussians over parts of the vector. Parameters and noise are those of the blocks, one by one."""

    name: str
    doc: str
    blocks: tuple[Block, ...]

    def noise_size(self, dim: int) -> int:
        return sum(block.guide.noise_size(block.dim) for block in self.blocks)

    def size(self, dim: int) -> int:
        return sum(block.guide.size(block.dim) for block in self.blocks)

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.concatenate([block.guide.initial(mean[block.members], sd[block.members]) for block in self.blocks])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        parts, start = [], 0
        for block, own in self._own(parameters):
            stop = start + block.guide.noise_size(block.dim)
            parts.append(block.guide.transform(xp, own, noise[:, start:stop]))
            start = stop
        return xp.concatenate(parts, axis=1)[:, self._places]

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        return sum(block.guide.log_density(xp, own, draws[:, block.members]) for block, own in self._own(parameters))

    def log_density_at_noise(self, xp: Any, parameters: Any, noise: Any) -> Any:
        total, start = 0.0, 0
        for block, own in self._own(parameters):
            stop = start + block.guide.noise_size(block.dim)
            total = total + block.guide.log_density_at_noise(xp, own, noise[:, start:stop])
            start = stop
        return total

    def fixed_noise(self, rng: np.random.Generator, pairs: int, dim: int) -> np.ndarray | None:
        parts = []
        for block in self.blocks:
            part = block.guide.fixed_noise(rng, pairs, block.dim)
            if part is None:
                return None
            parts.append(part)
        return np.concatenate(parts, axis=1)

    def entropy(self, xp: Any, parameters: Any) -> Any:
        return sum(block.guide.entropy(xp, own) for block, own in self._own(parameters))

    def marginals(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        found = [block.guide.marginals(xp, own) for block, own in self._own(parameters)]
        means, variances = zip(*found, strict=True)
        return xp.concatenate(means)[self._places], xp.concatenate(variances)[self._places]

    def spread(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        diagonal, columns, done = [], [], 0
        for block, own in self._own(parameters):
            variance, some = block.guide.spread(xp, own)
            diagonal.append(np.zeros(block.dim) if variance is None else variance)
            if some is not None:
                rest = len(self._places) - done - block.dim
                parts = [np.zeros((len(some), done)), some, np.zeros((len(some), rest))]
                columns.append(xp.concatenate(parts, axis=1))
            done += block.dim
        joined = xp.concatenate(columns, axis=0)[:, self._places] if columns else None
        return xp.concatenate(diagonal)[self._places], joined

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dim = len(self._places)
        mean, covariance = np.zeros(dim), np.zeros((dim, dim))
        for block, own in self._own(parameters):
            mean[block.members], covariance[np.ix_(block.members, block.members)] = block.guide.moments(own)
        return mean, covariance

    def _own(self, parameters: Any) -> list[tuple[Block, Any]]:
        """Each block with its parameters."""
        found, start = [], 0
        for block in self.blocks:
            stop = start + block.guide.size(block.dim)
            found.append((block, parameters[start:stop]))
            start = stop
        return found

    @property
    def _places(self) -> np.ndarray:
        """Where each coordinate stands among those of the blocks, one after another."""
        return np.argsort(np.concatenate([block.members for block in self.blocks]))

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(f'{block.guide} over {block.dim}' for block in self.blocks)})"
