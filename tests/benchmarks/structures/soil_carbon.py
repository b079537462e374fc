"""A differential equation of two pools of soil carbon with feedback: 25 measurements of what is given off."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample
from runge_kutta import solution


def flow(c, t, k1, k2, a21, a12):
    return [-k1 * c[0] + a12 * k2 * c[1], -k2 * c[1] + a21 * k1 * c[0]]


def data(rng):
    from scipy.integrate import odeint as solve

    t = np.linspace(0, 30, 26)
    c = solve(flow, [6.5, 1.2], t, args=(0.25, 0.02, 0.4, 0.1))
    sd = rng.uniform(0.05, 0.15, 25)
    co2 = np.maximum(7.7 - c[1:].sum(1) + rng.normal(size=25) * np.hypot(sd, 0.1), 0.01)
    return {"N": 25, "t": t[1:], "co2": co2, "sd": sd, "total": 7.7}


def peer(d):
    k1, k2, a21, a12 = (sample(name, dist.HalfNormal(1)) for name in ("k1", "k2", "a21", "a12"))
    gamma = sample("gamma", dist.Beta(10, 1))
    sigma = sample("sigma", dist.HalfCauchy(1))

    def slope(c, t):
        return jnp.stack(flow(c, t, k1, k2, a21, a12))

    start = d["total"] * jnp.stack([gamma, 1 - gamma])
    c = solution(slope, start, jnp.concatenate([jnp.zeros(1), d["t"]]))[1:]
    sample("co2", dist.Normal(d["total"] - c.sum(1), jnp.sqrt(sigma**2 + d["sd"] ** 2)), obs=d["co2"])
