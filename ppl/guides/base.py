"""What a Gaussian guide is: a distribution over a flat unconstrained vector, with its own flat parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ppl.registry import Registry

HALF_LOG_TWO_PI = 0.5 * float(np.log(2.0 * np.pi))
Array = Any


class GaussianGuide(ABC):
    """A Gaussian family over vectors of length `dim`; `parameters` is one flat vector.

    Arrays are written against `xp`; draws have shape (draws, dim).
    """

    name: str
    doc: str

    @abstractmethod
    def size(self, dim: int) -> int:
        """Number of parameters."""

    @abstractmethod
    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Parameters of the independent Gaussian with this mean and these standard deviations."""

    @abstractmethod
    def transform(self, xp: Any, parameters: Array, noise: Array) -> Array:
        """Standard normal noise (draws, dim) to draws (draws, dim)."""

    @abstractmethod
    def log_density(self, xp: Any, parameters: Array, draws: Array) -> Array:
        """Log density of draws: (draws,)."""

    @abstractmethod
    def entropy(self, xp: Any, parameters: Array) -> Array:
        """Entropy in nats."""

    @abstractmethod
    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (dim,) and covariance (dim, dim)."""


GUIDES: Registry[GaussianGuide] = Registry("guide", "ppl.guides")
