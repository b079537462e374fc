"""Stochastic volatility with leverage: 300 days."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    T, mu, phi, sigma, rho = 300, -0.5, 0.95, 0.25, -0.6
    e = rng.normal(size=T)
    shock = rho * e + np.sqrt(1 - rho**2) * rng.normal(size=T)
    h = [mu]
    for t in range(T - 1):
        h.append(mu + phi * (h[-1] - mu) + sigma * shock[t])
    return {"T": T, "y": np.exp(np.array(h) / 2) * e}


def peer(d):
    T = d["T"]
    mu, phi = sample("mu", dist.Normal(0, 3)), sample("phi", dist.Uniform(-1, 1))
    sigma, rho = sample("sigma", dist.HalfNormal(1)), sample("rho", dist.Uniform(-1, 1))
    z = sample("z", dist.Normal(0, 1).expand([T]))
    power = phi ** jnp.maximum(np.arange(T)[:, None] - np.arange(T), 0) * np.tri(T)
    scale = jnp.where(np.arange(T) == 0, 1 / jnp.sqrt(1 - phi**2), 1.0)
    h = deterministic("h", mu + sigma * power @ (scale * z))
    mean = jnp.exp(h / 2) * rho * jnp.append(z[1:], 0.0)
    spread = jnp.where(np.arange(T) == T - 1, 1, jnp.sqrt(1 - rho**2))
    sample("y", dist.Normal(mean, jnp.exp(h / 2) * spread), obs=d["y"])
