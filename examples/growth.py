"""The model of growth.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import ppl


@ppl.model
def model(N, J, child, age, girl, distance):
    mu = ppl.sample("mu", ppl.Normal(25, 10))
    sex = ppl.sample("sex", ppl.Normal(0, 5))
    slope = ppl.sample("slope", ppl.Normal(0, 5))
    tau = ppl.sample("tau", ppl.HalfNormal(5))
    sigma = ppl.sample("sigma", ppl.HalfNormal(5))
    with ppl.plate("j", J) as j:
        alpha = ppl.sample("alpha", ppl.Normal(mu + sex * girl[j], tau))
    with ppl.plate("n", N) as n:
        ppl.sample("distance", ppl.Normal(alpha[child[n]] + slope * (age[n] - 11), sigma), obs=distance)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary())
