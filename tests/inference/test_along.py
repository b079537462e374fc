"""A target as a function of some of its coordinates: the same derivatives, without those by the others."""

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.target import Target

KERNEL = """
data x: real[6]
data y: bool[6]
ell ~ inverse_gamma(5, 5)
amp ~ half_normal(2)
z[i in 6] ~ normal(0, 1)
f = cholesky(squared_exponential(x, x, amp, ell) + diag(rep(1e-6, 6))) @ z
y ~ bernoulli(logits = f)
"""
RAGGED = """
data n: int[3]
data y: real[3, 3]
s ~ half_normal(1)
plate j in 3 {
  m[j] ~ normal(0, 1)
  plate i in n[j] {
    e[j, i] ~ normal(m[j], s)
    y[j, i] ~ student_t(4, e[j, i], 0.5)
  }
}
"""
RNG = np.random.default_rng(0)
CASES = {
    "whole sites": (KERNEL, {"x": np.arange(6.0), "y": [0, 1, 1, 0, 1, 0]}, np.arange(2, 8)),
    "parts of sites": (KERNEL, {"x": np.arange(6.0), "y": [0, 1, 1, 0, 1, 0]}, np.array([1, 3, 4, 7])),
    "ragged": (RAGGED, {"n": [3, 1, 2], "y": RNG.normal(size=(3, 3))}, np.array([1, 2, 4, 5, 9])),
}


def target_of(text, data, backend="autograd"):
    bound = ppl.parse(text).bind(data)
    guide = choose_guide(bound.plan())
    return Target(guide.plan, bound.data, guide, get_backend(backend))


@pytest.mark.parametrize("backend", ["autograd", "jax"])
@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_the_whole(name, backend):
    if backend == "jax":
        pytest.importorskip("jax")
    text, data, places = CASES[name]
    target = target_of(text, data, backend)
    along = target.along(places)
    rows = 0.4 * np.random.default_rng(1).normal(size=(3, target.dim))
    before = target.evaluations
    for _ in range(8):  # recorded on the way
        np.testing.assert_allclose(along.gradient(rows), target.gradient(rows)[:, places], rtol=1e-9, atol=1e-10)
    assert target.evaluations == before + 2 * 8 * len(rows)
    vectors = np.eye(target.dim)[places][:, None]
    whole, part = target.products(rows, vectors), along.products(rows, vectors[:, :, places])
    np.testing.assert_allclose(part, whole[:, :, places], rtol=1e-8, atol=1e-8)


def test_what_stays_is_not_differentiated():
    """The program of derivatives by what multiplies a Cholesky factor has no derivative of that factor."""
    text, data, places = CASES["whole sites"]
    target = target_of(text, data)
    rows, vectors = np.zeros((2, target.dim)), np.eye(len(places))[:, None]
    along = target.along(places)
    assert along.products(rows, vectors) is not None
    assert target.products(rows, np.eye(target.dim)[places][:, None]) is not None
    part, whole = (next(iter(each._log_joint.rows._products.programs.values())).source for each in (along, target))
    assert part.count("solve") < whole.count("solve")
