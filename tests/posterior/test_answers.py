"""What asking a fit for something it has not, or a model for a density at no point of it, is answered: exactly."""

import sys

import numpy as np
import pytest
from posterior.made import DATA, made_fit

import ppl

MODEL = """\
data y: real
a ~ normal(0, 1)
s ~ half_normal(1)
p ~ dirichlet([1, 1])
m ~ flat()
y ~ normal(a + m, s)
"""
POINT = {"a": 0.5, "s": 1.0, "p": [0.3, 0.7], "m": 0.0}


def answer(call):
    with pytest.raises(ppl.PPLError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"aa": 1.0}, "E601 no latent site `aa`; did you mean `a`?"),
        ({"a": [1.0, 2.0]}, "E602 m.ppl:2:1\n2 | a ~ normal(0, 1)\n  | ^ value of `a` has shape (2,); expected ()"),
        ({"s": -1.0}, "E603 m.ppl:3:1\n3 | s ~ half_normal(1)\n  | ^ value of `s` is not positive"),
        ({"p": [0.3, 0.3]}, "E603 m.ppl:4:1\n4 | p ~ dirichlet([1, 1])\n  | ^ value of `p` is not "),
    ],
)
def test_points_outside_the_model(change, expected):
    program = ppl.parse(MODEL, "m.ppl")
    assert answer(lambda: program.log_density({**POINT, **change}, {"y": 1.0})).startswith(expected)


def test_a_value_is_needed_for_every_latent():
    program = ppl.parse(MODEL, "m.ppl")
    found = answer(lambda: program.log_density({"s": 1.0, "p": [0.5, 0.5], "m": 0.0}, {"y": 1.0}))
    assert found == "E601 m.ppl:2:1\n2 | a ~ normal(0, 1)\n  | ^ no value given for `a`"


def test_an_improper_prior_is_not_drawn_from():
    found = answer(lambda: ppl.parse(MODEL, "m.ppl").simulate({"y": 1.0}))
    assert found == "E604 m.ppl:5:1\n5 | m ~ flat()\n  | ^ `m` has an improper prior, which cannot be drawn from"


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda fit: fit.mean("thetta"), "E611 no `thetta` in the fit; did you mean `theta`?"),
        (lambda fit: fit.draws(0), "E612 "),
        (lambda fit: fit.posterior.quantile("mu", 1.5), "E618 quantile 1.5; it lies between 0 and 1"),
        (lambda fit: fit.predict({**DATA, "J": 4}), "E614 groups:9:3\n"),
    ],
)
def test_of_a_fit(ask, expected):
    assert answer(lambda: ask(made_fit())).startswith(expected)


def test_an_outcome_that_is_one_no_more():
    text = "data x: real missing\ndata y: real\nmu ~ normal(0, 1)\nx ~ normal(mu, 1)\ny ~ normal(x, 1)"
    fit = made_fit(ppl.parse(text, "m.ppl"), {"x": 1.0, "y": 2.0})
    found = answer(lambda: fit.log_likelihood({"x": None, "y": 2.0}))
    assert found.startswith("E613 m.ppl:4:1\n")
    assert "is latent for these data, and the fit has no draws of it" in found


def test_of_a_saved_fit(tmp_path):
    made_fit().save(tmp_path / "a.fit")
    found = answer(lambda: ppl.load_fit(tmp_path / "a.fit").log_likelihood())
    expected = "a saved fit does not contain the data it was fitted to; pass them: `fit.log_likelihood(data)`"
    assert found == f"E615 {expected}"


def test_of_a_saved_fit_of_a_function(tmp_path):
    @ppl.model
    def coin(y):
        ppl.sample("y", ppl.Normal(ppl.sample("p", ppl.Normal(0, 1)), 1), obs=y)

    made_fit(coin, {"y": np.array(1.0)}).save(tmp_path / "a.fit")
    found = answer(lambda: ppl.load_fit(tmp_path / "a.fit").predict({"y": 1.0}))
    assert found.startswith("E616 `predict` needs the model `coin`: a saved fit does not contain a Python function")


def test_arviz_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    assert answer(lambda: made_fit().to_arviz()) == "E617 `to_arviz` needs ArviZ; pip install 'ppl[arviz]'"
