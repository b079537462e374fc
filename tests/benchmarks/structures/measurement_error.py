"""Regression on 100 values of a covariate measured with error."""

import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    x = rng.normal(2, 1, 100)
    seen, y = x + 0.6 * rng.normal(size=100), 1 + 1.5 * x + 0.7 * rng.normal(size=100)
    return {"N": 100, "seen": seen, "y": y, "noise": 0.6}


def peer(d):
    mu, tau = sample("mu", dist.Normal(0, 5)), sample("tau", dist.HalfNormal(5))
    a, b = sample("a", dist.Normal(0, 5)), sample("b", dist.Normal(0, 5))
    sigma = sample("sigma", dist.HalfNormal(5))
    x = sample("x", dist.Normal(mu, tau).expand([d["N"]]))
    sample("seen", dist.Normal(x, d["noise"]), obs=d["seen"])
    sample("y", dist.Normal(a + b * x, sigma), obs=d["y"])
