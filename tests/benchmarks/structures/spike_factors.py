"""Spike counts of 15 neurons in 100 bins, driven by one autoregressive factor."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    T, U = 100, 15
    x = [rng.normal()]
    for _ in range(T - 1):
        x.append(0.9 * x[-1] + np.sqrt(1 - 0.81) * rng.normal())
    load = rng.normal(0, 0.7, U)
    load[0] = 0.8
    return {"T": T, "U": U, "y": rng.poisson(np.exp(rng.normal(0.5, 0.5, U) + np.outer(x, load)))}


def peer(d):
    rho = sample("rho", dist.Uniform(0, 1))
    load = sample("load", dist.Normal(0, 1).expand([d["U"]]))
    base = sample("base", dist.Normal(0, 1).expand([d["U"]]))
    first = sample("first", dist.HalfNormal(1))
    x = sample("x", dist.ImproperUniform(dist.constraints.real_vector, (), (d["T"],)))
    steps = dist.Normal(rho * x[:-1], jnp.sqrt(1 - rho**2)).log_prob(x[1:])
    sample("walk", dist.Delta(0.0, dist.Normal(0, 1).log_prob(x[0]) + steps.sum()), obs=0.0)
    rate = base + x[:, None] * load.at[0].set(first)
    sample("y", dist.Poisson(jnp.exp(rate)), obs=d["y"])
