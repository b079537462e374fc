"""Zero-inflated negative binomial counts in 15 groups: 450 rows."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.special import expit
from numpyro import deterministic, factor, sample


def data(rng):
    N, G = 450, 15
    g, x = rng.integers(0, G, N), rng.normal(size=N)
    mean = np.exp(1.2 + 0.4 * x + 0.5 * rng.normal(size=G)[g])
    y = np.where(rng.logistic(size=N) < -0.8 + 0.5 * x, 0, rng.poisson(rng.gamma(3, mean / 3)))
    return {"N": N, "G": G, "g": g, "x": x, "y": y}


def peer(d):
    b0, b1 = sample("b0", dist.Normal(0, 2)), sample("b1", dist.Normal(0, 1))
    c0, c1 = sample("c0", dist.Normal(0, 1.5)), sample("c1", dist.Normal(0, 1))
    tau = sample("tau", dist.HalfNormal(1))
    phi = sample("phi", dist.Gamma(2, 0.5))
    u = deterministic("u", tau * sample("z", dist.Normal(0, 1).expand([d["G"]])))
    zero = expit(c0 + c1 * d["x"])
    count = dist.NegativeBinomial2(jnp.exp(b0 + b1 * d["x"] + u[d["g"]]), phi).log_prob(d["y"])
    rest = jnp.log1p(-zero) + count
    factor("y", jnp.where(d["y"] == 0, jnp.logaddexp(jnp.log(zero), rest), rest).sum())
