"""Mean and log sd as Gaussian processes by 20 basis functions each: 130 rows, the shape of the motorcycle data."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import deterministic, sample


def data(rng):
    x = np.sort(rng.uniform(-1, 1, 130))
    mean = np.where(x > -0.5, -1.6 * np.exp(-(((x + 0.2) / 0.25) ** 2)) + 0.7 * np.exp(-(((x - 0.3) / 0.2) ** 2)), 0)
    y = mean + np.exp(-2.5 + 1.8 / (1 + np.exp(-12 * (x + 0.5)))) * rng.normal(size=130)
    return {"N": 130, "M": 20, "x": x, "y": y, "half": 1.5}


def peer(d):
    half, m = d["half"], np.arange(1, d["M"] + 1)
    omega = m * np.pi / (2 * half)
    phi = np.sin(omega * (d["x"][:, None] + half)) / np.sqrt(half)

    def smooth(key):
        ell = sample(f"ell_{key}", dist.InverseGamma(5, 2))
        amp = sample(f"amp_{key}", dist.HalfNormal(1))
        z = sample(f"z{key}", dist.Normal(0, 1).expand([d["M"]]))
        return phi @ (amp * jnp.sqrt(np.sqrt(2 * np.pi) * ell) * jnp.exp(-0.25 * (ell * omega) ** 2) * z)

    f = deterministic("f", sample("a", dist.Normal(0, 1)) + smooth("f"))
    g = deterministic("g", sample("g0", dist.Normal(-1, 1)) + smooth("g"))
    sample("y", dist.Normal(f, jnp.exp(g)), obs=d["y"])
