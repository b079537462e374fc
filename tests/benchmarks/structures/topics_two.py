"""Two topics in 20 documents of 40 words, 12 different words; one word of each topic is given."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from numpyro import sample


def data(rng):
    theta, phi = rng.dirichlet([0.5, 0.5], 20), rng.dirichlet([0.4] * 12, 2)
    doc = np.repeat(np.arange(20), 40)
    word = np.array([rng.choice(12, p=theta[m] @ phi) for m in doc])
    seeds = np.full((2, 12), 0.5)
    seeds[[0, 1], phi.argmax(1)] += 10
    return {"V": 12, "M": 20, "K": 2, "N": 800, "doc": doc, "word": word, "seeds": seeds}


def peer(d):
    theta = sample("theta", dist.Dirichlet(jnp.ones(2)).expand([d["M"]]))
    phi = sample("phi", dist.Dirichlet(d["seeds"]))
    sample("word", dist.Categorical(probs=(theta @ phi)[d["doc"]]), obs=d["word"])
