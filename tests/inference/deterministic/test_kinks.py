"""Densities with kinks have no mode where the gradient vanishes: the search sees that soon, and chains take over."""

import numpy as np

from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.deterministic.mode import find_mode
from ppl.inference.target import Target
from ppl.program import parse

LASSO = """
data N, D: int
data X: real[N, D]
data y: real[N]
b[d in D] ~ laplace(0, 0.05)
y ~ normal(X @ b, 1)
"""


def target_of(text, data):
    bound = parse(text).bind(data)
    plan = bound.plan()
    return Target(plan, bound.data, choose_guide(plan), get_backend())


def test_a_search_ends_at_a_kink():
    rng = np.random.default_rng(0)
    target = target_of(LASSO, {"X": rng.normal(size=(20, 6)), "y": rng.normal(size=20)})
    mode = find_mode(target, np.zeros(6))
    assert not mode.found
    assert target.evaluations < 200  # twelve rounds would take some 600


def test_a_smooth_density_with_bad_scales_is_climbed_to_its_end():
    rng = np.random.default_rng(0)
    data = {"X": rng.normal(size=(20, 6)) * 10.0 ** np.arange(-3, 3), "y": rng.normal(size=20)}
    assert find_mode(target_of(LASSO.replace("laplace(0, 0.05)", "student_t(4, 0, 1)"), data), np.zeros(6)).found
