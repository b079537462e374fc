"""The Bayesian bootstrap: Dirichlet weights of 60 rows, and a slope."""

import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    x = rng.normal(size=60)
    return {"N": 60, "x": x, "y": 0.5 * x + rng.standard_t(3, 60)}


def peer(d):
    w = sample("w", dist.Dirichlet(jnp.ones(d["N"])))
    mx, my = w @ d["x"], w @ d["y"]
    deterministic("slope", (w @ (d["x"] * d["y"]) - mx * my) / (w @ d["x"] ** 2 - mx**2))
