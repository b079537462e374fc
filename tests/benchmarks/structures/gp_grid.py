"""A Gaussian process on a grid of 10 by 12, with a Kronecker product of covariances."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    u, v = np.linspace(0, 3, 10), np.linspace(0, 4, 12)
    y = np.sin(1.5 * u)[:, None] * np.cos(v) + 0.5 * v + 0.3 * rng.normal(size=(10, 12))
    return {"R": 10, "C": 12, "u": u, "v": v, "y": y - y.mean()}


def peer(d):
    ell = sample("ell", dist.InverseGamma(5, 5).expand([2]))
    amp = sample("amp", dist.HalfNormal(2))
    sigma = sample("sigma", dist.HalfNormal(1))
    factors = [
        jnp.linalg.cholesky(jnp.exp(-0.5 * ((x[:, None] - x) / scale) ** 2) + 1e-8 * jnp.eye(len(x)))
        for x, scale in zip((d["u"], d["v"]), ell, strict=True)
    ]
    z = sample("z", dist.Normal(0, 1).expand([d["R"], d["C"]]))
    f = deterministic("f", amp * (factors[0] @ z @ factors[1].T))
    sample("y", dist.Normal(f, sigma), obs=d["y"])
