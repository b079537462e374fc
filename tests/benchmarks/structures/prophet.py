"""A trend with 25 change points (Laplace) and 20 seasonal columns on 500 days."""

import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    t, when = np.linspace(0, 1, 500), np.linspace(0, 0.8, 26)[1:]
    angle = 2 * np.pi * np.arange(500)[:, None] / 365.25 * np.arange(1, 11)
    X = np.hstack([np.sin(angle), np.cos(angle)])
    trend = 0.4 * t + np.where(t > 0.4, 0.5 * (t - 0.4), 0) - np.where(t > 0.65, 0.8 * (t - 0.65), 0)
    y = trend + X @ rng.normal(0, 0.05, 20) + 0.06 * rng.normal(size=500)
    return {"T": 500, "S": 25, "F": 20, "t": t, "when": when, "X": X, "y": y}


def peer(d):
    k = sample("k", dist.Normal(0, 5))
    m = sample("m", dist.Normal(0, 5))
    delta = sample("delta", dist.Laplace(0, 0.05).expand([d["S"]]))
    beta = sample("beta", dist.Normal(0, 10).expand([d["F"]]))
    sigma = sample("sigma", dist.HalfNormal(0.5))
    after = (d["t"][:, None] >= d["when"]).astype(float)
    trend = (k + after @ delta) * d["t"] + m - after @ (d["when"] * delta)
    sample("y", dist.Normal(trend + d["X"] @ beta, sigma), obs=d["y"])
