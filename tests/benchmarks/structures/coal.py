"""A change point in the yearly coal-mining disasters, 1851 to 1962 (published counts)."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample

COUNTS = (
    "4 5 4 0 1 4 3 4 0 6 3 3 4 0 2 6 3 3 5 4 5 3 1 4 4 1 5 5 3 4 2 5 2 2 3 4 2 1 3 2 2 1 1 1 1 3 0 0 1 0 1 1 0 0 3 1 0 "
    "3 2 2 0 1 1 1 0 1 0 1 0 0 0 2 1 0 0 0 1 1 0 2 3 3 1 1 2 1 1 1 1 2 4 2 0 0 1 4 0 0 0 1 0 0 0 0 0 1 0 0 1 0 1"
)


def data(rng):
    y = np.array(COUNTS.split(), int)
    return {"T": len(y), "y": y}


def peer(d):
    early, late = sample("early", dist.Exponential(1)), sample("late", dist.Exponential(1))
    before = jnp.cumsum(dist.Poisson(early).log_prob(d["y"]) - dist.Poisson(late).log_prob(d["y"]))
    base = dist.Poisson(late).log_prob(d["y"]).sum()
    factor("y", base + jax.nn.logsumexp(jnp.concatenate([jnp.zeros(1), before[:-1]])))
