"""Cormack-Jolly-Seber with survival by year: 120 animals, 7 occasions."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    animals, T, phi = 120, 7, [0.7, 0.6, 0.8, 0.55, 0.7, 0.65]
    first = rng.integers(0, T - 1, animals)
    y = np.zeros((animals, T), int)
    for i in range(animals):
        y[i, first[i]] = alive = 1
        for t in range(first[i] + 1, T):
            alive = alive and int(rng.random() < phi[t - 1])
            y[i, t] = alive and int(rng.random() < 0.5)
    return {"I": animals, "T": T, "first": first, "y": y}


def peer(d):
    """Between the first and the last sight an animal lives; `gone[t]` is the chance not to be seen again after t."""
    y, T = d["y"], d["T"]
    phi = sample("phi", dist.Uniform(0, 1).expand([T - 1]))
    p = sample("p", dist.Uniform(0, 1))
    gone = [jnp.ones(())]
    for t in range(T - 2, -1, -1):
        gone.insert(0, 1 - phi[t] + phi[t] * (1 - p) * gone[0])
    last = T - 1 - np.argmax(y[:, ::-1], 1)
    t = np.arange(1, T)
    between = (t > d["first"][:, None]) & (t <= last[:, None])
    steps = jnp.log(phi) + jnp.where(y[:, 1:] == 1, jnp.log(p), jnp.log1p(-p))
    factor("y", (between * steps).sum() + jnp.log(jnp.stack(gone))[last].sum())
