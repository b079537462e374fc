"""Shock avoidance, logarithmic link, running counts: 30 dogs, 25 trials."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    y = np.ones((30, 25), int)
    for t in range(1, 25):
        shock = y[:, :t].sum(1)
        y[:, t] = rng.random(30) < np.exp(-0.24 * (t - shock) - 0.08 * shock)
    return {"J": 30, "T": 25, "y": y}


def peer(d):
    shock = np.cumsum(d["y"], 1) - d["y"]
    avoid = np.arange(d["T"]) - shock
    b_avoid = sample("b_avoid", dist.Uniform(-100, 0))
    b_shock = sample("b_shock", dist.Uniform(-100, 0))
    p = jnp.exp(b_avoid * avoid + b_shock * shock)[:, 1:]
    sample("y", dist.Bernoulli(p), obs=d["y"][:, 1:])
