"""The model of warp_breaks.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import ppl


@ppl.model
def model(N, D, X, breaks):
    alpha = ppl.sample("alpha", ppl.Normal(3, 2))
    with ppl.plate("d", D):
        beta = ppl.sample("beta", ppl.Normal(0, 1))
    with ppl.plate("n", N) as n:
        ppl.sample("breaks", ppl.Poisson(log_rate=alpha + X[n] @ beta), obs=breaks)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary())
