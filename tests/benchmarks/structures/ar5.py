"""An autoregression of 5 lags: 250 steps."""

import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    y = list(rng.normal(size=5))
    for _ in range(245):
        y.append(0.3 + np.dot([0.5, 0.2, -0.1, 0.15, -0.2], y[:-6:-1]) + 0.8 * rng.normal())
    return {"T": 250, "P": 5, "y": np.array(y)}


def peer(d):
    c = sample("c", dist.Normal(0, 2))
    phi = sample("phi", dist.Normal(0, 0.5).expand([d["P"]]))
    sigma = sample("sigma", dist.HalfNormal(2))
    lags = np.column_stack([d["y"][5 - 1 - p : d["T"] - 1 - p] for p in range(5)])
    sample("y", dist.Normal(c + lags @ phi, sigma), obs=d["y"][5:])
