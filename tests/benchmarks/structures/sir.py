"""A differential equation of susceptible, infected and recovered with negative binomial counts on 14 days."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample
from runge_kutta import solution


def flow(z, t, beta, gamma, total):
    new = beta * z[0] * z[1] / total
    return [-new, new - gamma * z[1], gamma * z[1]]


def data(rng):
    from scipy.integrate import odeint as solve

    total, t = 763.0, np.arange(15.0)
    z = solve(flow, [total - 1, 1, 0], t, args=(1.7, 0.5, total))
    cases = rng.poisson(rng.gamma(10, -np.diff(z[:, 0]) / 10))
    return {"N": 14, "t": t[1:], "cases": cases, "total": total}


def peer(d):
    beta = sample("beta", dist.TruncatedNormal(2, 1, low=0))
    gamma = sample("gamma", dist.TruncatedNormal(0.4, 0.5, low=0))
    phi_inv = sample("phi_inv", dist.Exponential(5))

    def slope(z, t):
        return jnp.stack(flow(z, t, beta, gamma, d["total"]))

    start = jnp.array([d["total"] - 1, 1.0, 0.0])
    z = solution(slope, start, jnp.concatenate([jnp.zeros(1), d["t"]]))
    sample("cases", dist.NegativeBinomial2(-jnp.diff(z[:, 0]) + 1e-5, 1 / phi_inv), obs=d["cases"])
