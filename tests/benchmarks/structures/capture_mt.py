"""Capture and recapture, a chance for each of 5 occasions: 250 rows."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    caught = rng.random((110, 5)) < [0.4, 0.25, 0.3, 0.15, 0.35]
    seen = caught[caught.any(1)]
    return {"M": 250, "T": 5, "y": np.vstack([seen, np.zeros((250 - len(seen), 5))]).astype(int)}


def peer(d):
    y = d["y"]
    omega = sample("omega", dist.Uniform(0, 1))
    chance = sample("p", dist.Uniform(0, 1).expand([d["T"]]))
    present = jnp.log(omega) + jnp.log(jnp.where(y == 1, chance, 1 - chance)).sum(1)
    factor("y", jnp.where(y.any(1), present, jnp.logaddexp(present, jnp.log1p(-omega))).sum())
