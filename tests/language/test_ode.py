"""`ode`: solutions and log densities beside SciPy's, gradients beside finite differences."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import halfnorm, norm

from ppl import ode
from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.target import Target
from ppl.ode import step
from ppl.program import parse

TIMES = np.array([0.0, 0.5, 1.0, 2.0])
SERIES = np.random.default_rng(0).standard_normal((4, 2))

# A scalar state for each element of a plate, a right side that depends on time, constants and a time at the start.
FORCED = """
data N, M: int
data ts: real[N]
data y: real[N, M]
def change(t, z, k, c) {
  decay = k * z
  return c - decay + sin(t)
}
k ~ half_normal(1)
start[i in M] ~ normal(0, 1)
plate i in M {
  z[i] = ode(change, start[i], 0, ts, k, 0.5, rtol=1e-10, atol=1e-10)
  plate n in N {
    y[n, i] ~ normal(z[i][n], 1)
  }
}
"""


def forced(v):
    def path(start):
        def change(t, z):
            return 0.5 - v["k"] * z + np.sin(t)

        return solve_ivp(change, (0, 2), [start], t_eval=TIMES, rtol=1e-11, atol=1e-11)

    z = np.array([path(start).y[0] for start in v["start"]]).T
    return halfnorm.logpdf(v["k"]) + norm.logpdf(v["start"]).sum() + norm.logpdf(SERIES, z).sum()


# A vector state with a matrix argument that is latent.
LINEAR = """
data N: int
data ts: real[N]
data y: real[N, 2]
def change(t, z, A) {
  return A @ z
}
a[k in 2] ~ normal(0, 1)
start[k in 2] ~ normal(0, 1)
A = [[a[0], 1], [-1, a[1]]]
z = ode(change, start, -1, ts, A, rtol=1e-10, atol=1e-10)
y ~ normal(z, 1)
"""


def linear(v):
    A = np.array([[v["a"][0], 1], [-1, v["a"][1]]])
    z = solve_ivp(lambda t, z: A @ z, (-1, 2), v["start"], t_eval=TIMES, rtol=1e-11, atol=1e-11).y.T
    return norm.logpdf(v["a"]).sum() + norm.logpdf(v["start"]).sum() + norm.logpdf(SERIES, z).sum()


CASES = {"plate, scalar state": (FORCED, forced), "vector state": (LINEAR, linear)}
DATA = {"ts": TIMES, "y": SERIES}


@pytest.mark.parametrize("case", CASES)
def test_log_density(case):
    text, expected = CASES[case]
    program, rng = parse(text), np.random.default_rng(1)
    for _ in range(2):
        values = {site.name: 0.5 * rng.uniform(size=site.shape) for site in program.bind(DATA).model.latents}
        np.testing.assert_allclose(program.log_density(values, DATA), expected(values), rtol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_gradient(case):
    """Also when it is asked for again and again, with rows that need other steps."""
    bound = parse(CASES[case][0]).bind(DATA)
    plan = bound.plan()
    target = Target(plan, bound.data, choose_guide(plan, "auto"), get_backend())
    rng, step = np.random.default_rng(2), 1e-4
    for _ in range(6):
        x = 0.5 * rng.standard_normal((3, target.dim))
        pairs = [(target.log_density(x + step * e), target.log_density(x - step * e)) for e in np.eye(target.dim)]
        slopes = np.stack([(up - down) / (2 * step) for up, down in pairs], axis=1)
        np.testing.assert_allclose(target.gradient(x), slopes, rtol=1e-6, atol=1e-6)


def test_the_error_stays_within_the_tolerance():
    errors = []
    for tolerance in (1e-3, 1e-5, 1e-7):
        text = LINEAR.replace("1e-10", f"{tolerance:g}")
        values = {"a": np.array([0.1, -0.2]), "start": np.array([1.0, 0.5])}
        errors.append(abs(parse(text).log_density(values, DATA) - linear(values)) / tolerance)
    assert max(errors) < 100
    assert errors[2] * 1e-7 < errors[0] * 1e-3


def test_a_solution_that_runs_away_leaves_the_others_alone():
    text = """
data N: int
data ts: real[N]
data y: real[N]
def change(t, z, k) {
  return [k * z[0]^2]
}
k ~ half_normal(1)
z = ode(change, [1], 0, ts, k, rtol=1e-8, atol=1e-8)
y ~ normal(z[:, 0], 1)
"""
    bound = parse(text).bind({"ts": TIMES, "y": SERIES[:, 0]})
    plan = bound.plan()
    target = Target(plan, bound.data, choose_guide(plan, "auto"), get_backend())
    rows = np.log([[0.1], [2.0], [0.3]])
    together = target.log_density(rows)
    alone = np.concatenate([target.log_density(row[None]) for row in rows])
    np.testing.assert_allclose(together[[0, 2]], alone[[0, 2]], rtol=1e-6)
    assert not np.isfinite(together[1])


DECAY = """
data N: int
data ts: real[N]
data y: real[N]
def change(t, z, k) {
  return [-k * z[0]]
}
k ~ half_normal(1)
z = ode(change, [1], 0, ts, k, rtol=1e-8, atol=1e-8)
y ~ normal(z[:, 0], 1)
"""


def test_draws_that_need_far_shorter_steps_are_solved_by_themselves(monkeypatch):
    bound = parse(DECAY).bind({"ts": TIMES, "y": SERIES[:, 0]})
    plan = bound.plan()
    target = Target(plan, bound.data, choose_guide(plan, "auto"), get_backend())
    rows = np.log([*np.linspace(0.5, 1.5, 80), 300.0, 400.0])[np.random.default_rng(0).permutation(82), None]
    alone = np.array([target.log_density(row[None])[0] for row in rows])
    taken = []
    monkeypatch.setattr(ode, "step", lambda slope, t, z, length: taken.append(len(z)) or step(slope, t, z, length))
    np.testing.assert_allclose(target.log_density(rows), alone, rtol=1e-6)
    assert min(taken) == 2
    assert sum(taken) < 0.2 * len(rows) * len(taken)
    move = 1e-4 * np.ones((1, 1))
    slopes = (target.log_density(rows + move) - target.log_density(rows - move))[:, None] / 2e-4
    np.testing.assert_allclose(target.gradient(rows), slopes, rtol=1e-5, atol=1e-6)
