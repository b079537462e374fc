"""Gaussian process classification of 80 points in the plane."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    X = rng.uniform(-2, 2, (80, 2))
    y = rng.logistic(size=80) < 3 * np.sin(1.5 * X[:, 0]) + 2 * X[:, 1] * X[:, 0]
    return {"N": 80, "X": X, "y": y.astype(int)}


def peer(d):
    ell = sample("ell", dist.InverseGamma(5, 5))
    amp = sample("amp", dist.HalfNormal(2))
    z = sample("z", dist.Normal(0, 1).expand([d["N"]]))
    square = ((d["X"][:, None] - d["X"]) ** 2).sum(-1)
    cov = amp**2 * jnp.exp(-0.5 * square / ell**2) + 1e-6 * jnp.eye(d["N"])
    f = deterministic("f", jnp.linalg.cholesky(cov) @ z)
    sample("y", dist.Bernoulli(logits=f), obs=d["y"])
