"""The model of o_rings.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import ppl


@ppl.model
def model(N, temperature, damage):
    alpha = ppl.sample("alpha", ppl.Normal(0, 5))
    beta = ppl.sample("beta", ppl.Normal(0, 1))
    with ppl.plate("n", N):
        ppl.sample("damage", ppl.Bernoulli(logits=alpha + beta * (temperature - 70)), obs=damage)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary())
