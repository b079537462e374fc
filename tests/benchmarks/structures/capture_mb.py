"""Capture and recapture with a response to the last capture: 5 occasions, 250 rows."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    caught = np.zeros((120, 5), bool)
    for t in range(5):
        again = caught[:, t - 1] if t else False
        caught[:, t] = rng.random(120) < np.where(again, 0.5, 0.25)
    seen = caught[caught.any(1)]
    return {"M": 250, "T": 5, "y": np.vstack([seen, np.zeros((250 - len(seen), 5))]).astype(int)}


def peer(d):
    y = d["y"]
    omega = sample("omega", dist.Uniform(0, 1))
    p = sample("p", dist.Uniform(0, 1))
    c = sample("c", dist.Uniform(0, 1))
    chance = jnp.where(np.pad(y, ((0, 0), (1, 0)))[:, :-1] == 1, c, p)
    present = jnp.log(omega) + jnp.log(jnp.where(y == 1, chance, 1 - chance)).sum(1)
    factor("y", jnp.where(y.any(1), present, jnp.logaddexp(present, jnp.log1p(-omega))).sum())
