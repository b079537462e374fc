"""Ordered probit, 15 raters whose cut points shift, 400 ratings in 5 categories."""

import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    N, R = 400, 15
    rater, X = rng.integers(0, R, N), rng.normal(size=(N, 3))
    eta = X @ [0.8, -0.5, 0.2] - 0.6 * rng.normal(size=R)[rater] + rng.normal(size=N)
    y = (eta[:, None] > [-1.3, -0.4, 0.5, 1.4]).sum(1)
    return {"N": N, "R": R, "K": 5, "D": 3, "rater": rater, "X": X, "y": y}


def peer(d):
    beta = sample("beta", dist.Normal(0, 2).expand([d["D"]]))
    centre = sample("centre", dist.ImproperUniform(dist.constraints.ordered_vector, (), (d["K"] - 1,)))
    sample("prior", dist.Delta(centre, dist.Normal(0, 3).log_prob(centre)).to_event(1), obs=centre)
    tau = sample("tau", dist.HalfNormal(1))
    shift = deterministic("shift", tau * sample("z", dist.Normal(0, 1).expand([d["R"]])))
    cut = centre + shift[d["rater"]][:, None]
    base = dist.Normal(0, 1)
    above = base.cdf(cut - (d["X"] @ beta)[:, None])
    chances = jnp.diff(jnp.pad(above, ((0, 0), (1, 1)), constant_values=((0, 0), (0, 1))), axis=1)
    sample("y", dist.Categorical(probs=jnp.clip(chances, 1e-12)), obs=d["y"])
