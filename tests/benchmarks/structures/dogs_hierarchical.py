"""Shock avoidance with rates of each dog: 30 dogs, 25 trials."""

import jax
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    a, b = (1 / (1 + np.exp(-rng.normal(m, 0.5, 30))) for m in (1.4, 2.5))
    y = np.ones((30, 25), int)
    for t in range(1, 25):
        shock = y[:, :t].sum(1)
        y[:, t] = rng.random(30) < a ** (t - shock) * b**shock
    return {"J": 30, "T": 25, "y": y}


def peer(d):
    shock = np.cumsum(d["y"], 1) - d["y"]
    avoid = np.arange(d["T"]) - shock
    rates = []
    for name in "ab":
        mu = sample(f"mu_{name}", dist.Logistic(0, 1))
        sigma = sample(f"sigma_{name}", dist.HalfNormal(1))
        z = sample(f"z_{name}", dist.Normal(0, 1).expand([d["J"]]))
        rates.append(jax.nn.log_sigmoid(deterministic(name, mu + sigma * z))[:, None])
    p = jax.numpy.exp(rates[0] * avoid + rates[1] * shock)[:, 1:]
    sample("y", dist.Bernoulli(p), obs=d["y"][:, 1:])
