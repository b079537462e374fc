"""Likelihoods collapse alike in both doors: the same way, as many statistics, the same number."""

import numpy as np
import pytest

import ppl
from ppl.compiler import density_program
from ppl.numeric import NUMPY

N = 400
RNG = np.random.default_rng(0)
COLUMNS = {
    "x": RNG.integers(0, 4, N) / 2.0, "X": RNG.normal(size=(N, 2)), "y": RNG.normal(size=N), "g": RNG.integers(0, 5, N),
    "h": RNG.integers(0, 3, N), "z": RNG.integers(0, 2, N), "k": RNG.poisson(2, N), "p": RNG.gamma(2.0, 1.0, N),
    "c": RNG.integers(0, 3, N),
}  # fmt: skip
DECLARED = {
    "x": "real[N]", "X": "real[N, 2]", "y": "real[N]", "g": "index(5)[N]", "h": "index(3)[N]", "z": "bool[N]",
    "k": "int(lower=0)[N]", "p": "real(lower=0)[N]", "c": "index(3)[N]",
}  # fmt: skip
LATENTS = """
m ~ normal(0, 1)
s ~ half_normal(1)
b[d in 2] ~ normal(0, 1)
u[i in 5] ~ normal(0, 1)
v[i in 3] ~ normal(0, 1)
w ~ dirichlet([1, 1, 1])
"""


def written(outcome, distribution):
    """A function model with the same latents, `distribution(latents, data)` for its outcome."""

    @ppl.model
    def model(N, g=None, h=None, x=None, X=None, y=None, z=None, k=None, p=None, c=None):
        data = {"g": g, "h": h, "x": x, "X": X, "y": y, "z": z, "k": k, "p": p, "c": c}
        latents = {"m": ppl.sample("m", ppl.Normal(0, 1)), "s": ppl.sample("s", ppl.HalfNormal(1))}
        latents["b"] = ppl.sample("b", ppl.Normal(np.zeros(2), 1))
        latents["u"] = ppl.sample("u", ppl.Normal(np.zeros(5), 1))
        latents["v"] = ppl.sample("v", ppl.Normal(np.zeros(3), 1))
        latents["w"] = ppl.sample("w", ppl.Dirichlet([1.0, 1.0, 1.0]))
        with ppl.plate("n", N):
            ppl.sample(outcome, distribution(latents, data), obs=data[outcome])

    return model


CASES = [
    ("y ~ normal(m + X @ b, 2)", "yX", lambda t, d: ppl.Normal(t["m"] + d["X"] @ t["b"], 2)),
    ("y ~ normal(m + X @ b, s)", "yX", lambda t, d: ppl.Normal(t["m"] + d["X"] @ t["b"], t["s"])),
    ("y ~ normal(u[g] + m * x, s)", "ygx", lambda t, d: ppl.Normal(t["u"][d["g"]] + t["m"] * d["x"], t["s"])),
    ("y ~ normal(u[g] + v[h], s)", "ygh", lambda t, d: ppl.Normal(t["u"][d["g"]] + t["v"][d["h"]], t["s"])),
    ("z ~ bernoulli(logits = m)", "z", lambda t, d: ppl.Bernoulli(logits=t["m"])),
    ("z ~ bernoulli(logits = u[g] + v[h])", "zgh", lambda t, d: ppl.Bernoulli(logits=t["u"][d["g"]] + t["v"][d["h"]])),
    ("z ~ bernoulli(logits = m * x)", "zx", lambda t, d: ppl.Bernoulli(logits=t["m"] * d["x"])),
    ("k ~ binomial(20, expit(u[g]))", "kg", lambda t, d: ppl.Binomial(20, 1 / (1 + np.exp(-t["u"][d["g"]])))),
    ("k ~ poisson(exp(u[g]))", "kg", lambda t, d: ppl.Poisson(np.exp(t["u"][d["g"]]))),
    ("c ~ categorical(w)", "c", lambda t, d: ppl.Categorical(t["w"])),
    ("p ~ exponential(s)", "p", lambda t, d: ppl.Exponential(t["s"])),
    ("p ~ gamma(s, exp(u[g]))", "pg", lambda t, d: ppl.Gamma(t["s"], np.exp(t["u"][d["g"]]))),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_both_doors_collapse_alike(case):
    line, names, distribution = case
    data = {"N": N, **{name: COLUMNS[name] for name in names}}
    heads = "".join(f"data {name}: {DECLARED[name]}\n" for name in names)
    doors = [ppl.parse(f"data N: int\n{heads}{LATENTS}{line}\n"), written(line[0], distribution)]
    values = {
        "m": [0.3], "s": [0.8], "b": [[0.5, -0.4]], "u": [np.linspace(-1, 1, 5)], "v": [[0.2, -0.1, 0.4]],
        "w": [[0.2, 0.3, 0.5]],
    }  # fmt: skip
    values = {name: np.asarray(value, float) for name, value in values.items()}
    found, numbers = [], []
    for door in doors:
        bound = door.bind(data)
        plan = bound.plan()
        collapse = plan.collapses[line[0]]
        found.append((collapse.title, collapse.statistics))
        assert collapse.statistics < N / 2
        prepare, run = density_program(plan).load(NUMPY)
        numbers.append(float(np.sum(run(values, prepare(bound.data))[line[0]])))
    assert found[0] == found[1]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-12)
