"""Local latents of rows that the fit has not seen: encoded, refined, predicted with; and what was learned, apart."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import ppl
from ppl.errors import InferenceError

RNG = np.random.default_rng(0)
N = 600
X = RNG.normal(1, 1, N) + 0.5 * RNG.normal(size=N)
AMORTISED = """
data N: int
data x: real[N]
b ~ normal(0, 3)
net enc = mlp([1, 4, gaussian(1)], act="tanh")
@minibatch(100)
plate n in N {
  @amortized(enc([x[n]]))
  z[n] ~ normal(b, 1)
  x[n] ~ normal(z[n], 0.5)
}
"""
PLAIN = AMORTISED.replace('net enc = mlp([1, 4, gaussian(1)], act="tanh")\n', "").replace(
    "  @amortized(enc([x[n]]))\n", ""
)
NEW = np.array([-1.0, 0.0, 1.0, 3.0])


def fitted(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        return ppl.parse(text).fit({"x": X}, seed=1, progress=False)


@pytest.fixture(scope="module")
def amortised():
    return fitted(AMORTISED)


@pytest.fixture(scope="module")
def plain():
    return fitted(PLAIN)


def exact(fit):
    """Mean and sd of z given x and b: precisions 1 and 4."""
    return (fit.mean("b") + 4 * NEW) / 5, np.sqrt(0.2)


def test_one_pass_is_near_the_posterior_and_refinement_nearer(amortised):
    mean, sd = exact(amortised)
    once, refined = amortised.encode({"x": NEW}), amortised.encode({"x": NEW}, draws=4000, refine=400)
    np.testing.assert_allclose(once.mean("z"), mean, atol=0.15)
    np.testing.assert_allclose(refined.mean("z"), mean, atol=0.05)
    np.testing.assert_allclose(refined.sd("z"), sd, rtol=0.08)
    assert once.values["z"].shape == (1000, 4)
    assert list(once.variables) == ["z"]


def test_a_learned_quantity_stays_as_it_is(amortised):
    before = amortised.mean("enc.weight0").copy()
    amortised.encode({"x": NEW}, refine=50)
    np.testing.assert_array_equal(amortised.mean("enc.weight0"), before)


def test_plain_factors_take_gradient_steps(plain):
    mean, sd = exact(plain)
    with pytest.raises(InferenceError, match="`z` has no encoder") as caught:
        plain.encode({"x": NEW})
    assert caught.value.diagnostics[0].code == "E623"
    found = plain.encode({"x": NEW}, draws=4000, refine=500)
    np.testing.assert_allclose(found.mean("z"), mean, atol=0.06)
    np.testing.assert_allclose(found.sd("z"), sd, rtol=0.1)


def test_rows_follow_the_draws_of_the_rest():
    """Where the ends of the support are unknown, each value lies between those of its own draw."""
    text = """
    data N: int
    data x: real[N]
    b ~ lognormal(0, 1)
    net enc = mlp([1, 4, gaussian(1)], act="tanh")
    @minibatch(20)
    plate n in N {
      @amortized(enc([x[n]]))
      z[n] ~ uniform(0, b)
      x[n] ~ normal(z[n], 0.5)
    }
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        fit = ppl.parse(text).fit({"x": X[:60]}, seed=1, steps=600, progress=False)
    found, rows = fit.encode({"x": NEW}, draws=500), fit.draws(500)
    assert np.all(found.values["z"] < rows["b"][:, None])
    assert not np.all(found.values["z"] < rows["b"].min())


def test_predictions_of_other_rows_use_their_own_latents(amortised, plain):
    predicted = amortised.predict({"x": NEW})["x"]
    mean, sd = exact(amortised)
    np.testing.assert_allclose(predicted.mean(axis=0), mean, atol=0.15)
    np.testing.assert_allclose(predicted.std(axis=0), np.hypot(sd, 0.5), rtol=0.1)
    other = plain.predict({"x": NEW})["x"]  # units that the fit has not seen: from the prior
    np.testing.assert_allclose(other.mean(axis=0), plain.mean("b"), atol=0.1)
    np.testing.assert_allclose(other.std(axis=0), np.sqrt(1.25), rtol=0.1)


def test_as_many_rows_as_in_the_fit_are_encoded_too(amortised):
    shifted = X + 3.0
    predicted = amortised.predict({"x": shifted}, draws=400)["x"]
    assert abs(predicted.mean() - X.mean()) > 1.5


def test_a_loaded_fit_encodes_as_before(amortised, tmp_path):
    amortised.save(tmp_path / "fit")
    again = ppl.load_fit(tmp_path / "fit")
    for refine in (0, 20):
        one, other = (each.encode({"x": NEW}, refine=refine) for each in (amortised, again))
        np.testing.assert_array_equal(one.values["z"], other.values["z"])
    np.testing.assert_array_equal(again.mean("enc.weight1"), amortised.mean("enc.weight1"))


def test_learned_parameters_stand_apart(amortised):
    text = str(amortised.summary(["b", "enc.bias1"]))
    head, learned = text.split("learned, without a posterior")
    assert "b " in head
    assert "enc" not in head
    assert learned.split()[:1] == ["value"]
    assert f"enc.bias1[0] {amortised.mean('enc.bias1')[0]:.3g}".split() == learned.splitlines()[1].split()
    assert str(amortised.summary("enc.bias0")).startswith("learned")
    assert amortised.draws(10)["enc.weight0"].strides[0] == 0


def test_a_model_without_latents_of_rows_has_nothing_to_encode():
    fit = ppl.parse("data y: real[N]\ndata N: int\nmu ~ normal(0, 2)\ny ~ normal(mu, 1)\n").fit({"y": [0.1, 0.4]})
    with pytest.raises(InferenceError, match=r"use|predict") as caught:
        fit.encode({"y": [0.3]})
    assert caught.value.diagnostics[0].code == "E623"
    with pytest.raises(InferenceError, match="refine is -1"):
        fit.encode({"y": [0.3]}, refine=-1)


FULL = """
data N: int
data x: real[N, 2]
net enc = mlp([2, 4, full_gaussian(2)], act="tanh")
@minibatch(50)
plate n in N {
  @amortized(enc(x[n]))
  z[n] ~ multi_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]])
  x[n] ~ multi_normal(z[n], [[0.5, 0.0], [0.0, 0.5]])
}
"""
CLASSES = """
data N: int
data x: real[N]
net enc = mlp([1, 4, categorical(3)], act="tanh")
@minibatch(50)
plate n in N {
  @amortized(enc([x[n]]))
  k[n] ~ categorical([0.3, 0.4, 0.3])
  x[n] ~ normal([-3.0, 0.0, 3.0][k[n]], 0.7)
}
"""
SWITCHES = CLASSES.replace("categorical(3)", "bernoulli(1)").replace(
    "categorical([0.3, 0.4, 0.3])", "bernoulli(0.4)"
).replace("[-3.0, 0.0, 3.0][k[n]]", "2 * k[n]")  # fmt: skip


def briefly(text, x):
    """A fit of few steps: what refinement makes of a poor encoder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        return ppl.parse(text).fit({"x": x}, seed=1, steps=150, draws=500, progress=False)


def test_a_full_gaussian_head_keeps_its_covariance():
    """Posterior precision: that of the prior, and 2."""
    new = np.array([[1.0, 1.0], [-1.0, 1.0]])
    fit = briefly(FULL, RNG.normal(size=(100, 2)))
    once, found = fit.encode({"x": new}), fit.encode({"x": new}, draws=4000, refine=500)
    covariance = np.linalg.inv(np.linalg.inv([[1.0, 0.8], [0.8, 1.0]]) + 2.0 * np.eye(2))
    assert once.values["z"].shape == (1000, 2, 2)
    np.testing.assert_allclose(found.mean("z"), new @ (2.0 * covariance), atol=0.06)
    for row in range(2):
        np.testing.assert_allclose(np.cov(found.values["z"][:, row].T), covariance, atol=0.04)


@pytest.mark.parametrize(("text", "weights", "centres"), [
    (CLASSES, [0.3, 0.4, 0.3], [-3.0, 0.0, 3.0]), (SWITCHES, [0.6, 0.4], [0.0, 2.0]),
], ids=["categorical", "bernoulli"])  # fmt: skip
def test_discrete_heads_give_probabilities(text, weights, centres):
    new = np.array([-1.5, 0.9, 1.5])
    fit = briefly(text, RNG.choice(centres, 100) + 0.7 * RNG.normal(size=100))
    found = fit.encode({"x": new}, draws=4000, refine=600)
    joint = np.array(weights) * np.exp(-0.5 * ((new[:, None] - np.array(centres)) / 0.7) ** 2)
    for value, share in enumerate((joint / joint.sum(axis=1, keepdims=True)).T):
        np.testing.assert_allclose((found.values["k"] == value).mean(axis=0), share, atol=0.06)


@ppl.model
def through_python(x):
    b = ppl.sample("b", ppl.Normal(0, 3))
    encoder = ppl.net("enc", [1, 4, 1], head="gaussian")
    with ppl.plate("n", len(x), subsample=100) as n:
        z = ppl.sample("z", ppl.Normal(b, 1), guide=encoder(x[n]))
        ppl.sample("y", ppl.Normal(z[n], 0.5), obs=x[n, 0])


def test_both_doors_encode(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        fit = through_python.fit({"x": X[:, None]}, seed=1, steps=1500, progress=False)
    found = fit.encode({"x": NEW[:, None]}, draws=2000)
    np.testing.assert_allclose(found.mean("z"), exact(fit)[0], atol=0.15)
    fit.save(tmp_path / "fit")
    again = ppl.load_fit(tmp_path / "fit", through_python).encode({"x": NEW[:, None]}, draws=2000)
    np.testing.assert_array_equal(again.values["z"], found.values["z"])
