"""Adam on the ELBO: it finds known optima, says when it has not, and can be interrupted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import ppl
from ppl.errors import InferenceError
from ppl.inference.stochastic.descent import Descent
from ppl.inference.stochastic.optimisers import OPTIMISERS
from ppl.inference.stochastic.schedules import SCHEDULES
from ppl.numeric import NUMPY

CONJUGATE = "data y: real[N]\ndata N: int\nmu ~ normal(0, 2)\ny ~ normal(mu, 1)\n"
DATA = {"y": [0.5, 1.5, 2.0, 1.2]}
PRECISION = 4.0 + 0.25


def test_adam_finds_a_conjugate_posterior():
    """A Gaussian guide is exact here; averaged over 500 steps the parameters are within 2 % of it."""
    fit = ppl.parse(CONJUGATE).fit(DATA, method="adam", guide="mean_field", progress=False)
    assert fit.run.converged
    assert fit.verdict.level == "trusted"
    assert fit.mean("mu") == pytest.approx(sum(DATA["y"]) / PRECISION, abs=0.05 / np.sqrt(PRECISION))
    assert fit.sd("mu") == pytest.approx(1 / np.sqrt(PRECISION), rel=0.05)


def test_a_run_cut_short_is_returned_and_flagged():
    fit = ppl.parse(CONJUGATE).fit(DATA, method="adam", steps=20, progress=False)
    assert not fit.run.converged
    assert fit.verdict.level == "not trusted"
    assert "reached 20 steps" in str(fit.verdict)


def test_an_interrupted_run_returns_what_there_is(monkeypatch):
    calls, advance = [], Descent.advance

    def interrupting(*arguments):
        calls.append(arguments)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(Descent, "advance", interrupting)
    fit = ppl.parse(CONJUGATE).fit(DATA, method="adam", progress=False)
    assert len(fit.run.history) == 29
    assert "interrupted after 29 steps" in str(fit.verdict)
    assert np.isfinite(fit.mean("mu"))


def test_a_learned_parameter_reaches_its_maximum_likelihood():
    """With the latent integrated out y ~ N(a, 2), so the best a is the mean of y."""
    source = """
    data y: real[N]
    data N: int
    param a: real = 0.0
    plate n in N {
      z[n] ~ normal(a, 1)
      y[n] ~ normal(z[n], 1)
    }
    """
    fit = ppl.parse(source).fit(DATA, progress=False)
    assert fit.mean("a") == pytest.approx(np.mean(DATA["y"]), abs=0.03)


FIRST = {"adam": [-0.1, 0.1], "adagrad": [-0.1, 0.1], "rmsprop": [-0.1, 0.1], "sgd": [-0.3, 1e-4]}
SECOND = {
    "adam": [0.1 * (0.9 * 0.3 + 0.1) / 0.19 / np.sqrt((0.999 * 0.009 + 0.001) / 0.001999)],
    "adagrad": [0.1 / np.sqrt(10.0)],
    "rmsprop": [0.1 / np.sqrt((0.99 * 0.09 + 0.01) / 0.0199)],
    "sgd": [0.1 * (0.9 * 3.0 + 1.0)],
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_the_published_ones(name):
    """From gradients 3 and then 1, by hand."""
    optimiser = OPTIMISERS[name]
    step, start = optimiser.step(1e4), optimiser.start(np.zeros(2))
    after = step(NUMPY, start, -1.0, np.array([3.0, -1e-3]), 0.1)
    np.testing.assert_allclose(after.parameters, FIRST[name], rtol=1e-4)
    again = step(NUMPY, after, -1.0, np.array([1.0, 0.0]), 0.1)
    np.testing.assert_allclose(after.parameters[0] - again.parameters[0], SECOND[name][0], rtol=1e-6)
    assert again.parameters[1] == after.parameters[1]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_parameters_that_a_step_does_not_see_keep_their_means(name):
    optimiser = OPTIMISERS[name]
    step = optimiser.step(1e4)
    once = step(NUMPY, optimiser.start(np.zeros(2)), 0.0, np.array([1.0, 2.0]), 0.1)
    many = once
    for _ in range(5):
        many = step(NUMPY, many, 0.0, np.array([1.0, 0.0]), 0.1)
    assert many.count.tolist() == [6.0, 1.0]
    assert [moment[1] for moment in many.moments] == [moment[1] for moment in once.moments]


@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize(("value", "slope"), [(np.nan, 1.0), (1.0, np.inf)])
def test_a_step_that_is_not_finite_is_passed_over(name, value, slope):
    optimiser = OPTIMISERS[name]
    before = optimiser.start(np.ones(2))
    with np.errstate(invalid="ignore"):
        after = optimiser.step(1e4)(NUMPY, before, value, np.array([1.0, slope]), 0.1)
    np.testing.assert_array_equal(after.parameters, before.parameters)
    assert not after.count.any()
    assert not any(moment.any() for moment in after.moments)


def test_long_gradients_are_cut():
    optimiser = OPTIMISERS["sgd"]
    after = optimiser.step(5.0)(NUMPY, optimiser.start(np.zeros(2)), 0.0, np.array([30.0, 40.0]), 1.0)
    np.testing.assert_allclose(after.parameters, [-3.0, -4.0])


@pytest.mark.parametrize("options", [
    {"optimiser": "adagrad"}, {"optimiser": "rmsprop"}, {"optimiser": "sgd", "rate": 0.02}, {"optimiser": "lbfgs"},
    {"schedule": "constant", "steps": 3000}, {"schedule": "cosine", "steps": 3000},
    {"schedule": "exponential", "steps": 3000}, {"warmup": 200}, {"stop": "iterates", "window": 123}, {"clip": 10.0},
    {"average": False},
], ids=str)  # fmt: skip
def test_every_way_down_finds_a_conjugate_posterior(options):
    fit = ppl.parse(CONJUGATE).fit(DATA, method="stochastic", guide="mean_field", progress=False, **options)
    assert fit.run.method == options.get("optimiser", "adam")
    assert fit.run.converged, fit.run.stopped
    assert fit.mean("mu") == pytest.approx(sum(DATA["y"]) / PRECISION, abs=0.05 / np.sqrt(PRECISION))
    assert fit.sd("mu") == pytest.approx(1 / np.sqrt(PRECISION), rel=0.05)


def test_schedules_begin_at_one_and_fall():
    for schedule in SCHEDULES.values():
        factors = [schedule.at(step, 1000, 0) for step in range(0, 1000, 50)]
        assert factors[0] == pytest.approx(1.0)
        assert all(later <= earlier for earlier, later in pairwise(factors))
    assert SCHEDULES["cosine"].at(500, 1000, 0) == pytest.approx(0.5, abs=0.01)
    assert SCHEDULES["constant"].at(0, 1000, 100) == pytest.approx(0.1)


def test_a_run_that_runs_off_goes_back_and_says_so():
    """Steps along the plain gradient of an exponential overflow, until they are small enough."""
    text = "data y: int[N]\ndata x: real[N]\ndata N: int\nb ~ normal(0, 2)\ny ~ poisson(exp(b * x))\n"
    data = {"y": [3, 1, 4, 1, 5], "x": [1.0, 0.2, 1.3, 0.1, 1.6]}
    fit = ppl.parse(text).fit(data, method="stochastic", guide="mean_field", optimiser="sgd", rate=1.0, progress=False)
    assert fit.run.notes[0] == "the ELBO ran off before step 500: went back, with the step size 0.25"
    exact = ppl.parse(text).fit(data)
    assert fit.mean("b") == pytest.approx(exact.mean("b"), abs=0.1 * exact.sd("b"))
    assert fit.sd("b") == pytest.approx(exact.sd("b"), rel=0.1)


BAD = [
    ({"optimiser": "adma"}, "did you mean 'adam'?"),
    ({"schedule": "stepwise"}, "there are staged, constant"),
    ({"optimizer": "sgd"}, "did you mean `optimiser`?"),
    ({"rate": "fast"}, "a number is expected"),
    ({"steps": 2.5}, "a whole number is expected"),
    ({"clip": 0.0}, "it must be positive"),
    ({"every": -1}, "it must be positive"),
    ({"average": 1}, "True or False"),
    ({"checkpoint": 3}, "the path of a file"),
    ({"optimiser": "lbfgs", "rate": 0.1}, "it finds its own step sizes"),
    ({"objective": "iwae", "baseline": "learned"}, "leave `baseline` out"),
    ({"objective": "renyi", "baseline": "none"}, "leave `baseline` out"),
    ({"objective": "forward_kl", "baseline": "leave_one_out"}, "leave `baseline` out"),
]


@pytest.mark.parametrize(("options", "said"), BAD, ids=str)
def test_options_without_meaning_are_refused(options, said):
    with pytest.raises(InferenceError, match=said.replace("?", r"\?")) as caught:
        ppl.parse(CONJUGATE).fit(DATA, method="stochastic", **options)
    assert caught.value.diagnostics[0].code == "E703"


def test_adam_is_adam():
    with pytest.raises(InferenceError, match="method='stochastic'"):
        ppl.parse(CONJUGATE).fit(DATA, method="adam", optimiser="sgd")


NOISY = {
    "minibatch": ("data y: real[N]\ndata N: int\nmu ~ normal(0, 2)\n@minibatch(2)\nplate n in N {\n"
                  " y[n] ~ student_t(4, mu, 1)\n}", "random parts"),
    "scored": ("data y: real[N]\ndata N: int\nmu ~ normal(0, 2)\n@score\nk ~ bernoulli(0.5)\ny ~ normal(mu + k, 1)",
               "depend on the parameters"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOISY)
def test_lbfgs_needs_a_deterministic_objective(name):
    text, said = NOISY[name]
    with pytest.raises(InferenceError, match=said):
        ppl.parse(text).fit(DATA, method="stochastic", optimiser="lbfgs", guide="mean_field")


def test_lbfgs_with_a_full_covariance_has_no_bound():
    text = CONJUGATE + "b ~ student_t(5, 0, 1)\n"
    with pytest.raises(InferenceError, match="use guide='mean_field'"):
        ppl.parse(text).fit(DATA, method="stochastic", optimiser="lbfgs", guide="full_rank")
