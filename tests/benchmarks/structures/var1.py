"""A vector autoregression of one lag: 4 series, 150 steps."""

import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    A = 0.5 * np.eye(4) + rng.normal(0, 0.1, (4, 4))
    B = np.tril(rng.normal(0, 0.4, (4, 4)), -1) + np.diag([0.5, 1, 0.7, 0.9])
    y = [rng.normal(size=4)]
    for _ in range(149):
        y.append(0.2 + A @ y[-1] + B @ rng.normal(size=4))
    return {"T": 150, "D": 4, "y": np.array(y)}


def peer(d):
    D, y = d["D"], d["y"]
    c = sample("c", dist.Normal(0, 2).expand([D]))
    A = sample("A", dist.Normal(0, 0.5).expand([D, D]))
    L = sample("L", dist.LKJCholesky(D, 2))
    s = sample("s", dist.HalfNormal(2).expand([D]))
    sample("y", dist.MultivariateNormal(c + y[:-1] @ A.T, scale_tril=s[:, None] * L), obs=y[1:])
