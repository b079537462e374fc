"""Capture and recapture, one chance: 5 occasions, 87 seen and 150 added."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    caught = rng.random((100, 5)) < 0.35
    seen = caught[caught.any(1)]
    return {"M": 237, "T": 5, "y": np.vstack([seen, np.zeros((237 - len(seen), 5))]).astype(int)}


def peer(d):
    y = d["y"]
    omega = sample("omega", dist.Uniform(0, 1))
    chance = sample("p", dist.Uniform(0, 1))
    present = jnp.log(omega) + jnp.log(jnp.where(y == 1, chance, 1 - chance)).sum(1)
    factor("y", jnp.where(y.any(1), present, jnp.logaddexp(present, jnp.log1p(-omega))).sum())
