"""Small models, and every family of guides at parameters that are nothing special."""

from __future__ import annotations

from typing import Any

import numpy as np

import ppl
from ppl.guides import GUIDES, Guide, derive_guide
from ppl.guides.derived import GAUSSIAN

ONE = "x ~ normal(0.5, 2)"
PAIR = "data y: real\nx[k in 2] ~ normal(0, 1)\ny ~ normal(x[0] + x[1], 0.5)"
CHAIN = """
data y: real[5]
m ~ normal(0, 1)
plate t in 5 {
  x[t] ~ normal(m, 1)
  y[t] ~ normal(x[t], 0.5)
}
"""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "one": (ONE, {}),
    "pair": (PAIR, {"y": 0.7}),
    "chain": (CHAIN, {"y": [0.3, -1.0, 0.5, 1.5, 0.0]}),
}
FAMILIES = [name for name in GUIDES if name != "point"]
"""All but the one that is over no numbers."""


def plan_of(model: str) -> Any:
    source, data = MODELS[model]
    return ppl.parse(source).bind(data).plan()


def guide_of(model: str, family: str) -> Guide:
    return derive_guide(plan_of(model), family)


def somewhere(guide: Guide, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    """Parameters of the family, near a correlated Gaussian and moved from there at random."""
    rng, dim = np.random.default_rng(seed), guide.layout.size
    factor = np.tril(rng.normal(0.0, 0.3, (dim, dim)), -1) + np.diag(rng.uniform(0.5, 1.5, dim))
    near = guide.vector.near(rng.normal(0.0, 0.5, dim), factor)
    return near + spread * rng.standard_normal(len(near))


def normals(guide: Guide, draws: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((draws, guide.vector.noise_size(guide.layout.size)))


def packed(guide: Guide, parameters: np.ndarray) -> np.ndarray:
    return guide.parameters.pack({GAUSSIAN: parameters})
