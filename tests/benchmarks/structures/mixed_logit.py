"""Choices among 4 alternatives by 80 persons, 8 times each; 3 correlated random coefficients."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    P, T, A, D = 80, 8, 4, 3
    C = np.array([[0.8, 0.3, 0], [0.3, 0.6, -0.2], [0, -0.2, 0.5]])
    b = rng.multivariate_normal([1.0, -0.7, 0.3], C, P)
    X = rng.normal(size=(P, T, A, D))
    y = (np.einsum("ptad,pd->pta", X, b) + rng.gumbel(size=(P, T, A))).argmax(-1)
    return {"P": P, "T": T, "A": A, "D": D, "X": X, "y": y}


def peer(d):
    D = d["D"]
    mu = sample("mu", dist.Normal(0, 2).expand([D]))
    tau = sample("tau", dist.HalfNormal(1).expand([D]))
    L = sample("L", dist.LKJCholesky(D, 2))
    z = sample("z", dist.Normal(0, 1).expand([d["P"], D]))
    b = deterministic("b", mu + z @ (tau[:, None] * L).T)
    sample("y", dist.Categorical(logits=jnp.einsum("ptad,pd->pta", d["X"], b)), obs=d["y"])
