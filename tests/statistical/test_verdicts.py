"""A posterior that does not exist, or that the guide cannot hold, is never called trusted."""

import warnings

import numpy as np
import pytest

import ppl
from ppl.inference.importance.psis import psis
from ppl.inference.outcome import Outcome
from ppl.inference.verdict import judge

SEPARATED = {"N": 6, "x": [-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], "y": [0, 0, 0, 1, 1, 1]}
LOGISTIC = """
data N: int
data x: real[N]
data y: bool[N]
a ~ flat()
b ~ flat()
y ~ bernoulli(logits = a + b * x)
"""
LINE = """
data N: int
data x: real[N]
data y: real[N]
a ~ flat()
b ~ flat()
s ~ flat(lower=0)
y ~ normal(a + b * x, s)
"""
IMPROPER = {
    "separated logistic regression": (LOGISTIC, SEPARATED),
    "one zero, flat scale": ("data y: real\ns ~ flat(lower=0)\ny ~ normal(0, s)\n", {"y": 0.0}),
    "one zero, proper prior of the scale": ("data y: real\ns ~ half_normal(1)\ny ~ normal(0, s)\n", {"y": 0.0}),
    "only a sum is known": ("data y: real\na ~ flat()\nb ~ flat()\ny ~ normal(a + b, 1)\n", {"y": 0.0}),
    "nothing is known": ("data y: real\na ~ flat()\ny ~ normal(0, 1)\n", {"y": 0.0}),
    "points on a line": (LINE, {"N": 5, "x": [0.0, 1.0, 2.0, 3.0, 4.0], "y": [1.0, 3.0, 5.0, 7.0, 9.0]}),
    "no failure seen": ("data k: int\nu ~ flat()\nk ~ binomial(10, expit(u))\n", {"k": 10}),
    "flat scale of one effect": (
        "data y: real\nt ~ flat(lower=0)\nm ~ normal(0, t)\ny ~ normal(m, 1)\n",
        {"y": 0.5},
    ),
}


@pytest.mark.parametrize("guide", ["auto", "full_rank", "mean_field"])
@pytest.mark.parametrize("case", IMPROPER.values(), ids=IMPROPER)
def test_an_improper_posterior(case, guide):
    program, data = case
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        fit = ppl.parse(program).fit(data, guide=guide)
        str(fit.summary())
    assert fit.verdict.level == "not trusted", fit.verdict
    assert fit.verdict.reasons
    assert fit.verdict.advice


def outcome(ratios):
    """Of a stochastic fit whose draws have these log weights."""
    return Outcome(
        method="adam", parameters=np.zeros(2), values={}, log_weights=None, ratios=ratios, khat=psis(ratios)[1],
        effective=float(len(ratios)), log_evidence=None, history=np.zeros(1), steps=1, converged=True, stopped="",
    )  # fmt: skip


def test_weights_that_hardly_differ_are_trusted_whatever_their_tail():
    """A tenth power in the log weights has a heavy tail, however small it is."""
    plan = ppl.parse("mu ~ normal(0, 1)\n").bind({}).plan()
    z = np.random.default_rng(0).normal(size=4000)
    power = np.sign(z) * np.abs(z) ** 10 * 1e-6
    small, large = outcome(power), outcome(20 * power)
    assert small.khat > 0.7
    assert judge(plan, small)[0].level == "trusted"
    assert "nearly equal" in str(judge(plan, small)[0])
    assert judge(plan, large)[0].level == "not trusted"


@pytest.mark.parametrize("name", ["separated logistic regression", "one zero, flat scale"])
def test_an_improper_posterior_by_stochastic_gradients(name):
    program, data = IMPROPER[name]
    fit = ppl.parse(program).fit(data, method="adam", steps=1500)
    assert fit.verdict.level == "not trusted", fit.verdict


def test_a_heavy_tail_in_many_places_is_noticed():
    """A Gaussian guide on fifty independent Cauchys, uncorrected: the weights have no variance."""
    program = "data y: real\nx[k in 50] ~ cauchy(0, 1)\ny ~ normal(0, 1)\n"
    fit = ppl.parse(program).fit({"y": 0.0}, guide="mean_field")
    assert fit.verdict.level != "trusted"
    assert fit.verdict.khat > 0.7


def test_too_few_steps_are_noticed():
    program = "data y: real\nmu ~ normal(1000, 1000)\ny ~ normal(mu, 0.01)\n"
    fit = ppl.parse(program).fit({"y": 30.0}, method="adam", steps=50)
    assert fit.verdict.level == "not trusted"
    assert "has not converged" in str(fit.verdict)


def test_a_weak_prior_that_makes_it_proper_is_trusted():
    """The separated regression with normal(0, 5) on both: the verdict is not merely cautious."""
    fit = ppl.parse(LOGISTIC.replace("flat()", "normal(0, 5)")).fit(SEPARATED)
    assert fit.verdict.level == "trusted"
    assert np.all(np.isfinite([fit.mean("a"), fit.sd("b")]))


def test_mean_field_that_is_too_narrow_is_told_to_leave_the_guide_to_auto():
    text = "data x, y: real[6]\na ~ normal(0, 10)\nb ~ normal(0, 10)\ny ~ normal(a + b * x, 0.5)\n"
    data = {"x": [4.0, 4.4, 4.8, 5.2, 5.6, 6.0], "y": [5.1, 5.2, 6.0, 6.3, 6.4, 7.2]}
    verdict = ppl.parse(text).fit(data, guide="mean_field", progress=False).verdict
    assert verdict.level == "not trusted"
    assert verdict.advice == ("leave guide and method to `auto`, which keep correlations",)
    assert ppl.parse(text).fit(data, progress=False).verdict.level == "trusted"
