"""Linear regression on raw years, 1952 to 2013."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    year = np.arange(1952.0, 2014)
    y = 9.3 + 0.02 * (year - 1980) + 1.1 * rng.normal(size=len(year))
    return {"N": len(year), "year": year, "y": y, "expected": 9.0, "wide": 100.0}


def peer(d):
    """Sampled at the middle of the years; the Jacobian of the shift is 1."""
    beta = sample("beta", dist.Normal(0, 0.0333))
    middle = sample("middle", dist.ImproperUniform(dist.constraints.real, (), ()))
    alpha = deterministic("alpha", middle - beta * 1982)
    sample("prior", dist.Delta(0.0, dist.Normal(d["expected"], d["wide"]).log_prob(alpha)), obs=0.0)
    sigma = sample("sigma", dist.ImproperUniform(dist.constraints.positive, (), ()))
    sample("y", dist.Normal(middle + beta * (d["year"] - 1982), sigma), obs=jnp.asarray(d["y"]))
