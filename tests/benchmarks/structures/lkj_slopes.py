"""Correlated intercepts and slopes in 30 groups: 300 rows."""

import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    G, N = 30, 300
    b = rng.multivariate_normal([1.0, -0.5], [[0.5, -0.2], [-0.2, 0.25]], G)
    g, x = rng.integers(0, G, N), rng.normal(size=N)
    return {"N": N, "G": G, "g": g, "x": x, "y": b[g, 0] + b[g, 1] * x + 0.8 * rng.normal(size=N)}


def peer(d):
    mu = sample("mu", dist.Normal(0, 5).expand([2]))
    tau = sample("tau", dist.HalfCauchy(2).expand([2]))
    L = sample("L", dist.LKJCholesky(2, 2))
    sigma = sample("sigma", dist.HalfCauchy(2))
    z = sample("z", dist.Normal(0, 1).expand([d["G"], 2]))
    b = deterministic("b", mu + z @ (tau[:, None] * L).T)
    sample("y", dist.Normal(b[d["g"], 0] + b[d["g"], 1] * d["x"], sigma), obs=d["y"])
