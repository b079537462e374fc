"""`ppl.scan` means what `scan` in the language means."""

import numpy as np
import pytest

import ppl

T = 30
Y = np.random.default_rng(0).normal(size=T)
DATA = {"T": T, "y": Y}
HEAD = "data T: int\ndata y: real[T]\n"


def garch_text():
    return ppl.parse(
        HEAD
        + """
a0 ~ half_normal(1)
b1 ~ beta(2, 2)
scan t in T {
  s[t] = 1 if t == 0 else sqrt(a0 + 0.3 * y[t - 1]^2 + b1 * s[t - 1]^2)
  y[t] ~ normal(0, s[t])
}
"""
    )


@ppl.model
def garch(T, y):
    a0 = ppl.sample("a0", ppl.HalfNormal(1))
    b1 = ppl.sample("b1", ppl.Beta(2, 2))
    s = ppl.scan("s", lambda t, before: np.sqrt(a0 + 0.3 * y[t - 1] ** 2 + b1 * before**2), 1.0, T)
    with ppl.plate("t", T) as t:
        ppl.sample("y", ppl.Normal(0, s[t]), obs=y)


def walk_text():
    return ppl.parse(
        HEAD
        + """
tau ~ half_normal(1)
scan t in T {
  x[t] ~ normal(0 if t == 0 else x[t - 1], 2 if t == 0 else tau)
  y[t] ~ normal(x[t], 1)
}
"""
    )


@ppl.model
def walk(T, y):
    tau = ppl.sample("tau", ppl.HalfNormal(1))
    x = ppl.scan("x", lambda t, before: ppl.Normal(before, tau), ppl.Normal(0, 2), T)
    with ppl.plate("t", T):
        ppl.sample("y", ppl.Normal(x, 1), obs=y)


@pytest.mark.parametrize(
    ("text", "function", "values"),
    [
        (garch_text, garch, {"a0": 0.7, "b1": 0.4}),
        (walk_text, walk, {"tau": 0.4, "x": np.random.default_rng(1).normal(size=T)}),
    ],
    ids=["computed", "drawn"],
)
def test_log_densities_are_those_of_the_language(text, function, values):
    expected = text().log_density(values, DATA, by_site=True)
    found = function.log_density(values, DATA, by_site=True)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-10)


def test_a_recurrence_is_the_loop_it_stands_for():
    s = [1.0]
    for t in range(1, T):
        s.append(np.sqrt(0.7 + 0.3 * Y[t - 1] ** 2 + 0.4 * s[-1] ** 2))
    s = np.array(s)
    expected = np.sum(-0.5 * (Y / s) ** 2 - np.log(s)) - 0.5 * T * np.log(2 * np.pi)
    assert garch.log_density({"a0": 0.7, "b1": 0.4}, DATA, by_site=True)["y"] == pytest.approx(expected, abs=1e-10)


def test_a_random_walk_is_drawn_step_by_step():
    """Increments of the drawn walk have the scale that was drawn with it: 2,000 x 29 of them, five standard errors."""
    draws = walk.simulate({"T": T}, draws=2000, seed=3)
    steps = np.diff(draws["x"], axis=1) / draws["tau"][:, None]
    assert steps.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * steps.size))
    assert draws["x"][:, 0].std() == pytest.approx(2.0, abs=5 * 2 / np.sqrt(2 * 2000))


def test_first_and_step_must_be_of_one_kind():
    @ppl.model
    def mixed(T):
        ppl.scan("x", lambda t, before: ppl.Normal(before, 1), 0.0, T)

    with pytest.raises(ppl.ModelError, match="both be values or both distributions"):
        mixed.bind({"T": 3})


def test_first_and_step_must_be_of_one_family():
    @ppl.model
    def mixed(T):
        ppl.scan("x", lambda t, before: ppl.Cauchy(before, 1), ppl.Normal(0, 1), T)

    with pytest.raises(ppl.ModelError, match="both must be of one family"):
        mixed.bind({"T": 3})
