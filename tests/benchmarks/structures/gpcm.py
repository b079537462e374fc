"""Generalised partial credit with a latent regression: 200 persons, 8 items of 4 categories."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def logits(theta, alpha, beta, xp):
    steps = alpha[:, None] * theta[:, None, None] - beta
    return xp.concatenate([xp.zeros((*steps.shape[:2], 1)), xp.cumsum(steps, -1)], -1)


def data(rng):
    J, items = 200, 8
    x = np.column_stack([rng.normal(size=J), rng.integers(0, 2, J)])
    theta = x @ [0.5, -0.4] + rng.normal(size=J)
    eta = logits(theta, rng.lognormal(0, 0.4, items), rng.normal(0, 1, (items, 3)), np)
    y = (eta + rng.gumbel(size=eta.shape)).argmax(-1)
    return {"I": items, "J": J, "K": 4, "W": 2, "x": x, "y": y}


def peer(d):
    lam = sample("lam", dist.StudentT(3, 0, 1).expand([d["W"]]))
    z = sample("z", dist.Normal(0, 1).expand([d["J"]]))
    theta = deterministic("theta", d["x"] @ lam + z)
    alpha = sample("alpha", dist.LogNormal(1, 1).expand([d["I"]]))
    beta = sample("beta", dist.Normal(0, 3).expand([d["I"], d["K"] - 1]))
    sample("y", dist.Categorical(logits=logits(theta, alpha, beta, jnp)), obs=d["y"])
