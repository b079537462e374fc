"""Censored Weibull times with frailties: 38 patients, two times each."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, factor, sample


def data(rng):
    patient = np.repeat(np.arange(38), 2)
    X = np.column_stack([rng.normal(size=76), rng.integers(0, 2, 38)[patient]])
    t = np.exp(3 + X @ [0.3, 0.7] + 0.5 * rng.normal(size=38)[patient]) * rng.weibull(1.3, 76)
    limit = rng.uniform(10, 120, 76)
    return {
        "N": 76, "P": 38, "D": 2, "patient": patient, "X": X, "t": np.minimum(t, limit), "cens": (t > limit).astype(int)
    }  # fmt: skip


def peer(d):
    a = sample("a", dist.Normal(0, 5))
    beta = sample("beta", dist.Normal(0, 2).expand([d["D"]]))
    tau = sample("tau", dist.HalfNormal(1))
    shape = sample("shape", dist.Gamma(2, 1))
    u = deterministic("u", tau * sample("z", dist.Normal(0, 1).expand([d["P"]])))
    scale = jnp.exp(a + d["X"] @ beta + u[d["patient"]])
    dead = jnp.log(shape / scale) + (shape - 1) * jnp.log(d["t"] / scale)
    factor("t", ((1 - d["cens"]) * dead - (d["t"] / scale) ** shape).sum())
