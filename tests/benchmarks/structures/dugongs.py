"""Growth of 27 dugongs (BUGS examples; the published lengths)."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample

AGES = "1 1.5 1.5 1.5 2.5 4 5 5 7 8 8.5 9 9.5 9.5 10 12 12 13 13 14.5 15.5 15.5 16.5 17 22.5 29 31.5"
LENGTHS = (
    "1.80 1.85 1.87 1.77 2.02 2.27 2.15 2.26 2.47 2.19 2.26 2.40 2.39 2.41 2.50 2.32 2.32 2.43 2.47 2.56 2.65 2.47 "
    "2.64 2.56 2.70 2.72 2.57"
)


def data(rng):
    return {"N": 27, "x": np.array(AGES.split(), float), "y": np.array(LENGTHS.split(), float)}


def peer(d):
    alpha = sample("alpha", dist.Normal(0, 1000))
    beta = sample("beta", dist.Normal(0, 1000))
    lam = sample("lam", dist.Uniform(0.5, 1))
    tau = sample("tau", dist.Gamma(0.0001, 0.0001))
    sample("y", dist.Normal(alpha - beta * lam ** d["x"], 1 / jnp.sqrt(tau)), obs=d["y"])
