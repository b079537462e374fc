"""A local level with a stochastic season: 120 months (387 unknowns in all)."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    T = 120
    level = 7.4 + np.cumsum(0.05 * rng.normal(size=T))
    season = list(0.15 * rng.normal(size=11))
    for _ in range(T - 11):
        season.append(-sum(season[-11:]) + 0.01 * rng.normal())
    return {"T": T, "P": 12, "y": level + season + 0.08 * rng.normal(size=T)}


def peer(d):
    T, P = d["T"], d["P"]
    scales = [sample(f"s_{k}", dist.HalfNormal(1)) for k in ("level", "season", "obs")]
    z = sample("z", dist.Normal(0, 1).expand([2, T]))
    level = deterministic("level", jnp.cumsum(z[0] * jnp.where(jnp.arange(T) == 0, 10, scales[0])))
    lags = np.where((np.arange(T) < P - 1)[:, None], np.eye(T), np.tril(np.triu(np.ones((T, T)), 1 - P)))
    shock = z[1] * jnp.where(jnp.arange(T) < P - 1, 1, scales[1])
    season = deterministic("season", np.linalg.inv(lags) @ shock)
    sample("y", dist.Normal(level + season, scales[2]), obs=d["y"])
