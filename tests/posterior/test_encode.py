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
