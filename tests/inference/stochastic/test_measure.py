"""The measured variance of every estimator shows the chosen ones to be right."""

import math

import pytest

import ppl
from ppl.inference.stochastic.measure import measure, table

MODEL = """
data N: int
data y: real[N]
s ~ gamma(2, 1)
plate n in N {
  z[n] ~ bernoulli(0.3)
  y[n] ~ normal(2 * z[n], s)
}
k ~ poisson(2)
"""
DATA = {"N": 4, "y": [0.1, 2.3, -0.2, 1.9]}


@pytest.fixture(scope="module")
def rows():
    bound = ppl.parse(MODEL).bind(DATA)
    return measure(bound.plan(), bound.data)


def of(rows, site):
    return {row.estimator: row for row in rows if row.site == site}


def test_every_applicable_estimator_is_there(rows):
    assert set(of(rows, "s")) >= {
        "pathwise, gaussian", "score, normal", "implicit, gamma", "score, gamma", "pathwise, lognormal",
    }  # fmt: skip
    assert set(of(rows, "z")) == {"enumerate", "score, bernoulli"}
    assert [row.estimator for row in rows if row.chosen] == ["pathwise, gaussian", "enumerate", "score, poisson"]


def test_the_chosen_ones_are_the_quieter(rows):
    s, z = of(rows, "s"), of(rows, "z")
    assert s["pathwise, gaussian"].own < 0.7 * s["score, normal"].own
    assert s["implicit, gamma"].own < 0.7 * s["score, gamma"].own
    assert z["enumerate"].own == 0.0
    assert z["enumerate"].others < z["score, bernoulli"].others
    assert all(math.isfinite(row.own) and row.seconds > 0 for row in rows if not row.refused)


def test_what_cannot_be_says_why(rows):
    k = of(rows, "k")
    assert "unbounded" in k["enumerate"].refused or "finite" in k["enumerate"].refused
    assert any("not possible" in line for line in table(rows))


def test_explain_prints_it(capsys):
    text = ppl.parse(MODEL).explain(DATA, measure=True)
    assert "measured near the optimum" in text
    assert "chosen" in text
    assert "instead:" in text
