"""A mixture of 3 normals in 3 dimensions with covariances of their own: 240 rows."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    centres = np.array([[-3.0, 0, 1], [0.5, 2, -1], [3, -1, 0]])
    z = rng.choice(3, 240, p=[0.3, 0.45, 0.25])
    A = rng.normal(0, 0.5, (3, 3, 3)) + 0.7 * np.eye(3)
    y = centres[z] + np.einsum("nij,nj->ni", A[z], rng.normal(size=(240, 3)))
    return {"N": 240, "K": 3, "D": 3, "y": y}


def peer(d):
    K, D = d["K"], d["D"]
    w = sample("w", dist.Dirichlet(2.0 * jnp.ones(K)))
    first = sample("first", dist.ImproperUniform(dist.constraints.ordered_vector, (), (K,)))
    factor("prior", dist.Normal(0, 4).log_prob(first).sum())
    rest = sample("rest", dist.Normal(0, 4).expand([K, D - 1]))
    L = sample("L", dist.LKJCholesky(D, 2).expand([K]))
    s = sample("s", dist.HalfNormal(2).expand([K, D]))
    part = dist.MultivariateNormal(jnp.hstack([first[:, None], rest]), scale_tril=s[..., None] * L)
    factor("y", jax.nn.logsumexp(jnp.log(w) + part.log_prob(d["y"][:, None]), axis=1).sum())
