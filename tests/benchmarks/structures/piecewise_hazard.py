"""A piecewise constant hazard that walks: 200 persons, 10 intervals, 3 covariates."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    N, B = 200, 10
    X = rng.normal(size=(N, 3))
    t = rng.exponential(1, N) / np.exp(-1.6 + X @ [0.5, -0.3, 0.0])
    end, edges = np.minimum(t, 10.0), np.arange(B)
    exposure = np.clip(end[:, None] - edges, 0, 1)
    died = (t[:, None] > edges) & (t[:, None] <= edges + 1)
    return {"N": N, "B": B, "D": 3, "X": X, "exposure": np.maximum(exposure, 1e-9), "died": died.astype(int)}


def peer(d):
    beta = sample("beta", dist.Normal(0, 2).expand([d["D"]]))
    tau = sample("tau", dist.HalfNormal(1))
    z = sample("z", dist.Normal(0, 1).expand([d["B"]]))
    steps = jnp.concatenate([-2 + 2 * z[:1], tau * z[1:]])
    base = deterministic("base", jnp.cumsum(steps))
    sample("died", dist.Poisson(d["exposure"] * jnp.exp(base + (d["X"] @ beta)[:, None])), obs=d["died"])
