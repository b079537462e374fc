"""Networks: the same outputs as NumPy by hand, through both doors, and a regression that they learn."""

import numpy as np
import pytest
from scipy import special, stats

import ppl
from ppl.model.networks import ACTIVATIONS

TEXT = """
data N, D: int
data x: real[N, D]
data y: real[N]
net f = mlp([D, 8, 4, 1], act="tanh")
s ~ half_normal(1)
plate n in N {
  y[n] ~ normal(f(x[n])[0], s)
}
"""
BY_HAND = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": special.expit,
    "softplus": lambda x: np.logaddexp(0, x),
    "gelu": lambda x: x * stats.norm.cdf(x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "identity": lambda x: x,
}


def forward(params, x, act, name="f"):
    layers = len(params) // 2
    for layer in range(layers):
        x = x @ params[f"{name}.weight{layer}"] + params[f"{name}.bias{layer}"]
        x = BY_HAND[act](x) if layer < layers - 1 else x
    return x


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 2))
    return {"x": x, "y": np.sin(2 * x[:, 0]) * x[:, 1] + 0.1 * rng.normal(size=60)}


def params(model, data, seed=None):
    found = {param.name: np.asarray(param.initial) for param in model.bind(data).model.params}
    if seed is None:
        return found
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=start.shape) for name, start in found.items()}


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("rows", [False, True])
def test_log_density(act, rows, data):
    text = TEXT.replace("tanh", act)
    if rows:
        text = text.split("plate")[0] + "y ~ normal(f(x)[:, 0], s)"
    model = ppl.parse(text)
    values = params(model, data, seed=1)
    expected = stats.halfnorm.logpdf(0.7)
    expected += stats.norm.logpdf(data["y"], forward(values, data["x"], act)[:, 0], 0.7).sum()
    assert model.log_density({**values, "s": 0.7}, data) == pytest.approx(expected, abs=1e-8)


def test_a_network_of_latents(data):
    """Draws, plates and layers are axes of one product."""
    text = "data N: int\ndata y: real[N, 3]\nnet dec = mlp([2, 4, 3])\nplate n in N {\n  z[n] ~ multi_normal([0, 0], "
    text += "cov = eye(2))\n  m = dec(z[n])\n  plate d in 3 { y[n, d] ~ normal(m[d], 1) }\n}"
    rng = np.random.default_rng(1)
    model, bound = ppl.parse(text), {"y": rng.normal(size=(5, 3))}
    z, values = rng.normal(size=(5, 2)), params(ppl.parse(text), bound, seed=2)
    expected = stats.norm.logpdf(z).sum()
    expected += stats.norm.logpdf(bound["y"], forward(values, z, "relu", "dec")).sum()
    assert model.log_density({**values, "z": z}, bound) == pytest.approx(expected, abs=1e-8)


def test_the_start_is_the_documented_one(data):
    model = ppl.parse(TEXT.replace("mlp([D, 8, 4, 1]", "mlp([D, 400, 300, 1]"))
    start = params(model, data)
    assert {name: value.shape for name, value in start.items()} == {
        "f.weight0": (2, 400), "f.bias0": (400,), "f.weight1": (400, 300), "f.bias1": (300,),
        "f.weight2": (300, 1), "f.bias2": (1,),
    }  # fmt: skip
    assert all(not np.any(value) for name, value in start.items() if "bias" in name)
    limit = np.sqrt(6 / 700)
    assert np.abs(start["f.weight1"]).max() == pytest.approx(limit, rel=1e-3)
    assert start["f.weight1"].std() == pytest.approx(limit / np.sqrt(3), rel=0.02)
    rectified = params(ppl.parse(model.text.replace("tanh", "relu")), data)
    assert rectified["f.weight1"].std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    again = params(model, data)
    assert all(np.array_equal(value, again[name]) for name, value in start.items())
    other = params(ppl.parse(model.text.replace("net f", "net h").replace("f(x", "h(x")), data)
    assert not np.array_equal(other["h.weight1"], start["f.weight1"])


def test_both_doors(data):
    @ppl.model
    def function(x, y):
        f = ppl.net("f", [x.shape[1], 8, 4, 1], act="tanh")
        s = ppl.sample("s", ppl.HalfNormal(1))
        with ppl.plate("n", len(y)) as n:
            ppl.sample("y", ppl.Normal(f(x[n])[0], s), obs=y[n])

    text = ppl.parse(TEXT)
    assert str(text.bind(data)) == str(function.bind(data))
    assert text.log_density({"s": 0.7}, data) == pytest.approx(function.log_density({"s": 0.7}, data), abs=1e-10)
    assert text.explain(data) == function.explain(data)


def test_it_learns_within_the_noise(data):
    fit = ppl.parse(TEXT).fit(data, steps=3000, seed=1)
    history = fit.run.history
    assert history[-100:].mean() > history[:100].mean() + 50
    assert fit.mean("s") < 0.25  # data of standard deviation 0.8, noise 0.1
    predicted = fit.predict(data, draws=400)["y"].mean(axis=0)
    assert np.sqrt(np.mean((predicted - data["y"]) ** 2)) < 0.2
