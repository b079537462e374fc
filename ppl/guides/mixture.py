"""A mixture of Gaussians, for posteriors with several modes or strong skew.

Draws move with the components' parameters by their responsibilities: where component k would move a point z by
v_k(z), the mixture moves it by `sum_k r_k(z) v_k(z)`, which carries the whole density along (Figurnov, Mohamed and Mnih
2018, Implicit reparameterisation gradients, has another such field). The weights have the score function instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ppl.guides.base import GUIDES, VectorGuide, check_family_options
from ppl.guides.full_rank import FULL_RANK
from ppl.model.plan import Plan

APART = 1.0
"""How far from the mean, in sds, the first components stand."""


@dataclass(frozen=True)
class GaussianMixture(VectorGuide):
    """`sum_k w_k N(loc_k, L_k L_k')`. Parameters: logits of the weights (components), then those of each Gaussian.

    The noise of a draw is that of a component (dim), then one number whose normal quantile picks which.
    """

    components: int = 2
    name: str = "mixture"
    doc: str = "A mixture of `components` Gaussians, for several modes."
    options: ClassVar[Mapping[str, int]] = {"components": 2}
    most: ClassVar[int | None] = 500

    @property
    def scored(self) -> int:  # type: ignore[override]
        return self.components

    def __str__(self) -> str:
        return f"{self.name} ({self.components} components)"

    def for_plan(self, plan: Plan, **options: Any) -> GaussianMixture:
        check_family_options(self, options)
        return replace(self, **options)

    def noise_size(self, dim: int) -> int:
        return dim + 1

    def size(self, dim: int) -> int:
        return self.components * (1 + FULL_RANK.size(dim))

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return self.near(mean, np.diag(sd))

    def near(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Components of its covariance, set apart."""
        offsets = APART * np.random.default_rng(0).standard_normal((self.components, len(mean)))
        means = mean + (offsets - offsets.mean(axis=0)) @ factor.T
        return self.pack(np.ones(self.components), means, [factor] * self.components)

    def pack(self, weights: np.ndarray, means: Any, factors: Any) -> np.ndarray:
        """Parameters from weights (components,), means (components, dim) and Cholesky factors."""
        own = [FULL_RANK.near(mean, factor) for mean, factor in zip(means, factors, strict=True)]
        return np.concatenate([np.log(weights / np.sum(weights)), *own])

    def weights(self, parameters: np.ndarray) -> np.ndarray:
        """The share of each component."""
        return _softmax(np, parameters[: self.components])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        dim = noise.shape[1] - 1
        drawn = xp.stop_gradient(self._drawn(xp, parameters, noise))
        held = xp.stop_gradient(parameters)
        shares = xp.stop_gradient(self._responsibilities(xp, held, drawn))
        total = drawn
        for k, (own, fixed) in enumerate(zip(self._own(parameters, dim), self._own(held, dim), strict=True)):
            loc, factor = FULL_RANK.unpack(xp, fixed)
            standard = xp.stop_gradient(xp.solve_triangular(factor, (drawn - loc).T, True).T)
            moved = FULL_RANK.transform(xp, own, standard)
            total = total + shares[:, k : k + 1] * (moved - xp.stop_gradient(moved))
        return total

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        return _log_sum(xp, self._joint(xp, parameters, draws))

    def _drawn(self, xp: Any, parameters: Any, noise: Any) -> Any:
        """Draws of the component that each row's last number picks."""
        dim = noise.shape[1] - 1
        place = 0.5 * (1.0 + xp.special.erf(noise[:, dim:] * np.sqrt(0.5)))
        total, below = 0.0, 0.0
        shares = _softmax(xp, parameters[: self.components])
        for k, own in enumerate(self._own(parameters, dim)):
            above = below + shares[k] if k < self.components - 1 else 2.0
            chosen = (place >= below) & (place < above)
            total = total + xp.where(chosen, FULL_RANK.transform(xp, own, noise[:, :dim]), 0.0)
            below = above
        return total

    def _responsibilities(self, xp: Any, parameters: Any, draws: Any) -> Any:
        """The share of each component in the density at each draw: (draws, components)."""
        joint = self._joint(xp, parameters, draws)
        return xp.exp(joint - xp.reshape(_log_sum(xp, joint), (-1, 1)))

    def _joint(self, xp: Any, parameters: Any, draws: Any) -> Any:
        """Log weight plus log density of each component: (draws, components)."""
        logits = parameters[: self.components]
        top = xp.stop_gradient(xp.max(logits))
        log_weights = logits - top - xp.log(xp.sum(xp.exp(logits - top)))
        own = self._own(parameters, draws.shape[1])
        return xp.stack([log_weights[k] + FULL_RANK.log_density(xp, part, draws) for k, part in enumerate(own)], axis=1)

    def _own(self, parameters: Any, dim: int) -> list[Any]:
        """The parameters of each component."""
        size, first = FULL_RANK.size(dim), self.components
        return [parameters[first + k * size : first + (k + 1) * size] for k in range(self.components)]


def _softmax(xp: Any, logits: Any) -> Any:
    shares = xp.exp(logits - xp.max(logits))
    return shares / xp.sum(shares)


def _log_sum(xp: Any, joint: Any) -> Any:
    """Log of the summed exponentials along the last axis."""
    top = xp.stop_gradient(xp.max(joint, axis=1, keepdims=True))
    return xp.log(xp.sum(xp.exp(joint - top), axis=1)) + top[:, 0]


GUIDES.register(GaussianMixture())
