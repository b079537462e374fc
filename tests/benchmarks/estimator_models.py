"""The models on which gradient estimators are compared, in the language, in NumPyro and in Pyro.

The guides of the peers are written by hand and have the parameters of ours: logits and log rates of discrete latents,
mean and log standard deviation of continuous ones in their unconstrained coordinate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"
Tensor = Any


@dataclass(frozen=True)
class Peer:
    """NumPyro or Pyro: its `sample`, `plate`, distributions, and the arrays both sides of it take."""

    sample: Callable[..., Tensor]
    plate: Callable[..., Any]
    dist: ModuleType
    array: Callable[[Any], Tensor]
    exp: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Comparison:
    """`text` samples and scores its discrete sites; `summed` sums them out, "" where it cannot.

    `model(peer, infer)` and `guide(peer, parameters, enumerate)` are those of the peers; `infer` goes to the model's
    discrete sites.
    """

    name: str
    text: str
    data: Mapping[str, Any]
    model: Callable[[Peer, dict[str, Any]], None]
    guide: Callable[[Peer, Mapping[str, Tensor], bool, dict[str, Any]], None]
    summed: str = ""


MIXTURE = """
data N: int
data y: real[N]
plate k in 2 { mu[k] ~ normal(0, 3) }
plate n in N {
  @score
  z[n] ~ bernoulli(0.4)
  y[n] ~ normal(mu[z[n]], 1)
}
"""


def mixture(rows: int = 200) -> Comparison:
    """Two components, an assignment for each row."""
    rng = np.random.default_rng(1)
    y = rng.normal(np.where(rng.random(rows) < 0.4, 1.5, -1.0), 1.0)

    def model(peer: Peer, infer: dict[str, Any]) -> None:
        with peer.plate("k", 2, dim=-1):
            mu = peer.sample("mu", peer.dist.Normal(peer.array(0.0), peer.array(3.0)))
        with peer.plate("n", rows, dim=-1):
            z = peer.sample("z", peer.dist.Bernoulli(probs=peer.array(0.4)), infer=infer)
            loc = mu[..., :1] + (mu[..., 1:] - mu[..., :1]) * z
            peer.sample("y", peer.dist.Normal(loc, peer.array(1.0)), obs=peer.array(y))

    def guide(peer: Peer, given: Mapping[str, Tensor], enumerate: bool, infer: dict[str, Any]) -> None:
        with peer.plate("k", 2, dim=-1):
            peer.sample("mu", peer.dist.Normal(given["mu loc"], peer.exp(given["mu log_scale"])))
        if not enumerate:
            with peer.plate("n", rows, dim=-1):
                peer.sample("z", peer.dist.Bernoulli(logits=given["z:logits"]), infer=infer)

    return Comparison(f"Bernoulli mixture, {rows} rows", MIXTURE, {"y": y}, model, guide, MIXTURE.replace("@score", ""))


BELIEF_NETWORK = """
data N, K, M, D: int
data W: real[K, M]
data V: real[M, D]
data y: bool[N, D]
plate n in N {
  plate k in K {
    @score
    top[n, k] ~ bernoulli(0.5)
  }
  plate m in M {
    @score
    middle[n, m] ~ bernoulli(logits = sum([top[n, k] * W[k, m] for k in K]) - 0.5)
  }
  plate d in D {
    y[n, d] ~ bernoulli(logits = sum([middle[n, m] * V[m, d] for m in M]) - 0.5)
  }
}
"""


def belief_network(rows: int = 20, top: int = 3, middle: int = 6, outputs: int = 12) -> Comparison:
    """A sigmoid belief network of two layers with known weights, states of its own for each row."""
    rng = np.random.default_rng(2)
    W, V = rng.normal(0, 2, (top, middle)), rng.normal(0, 1.5, (middle, outputs))
    hidden = (rng.random((rows, top)) < 0.5) @ W - 0.5
    states = rng.random(hidden.shape) < 1 / (1 + np.exp(-hidden))
    y = (rng.random((rows, outputs)) < 1 / (1 + np.exp(0.5 - states @ V))).astype(int)

    def model(peer: Peer, infer: dict[str, Any]) -> None:
        Bernoulli, half = peer.dist.Bernoulli, peer.array(0.5)
        with peer.plate("n", rows, dim=-1):
            upper = peer.sample("top", Bernoulli(probs=half).expand([top]).to_event(1))
            lower = peer.sample("middle", Bernoulli(logits=upper @ peer.array(W) - half).to_event(1))
            peer.sample("y", Bernoulli(logits=lower @ peer.array(V) - half).to_event(1), obs=peer.array(y * 1.0))

    def guide(peer: Peer, given: Mapping[str, Tensor], enumerate: bool, infer: dict[str, Any]) -> None:
        with peer.plate("n", rows, dim=-1):
            for name in ("top", "middle"):
                peer.sample(name, peer.dist.Bernoulli(logits=given[f"{name}:logits"]).to_event(1), infer=infer)

    data = {"W": W, "V": V, "y": y}
    return Comparison(f"sigmoid belief network, {rows} rows of {top} and {middle}", BELIEF_NETWORK, data, model, guide)


def impala() -> Comparison:
    """A count of animals without an upper end, and how many are typically seen: `examples/impala.ppl`."""
    data = json.loads((EXAMPLES / "impala.json").read_text(encoding="utf-8"))
    most = float(data["most"])

    def model(peer: Peer, infer: dict[str, Any]) -> None:
        unseen = peer.sample("unseen", peer.dist.Poisson(peer.array(10.0)))
        typical = peer.sample("typical", peer.dist.Uniform(peer.array(0.0), peer.array(most)))
        herd = most + unseen
        with peer.plate("n", len(data["count"]), dim=-1):
            seen = peer.dist.Binomial(herd, typical / herd)
            peer.sample("count", seen, obs=peer.array(np.array(data["count"], float)))

    def guide(peer: Peer, given: Mapping[str, Tensor], enumerate: bool, infer: dict[str, Any]) -> None:
        transforms = peer.dist.transforms
        through = [transforms.SigmoidTransform(), transforms.AffineTransform(peer.array(0.0), peer.array(most))]
        coordinate = peer.dist.Normal(given["typical loc"], peer.exp(given["typical log_scale"]))
        peer.sample("unseen", peer.dist.Poisson(peer.exp(given["unseen:log_rate"])), infer=infer)
        peer.sample("typical", peer.dist.TransformedDistribution(coordinate, through))

    text = (EXAMPLES / "impala.ppl").read_text(encoding="utf-8")
    return Comparison("impala: a Poisson latent", text, data, model, guide)


CASES = (mixture, belief_network, impala)
