"""Capture and recapture, chances of occasions and animals: 5 occasions, 150 rows."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import expit, logit
from numpyro import deterministic, factor, sample


def data(rng):
    caught = rng.logistic(size=(80, 5)) < np.array([0.3, -0.2, 0.1, -0.6, 0.2]) + rng.normal(-0.6, 0.7, (80, 1))
    seen = caught[caught.any(1)]
    return {"M": 150, "T": 5, "y": np.vstack([seen, np.zeros((150 - len(seen), 5))]).astype(int)}


def peer(d):
    y = d["y"]
    omega = sample("omega", dist.Uniform(0, 1))
    p = sample("p", dist.Uniform(0, 1).expand([d["T"]]))
    sigma = sample("sigma", dist.Uniform(0, 5))
    eps = deterministic("eps", sigma * sample("z", dist.Normal(0, 1).expand([d["M"]])))
    chance = expit(logit(p) + eps[:, None])
    present = jnp.log(omega) + jnp.log(jnp.where(y == 1, chance, 1 - chance)).sum(1)
    factor("y", jnp.where(y.any(1), present, jnp.logaddexp(present, jnp.log1p(-omega))).sum())
