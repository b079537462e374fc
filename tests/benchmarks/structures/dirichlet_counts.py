"""Counts in 5 categories at 25 places: Dirichlet-multinomial with the places' chances."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    n = rng.integers(15, 60, 25)
    theta = rng.dirichlet(12 * np.array([0.35, 0.25, 0.2, 0.15, 0.05]), 25)
    y = np.array([rng.multinomial(m, p) for m, p in zip(n, theta, strict=True)])
    return {"J": 25, "K": 5, "n": n, "y": y}


def peer(d):
    share = sample("share", dist.Dirichlet(jnp.ones(d["K"])))
    total = sample("total", dist.Gamma(2, 0.1))
    theta = sample("theta", dist.Dirichlet(total * share).expand([d["J"]]))
    sample("y", dist.Multinomial(d["n"], theta), obs=d["y"])
