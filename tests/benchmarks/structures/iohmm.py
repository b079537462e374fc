"""An input-output hidden Markov model: 300 steps, 2 states, 2 inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import factor, sample


def data(rng):
    T, w, b = 300, [[1.5, 0.0], [-1.5, 0.5]], np.array([[1.0, -1.0], [0.5, 1.5]])
    u = rng.normal(size=(T, 2))
    z = ([-0.8, 0.8] + u @ np.transpose(w) + rng.gumbel(size=(T, 2))).argmax(1)
    x = np.array([-2, 2])[z] + (u * b[z]).sum(1) + np.array([0.5, 1.0])[z] * rng.normal(size=T)
    return {"T": T, "K": 2, "M": 2, "u": u, "x": x}


def peer(d):
    K, M = d["K"], d["M"]
    init = sample("init", dist.Dirichlet(jnp.ones(K)))
    a = sample("a", dist.ImproperUniform(dist.constraints.ordered_vector, (), (K,)))
    factor("prior", dist.Normal(0, 5).log_prob(a).sum())
    w0 = sample("w0", dist.Normal(0, 5).expand([K]))
    w = sample("w", dist.Normal(0, 5).expand([K, M]))
    b = sample("b", dist.Normal(0, 5).expand([K, M]))
    sigma = sample("sigma", dist.HalfNormal(3).expand([K]))
    share = jax.nn.log_softmax(w0 + d["u"] @ w.T).at[0].set(jnp.log(init))
    emission = dist.Normal(a + d["u"] @ b.T, sigma).log_prob(d["x"][:, None])
    factor("x", jax.nn.logsumexp(share + emission, axis=1).sum())
