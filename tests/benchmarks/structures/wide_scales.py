"""Regression on 24 correlated, unscaled columns, 5,000 rows."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    base = rng.normal(size=(5000, 6))
    X = base[:, rng.integers(0, 6, 24)] + 0.05 * rng.normal(size=(5000, 24)) + 2
    X = X * 10.0 ** rng.uniform(-3, 3, 24)
    y = 8 + (X / X.std(0)) @ rng.normal(0, 0.3, 24) + 0.5 * rng.normal(size=5000)
    return {"N": 5000, "D": 24, "X": X, "y": y}


def peer(d):
    """The same posterior in coordinates that suit NUTS: those of the least-squares factor."""
    columns = np.hstack([np.ones((d["N"], 1)), d["X"]])
    start, *_ = np.linalg.lstsq(columns, d["y"], rcond=None)
    inverse = np.linalg.inv(np.linalg.qr(columns, mode="r"))
    u = sample("u", dist.ImproperUniform(dist.constraints.real_vector, (), (d["D"] + 1,)))
    c = start + 0.5 * inverse @ u
    a, b = deterministic("a", c[0]), deterministic("b", c[1:])
    sigma = sample("sigma", dist.HalfNormal(100))
    prior = dist.StudentT(3, 8, 10).log_prob(a) + dist.Normal(0, 100).log_prob(b).sum()
    prior += dist.StudentT(3, 0, 10).log_prob(sigma) - dist.HalfNormal(100).log_prob(sigma)
    sample("y", dist.Delta(jnp.zeros(()), prior), obs=jnp.zeros(()))
    gap = np.sum((d["y"] - columns @ start) ** 2) + 0.25 * jnp.sum(u**2)
    sample("rows", dist.Delta(jnp.zeros(()), -d["N"] * jnp.log(sigma) - 0.5 * gap / sigma**2), obs=jnp.zeros(()))
