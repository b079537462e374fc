"""The model of impala.ppl as a Python function: the same graph and the same density."""

import json
from pathlib import Path

import ppl


@ppl.model
def model(N, most, count):
    unseen = ppl.sample("unseen", ppl.Poisson(10))
    typical = ppl.sample("typical", ppl.Uniform(0, most))
    herd = ppl.deterministic("herd", most + unseen)
    with ppl.plate("n", N):
        ppl.sample("count", ppl.Binomial(herd, typical / herd), obs=count)


if __name__ == "__main__":
    data = json.loads(Path(__file__).with_suffix(".json").read_text())
    print(model.fit(data).summary())
