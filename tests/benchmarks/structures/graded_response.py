"""Graded responses with cut points of each item: 150 persons, 6 items of 4 categories."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    J, items = 150, 6
    eta = rng.lognormal(0, 0.4, items) * rng.normal(size=(J, 1)) + rng.logistic(size=(J, items))
    cut = np.sort(rng.normal(0, 1.5, (items, 3)), 1)
    return {"I": items, "J": J, "K": 4, "y": (eta[..., None] > cut).sum(-1)}


def peer(d):
    mu = sample("mu", dist.Normal(0, 3))
    tau = sample("tau", dist.HalfNormal(3))
    theta = sample("theta", dist.Normal(0, 1).expand([d["J"]]))
    a = sample("a", dist.LogNormal(0, 0.5).expand([d["I"]]))
    base = dist.ImproperUniform(dist.constraints.ordered_vector, (), (d["K"] - 1,))
    cut = sample("cut", base.expand([d["I"]]))
    sample("cuts", dist.Delta(cut, dist.Normal(mu, tau).log_prob(cut)).to_event(2), obs=cut)
    sample("y", dist.OrderedLogistic(a * theta[:, None], jnp.broadcast_to(cut, (d["J"], *cut.shape))), obs=d["y"])
