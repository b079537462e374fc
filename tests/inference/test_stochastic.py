"""Adam on the ELBO: it finds known optima, says when it has not, and can be interrupted."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.inference import stochastic
from ppl.inference.stochastic import Adam

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
    original = Adam.step
    calls = []

    def interrupting(self: Adam, gradient: np.ndarray, rate: float) -> np.ndarray:
        calls.append(rate)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return original(self, gradient, rate)

    monkeypatch.setattr(stochastic.Adam, "step", interrupting)
    fit = ppl.parse(CONJUGATE).fit(DATA, method="adam", progress=False)
    assert len(fit.run.history) == 30
    assert "interrupted after 30 steps" in str(fit.verdict)
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


def test_steps_of_adam_are_the_published_ones():
    """First step: the rate against the sign of the gradient, whatever its size."""
    np.testing.assert_allclose(Adam(2).step(np.array([3.0, -1e-3]), 0.1), [-0.1, 0.1], rtol=1e-4)
