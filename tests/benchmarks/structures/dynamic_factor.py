"""A dynamic factor: 6 series, 120 steps, one autoregressive factor."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    f = [rng.normal()]
    for _ in range(119):
        f.append(0.8 * f[-1] + rng.normal())
    load, sigma = np.array([0.8, 0.5, -0.4, 0.7, 0.2, -0.6]), rng.uniform(0.3, 1, 6)
    return {"T": 120, "D": 6, "y": np.outer(f, load) + sigma * rng.normal(size=(120, 6))}


def peer(d):
    T = d["T"]
    phi = sample("phi", dist.Uniform(0, 1))
    first = sample("first", dist.HalfNormal(1))
    rest = sample("rest", dist.Normal(0, 1).expand([d["D"] - 1]))
    sigma = sample("sigma", dist.HalfNormal(1).expand([d["D"]]))
    z = sample("z", dist.Normal(0, 1).expand([T]))
    power = phi ** jnp.maximum(np.arange(T)[:, None] - np.arange(T), 0) * np.tri(T)
    f = deterministic("f", power @ z)
    load = jnp.concatenate([first[None], rest])
    sample("y", dist.Normal(jnp.outer(f, load), sigma), obs=d["y"])
