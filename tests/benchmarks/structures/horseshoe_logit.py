"""Logistic regression, 100 rows and 200 columns, regularised horseshoe."""

import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng, N=100, D=200):
    X = rng.normal(size=(N, D))
    y = rng.logistic(size=N) < X[:, :3] @ [3, -2, 2]
    return {"N": N, "D": D, "X": X, "y": y.astype(int)}


def peer(d):
    D = d["D"]
    a = sample("a", dist.Normal(0, 2))
    tau = sample("tau", dist.HalfCauchy(0.02))
    c2 = sample("c2", dist.InverseGamma(2, 8))
    lam = sample("lam", dist.HalfCauchy(1).expand([D]))
    z = sample("z", dist.Normal(0, 1).expand([D]))
    b = deterministic("b", z * tau * lam * jnp.sqrt(c2 / (c2 + tau**2 * lam**2)))
    sample("y", dist.Bernoulli(logits=a + d["X"] @ b), obs=d["y"])
