"""The model of gaussian_mixture.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import numpy as np

import ppl


@ppl.model
def model(N, K, centre, velocity):
    w = ppl.sample("w", ppl.Dirichlet(np.ones(K, int)))
    with ppl.plate("k", K):
        mu = ppl.sample("mu", ppl.Normal(centre, 3))
        s = ppl.sample("s", ppl.LogNormal(0, 0.7))
    with ppl.plate("n", N) as n:
        z = ppl.sample("z", ppl.Categorical(w))
        ppl.sample("velocity", ppl.Normal(mu[z[n]], s[z[n]]), obs=velocity)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary(["w", "mu", "s"]))
