"""The mean-field Gaussian: independent coordinates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ppl.guides.base import GUIDES, HALF_LOG_TWO_PI, GaussianGuide


class MeanField(GaussianGuide):
    """`u = loc + exp(log_sd) * noise`. Parameters: loc (dim), then log_sd (dim)."""

    name = "mean_field"
    doc = "Independent Gaussians in unconstrained space."

    def size(self, dim: int) -> int:
        return 2 * dim

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.concatenate([mean, np.log(sd)])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        dim = parameters.shape[0] // 2
        return parameters[:dim] + xp.exp(parameters[dim:]) * noise

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        dim = parameters.shape[0] // 2
        log_sd = parameters[dim:]
        standard = (draws - parameters[:dim]) * xp.exp(-log_sd)
        return xp.sum(-0.5 * standard * standard - log_sd, axis=-1) - dim * HALF_LOG_TWO_PI

    def entropy(self, xp: Any, parameters: Any) -> Any:
        dim = parameters.shape[0] // 2
        return xp.sum(parameters[dim:]) + dim * (0.5 + HALF_LOG_TWO_PI)

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dim = parameters.shape[0] // 2
        return parameters[:dim], np.diag(np.exp(2.0 * parameters[dim:]))


GUIDES.register(MeanField())
