"""Site occupancy with covariates: 150 sites, 4 visits."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    S, V = 150, 4
    x, w = rng.normal(size=S), rng.normal(size=(S, V))
    z = rng.logistic(size=S) < 0.3 + 0.8 * x
    y = z[:, None] & (rng.logistic(size=(S, V)) < -0.4 + 0.6 * w)
    return {"S": S, "V": V, "x": x, "w": w, "y": y.astype(int)}


def peer(d):
    a0, a1, b0, b1 = (sample(name, dist.Normal(0, 1.5)) for name in ("a0", "a1", "b0", "b1"))
    here = dist.Bernoulli(logits=b0 + b1 * d["w"]).log_prob(d["y"]).sum(1) + jax.nn.log_sigmoid(a0 + a1 * d["x"])
    absent = jax.nn.log_sigmoid(-a0 - a1 * d["x"])
    factor("y", jnp.where(np.any(d["y"], 1), here, jnp.logaddexp(here, absent)).sum())
