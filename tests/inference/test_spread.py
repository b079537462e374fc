"""Standard deviations that heavy tails make uncertain are said to be so."""

import numpy as np
import pytest

import ppl
from ppl.inference.spread import uncertain_sd

RNG = np.random.default_rng(3)


def test_the_error_is_that_of_repeated_samples():
    """Of 400 samples of a Student-t with 9 degrees of freedom, whose kurtosis is 4.2."""
    samples = RNG.standard_t(9, (400, 1000))
    observed = samples.std(axis=1).std() / samples.std()
    _, said = uncertain_sd({"x": RNG.standard_t(9, 1_000_000)}, None, 100.0)  # 100 draws: 3.2 times that of 1,000
    assert said == pytest.approx(observed * np.sqrt(10.0), rel=0.25)


def test_the_worst_element_is_named():
    values = {"a": RNG.normal(size=(20_000, 2)), "b": RNG.normal(size=(20_000, 2, 3))}
    assert uncertain_sd(values, None, 20_000.0) is None
    values["b"][:, 1, 2] = RNG.standard_t(2.0, 20_000)
    where, error = uncertain_sd(values, None, 20_000.0)
    assert where == "b[1, 2]"
    assert error > 0.05


def test_weights_count():
    draws = np.concatenate([RNG.normal(size=10_000), np.full(100, 40.0)])
    even = uncertain_sd({"x": draws}, None, 1000.0)
    without = np.where(draws == 40.0, -np.inf, -np.log(10_000.0))
    assert even is not None
    assert uncertain_sd({"x": draws}, without, 1000.0) is None


def test_the_verdict_says_so():
    heavy = "data y: real\nx ~ student_t(2.2, 0, 1)\ny ~ normal(x, 50)\n"
    fit = ppl.parse(heavy).fit({"y": 0.0}, progress=False, method="hamiltonian")
    plain = ppl.parse("data y: real\nx ~ normal(0, 1)\ny ~ normal(x, 50)\n").fit({"y": 0.0}, progress=False)
    assert "the sd of x is uncertain by" in str(fit.verdict)
    assert "uncertain" not in str(plain.verdict)
