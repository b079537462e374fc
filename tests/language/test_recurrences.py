"""Scans: log densities beside plain loops, gradients beside finite differences, draws that follow their own past."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import halfnorm, norm, poisson, uniform

from ppl.backends import get_backend
from ppl.errors import ModelError
from ppl.inference.choose import choose_guide
from ppl.inference.target import Target
from ppl.model.missing import has_gaps
from ppl.program import parse

T, N = 7, 3
RNG = np.random.default_rng(3)
SERIES = RNG.standard_normal(T)
PANEL = RNG.standard_normal((N, T))

RANDOM_WALK = """
data T: int
data y: real[T]
phi ~ normal(0, 1)
tau ~ half_normal(1)
scan t in T {
  x[t] ~ normal(0 if t == 0 else phi * x[t - 1], tau)
  y[t] ~ normal(x[t], 1)
}
"""


def random_walk(v):
    means = np.append(0.0, v["phi"] * v["x"][:-1])
    prior = norm.logpdf(v["phi"]) + halfnorm.logpdf(v["tau"])
    return prior + norm.logpdf(v["x"], means, v["tau"]).sum() + norm.logpdf(SERIES, v["x"]).sum()


# Two states in plates, one of them with two lags, and a local name.
TREND = """
data N, T: int
data y: real[N, T]
g, h, s
plate i in N {
  a[i] ~ normal(0, 1)
  scan t in T {
    expected = 0 if t == 0 else level[i, t - 1] + slope[i, t - 1]
    level[i, t] = a[i] if t == 0 else g * y[i, t - 1] + (1 - g) * expected
    change = 0 if t == 0 else level[i, t] - level[i, t - 1]
    before = 0 if t == 0 else slope[i, t - 1] if t == 1 else slope[i, t - 2]
    slope[i, t] = 0.1 if t == 0 else h * change + (1 - h) * before
    y[i, t] ~ normal(level[i, t] + slope[i, t], s)
  }
}
""".replace("g, h, s", "g ~ uniform(0, 1)\nh ~ uniform(0, 1)\ns ~ half_normal(1)")


def trend(v):
    total = halfnorm.logpdf(v["s"]) + norm.logpdf(v["a"]).sum()
    for y, start in zip(PANEL, v["a"], strict=True):
        level, slope = [start], [0.1]
        for t in range(1, T):
            level.append(v["g"] * y[t - 1] + (1 - v["g"]) * (level[-1] + slope[-1]))
            before = slope[-1] if t == 1 else slope[-2]
            slope.append(v["h"] * (level[t] - level[t - 1]) + (1 - v["h"]) * before)
        total += norm.logpdf(y, np.add(level, slope), v["s"]).sum()
    return total


MOVING_AVERAGE = """
data T, Q: int
data y: real[T]
m ~ normal(0, 1)
theta[k in Q] ~ normal(0, 1)
scan t in T {
  e[t] = y[t] - m - sum([0 if t - 1 - k < 0 else theta[k] * e[t - 1 - k] for k in Q])
}
factor fit = sum([logpdf(normal(0, 1), e[t]) for t in T])
"""


def moving_average(v):
    errors = []
    for t in range(T):
        past = sum(v["theta"][k] * errors[t - 1 - k] for k in range(2) if t - 1 - k >= 0)
        errors.append(SERIES[t] - v["m"] - past)
    return norm.logpdf(v["m"]) + norm.logpdf(v["theta"]).sum() + norm.logpdf(errors).sum()


# A state that is a vector, one that is a matrix, and one after another in one step.
VECTORS = """
data T: int
data y: real[T]
data A: real[2, 2]
start[k in 2] ~ normal(0, 1)
c ~ normal(0, 1)
scan t in T {
  z[t] = start if t == 0 else softmax(c * (A @ z[t - 1]))
  P[t] = A if t == 0 else c * P[t - 1] + outer(z[t], z[t])
  y[t] ~ normal(z[t][0] + P[t][1, 0], 1)
}
"""
MATRIX = np.array([[0.3, -0.7], [1.1, 0.4]])


def vectors(v):
    z, P, total = v["start"], MATRIX, norm.logpdf(v["start"]).sum() + norm.logpdf(v["c"])
    for t in range(T):
        if t:
            z = softmax(v["c"] * (MATRIX @ z))
            P = v["c"] * P + np.outer(z, z)
        total += norm.logpdf(SERIES[t], z[0] + P[1, 0])
    return total


# A latent site whose scale follows from its own past.
VOLATILITY = """
data T: int
data y: real[T]
a ~ uniform(0, 1)
scan t in T {
  vol[t] = 1 if t == 0 else sqrt(0.1 + a * x[t - 1]^2 + 0.5 * vol[t - 1]^2)
  x[t] ~ normal(0, vol[t])
  y[t] ~ normal(x[t], 1)
}
"""


def volatility(v):
    vol = [1.0]
    for t in range(1, T):
        vol.append(np.sqrt(0.1 + v["a"] * v["x"][t - 1] ** 2 + 0.5 * vol[-1] ** 2))
    return norm.logpdf(v["x"], 0, vol).sum() + norm.logpdf(SERIES, v["x"]).sum()


GARCH = """
data T, K: int
data y: real[T]
data s0: real(lower=0)
alpha ~ normal(0, 10)
beta[k in K] ~ normal(0, 1)
a0 ~ uniform(0, 1)
a1 ~ uniform(0, 1)
b1 ~ uniform(0, 1 - a1)
scan t in K:T {
  m[t] = alpha + sum([beta[k] * y[t - 1 - k] for k in K])
  s[t] = s0 if t == K else sqrt(a0 + a1 * (y[t - 1] - m[t - 1])^2 + b1 * s[t - 1]^2)
  y[t] ~ normal(m[t], s[t])
}
"""


def garch(v):
    prior = norm.logpdf(v["alpha"], 0, 10) + norm.logpdf(v["beta"]).sum() + uniform.logpdf(v["b1"], 0, 1 - v["a1"])
    means, spread, total = {}, 0.7, prior
    for t in range(2, T):
        means[t] = v["alpha"] + sum(v["beta"][k] * SERIES[t - 1 - k] for k in range(2))
        if t > 2:
            error = SERIES[t - 1] - means[t - 1]
            spread = np.sqrt(v["a0"] + v["a1"] * error**2 + v["b1"] * spread**2)
        total += norm.logpdf(SERIES[t], means[t], spread)
    return total


CASES = {
    "a latent that reads itself": (RANDOM_WALK, {"y": SERIES}, random_walk),
    "two states, two lags, plates": (TREND, {"y": PANEL}, trend),
    "lags by a comprehension": (MOVING_AVERAGE, {"y": SERIES, "Q": 2}, moving_average),
    "vectors and matrices": (VECTORS, {"y": SERIES, "A": MATRIX}, vectors),
    "a latent and its scale": (VOLATILITY, {"y": SERIES}, volatility),
    "a scan that starts late": (GARCH, {"y": SERIES, "K": 2, "s0": 0.7}, garch),
}


def target(program, data):
    plan = program.bind(data).plan()
    return Target(plan, program.bind(data).data, choose_guide(plan, "auto"), get_backend())


@pytest.mark.parametrize("case", CASES)
def test_log_density(case):
    text, data, expected = CASES[case]
    program, rng = parse(text), np.random.default_rng(5)
    latents = program.bind(data).model.latents
    for _ in range(2):
        values = {site.name: 0.4 * rng.uniform(size=site.shape) for site in latents}
        np.testing.assert_allclose(program.log_density(values, data), expected(values), rtol=1e-10)


@pytest.mark.parametrize("case", CASES)
def test_gradient(case):
    """Also when it is asked for again and again, from one row to many."""
    text, data, _ = CASES[case]
    log_joint = target(parse(text), data)
    rng, steps = np.random.default_rng(6), 1e-5 * np.eye(log_joint.dim)
    for rows in (1, 4, 4, 4, 4, 4):
        x = 0.3 * rng.standard_normal((rows, log_joint.dim))
        pairs = [(log_joint.log_density(x + step), log_joint.log_density(x - step)) for step in steps]
        slopes = np.stack([(up - down) / 2e-5 for up, down in pairs], axis=1)
        np.testing.assert_allclose(log_joint.gradient(x), slopes, rtol=1e-6, atol=1e-6)


def test_a_recurrence_is_one_operation_of_the_program():
    """Not one for each step: twice the steps make the same program."""
    texts = []
    for count in (5, 10):
        plan = parse(GARCH).bind({"y": RNG.standard_normal(count), "K": 2, "s0": 0.7}).plan()
        from ppl.compiler import density_program

        texts.append(density_program(plan).listing)
    assert len(texts[0].splitlines()) == len(texts[1].splitlines())
    assert texts[0].count("xp.scan(") == 1


# Draws ------------------------------------------------------------------------------------------------


def test_a_latent_is_drawn_after_its_past():
    drawn = parse(RANDOM_WALK).simulate({"y": SERIES}, draws=4000, seed=1)
    x = drawn["x"] / drawn["tau"][:, None]
    steps = x[:, 1:] - drawn["phi"][:, None] * x[:, :-1]
    error = 4 / np.sqrt(steps.size / 2)  # four standard errors of a standard deviation
    assert abs(steps.std() - 1) < error
    assert abs(np.mean(steps * x[:, :-1] / np.abs(x[:, :-1]))) < error


def test_observed_values_are_not_used_in_a_simulation():
    text = VOLATILITY.replace("x[t]", "y[t]").replace("x[t - 1]", "y[t - 1]").replace("  y[t] ~ normal(y[t], 1)\n", "")
    drawn = parse(text).simulate({"y": np.full(T, 100.0)}, draws=50, seed=2)
    before = 0.1 + drawn["a"][:, None] * drawn["y"][:, :-1] ** 2 + 0.5 * drawn["vol"][:, :-1] ** 2
    np.testing.assert_allclose(drawn["vol"][:, 1:], np.sqrt(before), rtol=1e-12)
    assert np.abs(drawn["y"]).max() < 100


def test_states_in_plates_and_whole_numbers_are_drawn():
    text = """
data N, T: int
data y: int[N, T]
plate i in N {
  scan t in T {
    y[i, t] ~ poisson(2 if t == 0 else 1 + 0.5 * y[i, t - 1])
    total[i, t] = y[i, t] if t == 0 else total[i, t - 1] + y[i, t]
  }
}
"""
    program = parse(text)
    counts = RNG.poisson(2, (N, T))
    drawn = program.simulate({"y": counts}, draws=500, seed=4)
    np.testing.assert_array_equal(drawn["total"], np.cumsum(drawn["y"], axis=2))
    assert drawn["y"].dtype.kind == "i"
    assert abs(drawn["y"].mean() - 2) < 0.2
    rates = np.concatenate([np.full((N, 1), 2.0), 1 + 0.5 * counts[:, :-1]], axis=1)
    np.testing.assert_allclose(program.log_density({}, {"y": counts}), poisson.logpmf(counts, rates).sum(), rtol=1e-12)


def test_the_future_is_drawn_in_the_predict_block():
    text = (
        RANDOM_WALK.replace("tau ~ half_normal(1)", "tau = 0.5")
        + """
predict {
  scan h in 3 {
    next[h] ~ normal(phi * (x[T - 1] if h == 0 else next[h - 1]), 1e-9)
    sum_[h] = next[h] if h == 0 else sum_[h - 1] + next[h]
  }
}
"""
    )
    draws = parse(text).fit({"y": SERIES}, draws=200, progress=False).draws()
    powers = draws["phi"][:, None] ** np.arange(1, 4)
    np.testing.assert_allclose(draws["next"], powers * draws["x"][:, -1:], atol=1e-6)
    np.testing.assert_allclose(draws["sum_"], np.cumsum(draws["next"], axis=1), atol=1e-12)


def test_a_series_with_gaps():
    """The missing values are latents that the next values read."""
    head = "data N: int\ndata y: real[N] missing\na ~ normal(0, 1)\n"
    text = head + "scan t in 1:N {\n  y[t] ~ normal(a * y[t - 1], 1)\n}\n"
    series = np.array([1.0, np.nan, 2.0, 0.5])
    program = parse(text)
    model = program.bind({"y": series}).model
    assert not any(site.observed is not None and has_gaps(site.observed) for site in model.sites)
    full = np.array([1.0, 0.3, 2.0, 0.5])
    expected = norm.logpdf(0.4) + norm.logpdf(full[1:], 0.4 * full[:-1]).sum()
    found = program.log_density({"a": 0.4, "y_missing": [0.3]}, {"y": series})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_latent_that_reads_itself_has_no_other_coordinate():
    with pytest.raises(ModelError, match="depends on its own past"):
        parse(RANDOM_WALK.replace("  x[t] ~", "  @noncentered\n  x[t] ~")).bind({"y": SERIES}).plan()
