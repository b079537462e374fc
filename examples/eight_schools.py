"""The model of eight_schools.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import ppl


@ppl.model
def model(J, y, sigma):
    mu = ppl.sample("mu", ppl.Normal(0, 5))
    tau = ppl.sample("tau", ppl.HalfCauchy(5))
    with ppl.plate("j", J):
        theta = ppl.sample("theta", ppl.Normal(mu, tau))
        ppl.sample("y", ppl.Normal(theta, sigma), obs=y)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary())
