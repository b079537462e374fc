"""Paired comparisons of 40 players in 300 games."""

import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    ability = rng.normal(0, 0.9, 40)
    first = rng.integers(0, 40, 300)
    second = (first + rng.integers(1, 40, 300)) % 40
    y = rng.logistic(size=300) < ability[first] - ability[second]
    return {"K": 40, "N": 300, "first": first, "second": second, "y": y.astype(int)}


def peer(d):
    sigma = sample("sigma", dist.HalfNormal(1))
    ability = deterministic("ability", sigma * sample("z", dist.Normal(0, 1).expand([d["K"]])))
    sample("y", dist.Bernoulli(logits=ability[d["first"]] - ability[d["second"]]), obs=d["y"])
