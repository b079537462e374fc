"""Exact Hessian-vector products: against autograd's own, central differences, and each other by symmetry."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import isbox
from backends.expressions import functions
from compiler.random_programs import random_programs
from hypothesis import HealthCheck, given, settings

import ppl
from ppl import chains
from ppl.backends import get_backend, loops
from ppl.backends.staging import (
    StagedProducts,
    eager_products,
    products_program,
    value_and_grad,
    values_and_slopes,
)
from ppl.compiler.programs import blocks as planned
from ppl.errors import ModelError
from ppl.guides.derived import derive_guide
from ppl.inference.target import Target
from ppl.runtime import Executor

ROOT = Path(__file__).parents[2] / "examples"
EXAMPLES = [path for path in sorted(ROOT.rglob("*.ppl")) if path.with_suffix(".json").exists()]
XP = get_backend().xp
X = np.random.default_rng(0).normal(size=(3, 4))


def differences(function, rows, vectors, step=1e-5):
    """Central differences of eager gradients."""
    slopes = values_and_slopes(function)
    moved = [[slopes(rows + sign * step * vector)[1] for sign in (1.0, -1.0)] for vector in vectors]
    return np.array([(after - before) / (2.0 * step) for after, before in moved])


def check(function, rows, vectors, rtol=1e-8):
    """The staged products, if they are those of autograd, near differences, and symmetric."""
    products = StagedProducts(function)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for shift in (0.0, 0.1):
            found = products(rows + shift, vectors)
            expected = eager_products(function)(rows + shift, vectors)
            near = differences(function, rows + shift, vectors)
    assert (products.refused, products.inexact) == ("", "")
    size = np.abs(expected).max(initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * size)
    np.testing.assert_allclose(found, near, rtol=1e-4, atol=1e-5 * size)
    tables = np.einsum("jnd,knd->njk", np.broadcast_to(vectors, found.shape), found)
    np.testing.assert_allclose(tables, np.swapaxes(tables, 1, 2), rtol=1e-9, atol=1e-9 * np.abs(tables).max())
    return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(functions())
def test_random_functions_have_autograds_products(function):
    eager = value_and_grad(function)
    vectors = np.random.default_rng(1).normal(size=(5, *X.shape))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        run = products_program(eager, (X,), vectors.shape).run
        for scale in (1.0, -0.7):
            found = run(scale * X, vectors)[2]
            expected = np.array([autograd.make_hvp(function)(scale * X)[0](vector) for vector in vectors])
            np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * (1.0 + np.abs(expected).max()))


def _square(x):
    """Positive definite matrices (…, 3, 3) from rows (…, 4)."""
    outer = x[..., :3, None] * x[..., None, :3]
    return outer + anp.eye(3) * (1.5 + anp.tanh(x[..., 3])[..., None, None])


PLACES = np.array([2, -1, 0, 0])
WHOLE = {
    "cholesky": lambda x: anp.sum(XP.cholesky(_square(x)) ** 3, axis=(1, 2)),
    "solve": lambda x: anp.sum(anp.linalg.solve(_square(x), x[:, :3, None]) ** 2, axis=(1, 2)),
    "triangular solve": lambda x: anp.sum(
        XP.solve_triangular(XP.cholesky(_square(x)), x[:, 1:, None], True) ** 2, axis=(1, 2)
    ),
    "inverse": lambda x: anp.sum(anp.linalg.inv(_square(x)) ** 2, axis=(1, 2)),
    "log determinant": lambda x: XP.linalg.slogdet(_square(x))[1] * x[:, 0],
    "eigenvalues": lambda x: anp.sum(anp.exp(XP.eigenvalues(_square(x) + np.diag([0.0, 1.0, 3.0]))), axis=1),
    "einsum": lambda x: anp.einsum("...ij,...j->...i", _square(x), x[:, :3])[:, 0] ** 2,
    "matrix product": lambda x: anp.sum(anp.matmul(anp.sin(x), X.T) ** 3, axis=1),
    "product of a constant": lambda x: anp.sum(anp.matmul(X, anp.sin(x).T) ** 2, axis=0),
    "sums by group": lambda x: anp.sum(XP.segment_sum(anp.exp(x), np.array([1, 0, 1, 1]), 2) ** 2, axis=1),
    "take": lambda x: anp.sum(XP.take(anp.sin(x), PLACES, 1) ** 2 * x, axis=1),
    "element": lambda x: anp.sum(XP.element(x, (np.arange(3)[:, None], PLACES)) ** 3, axis=1),
    "clip": lambda x: anp.sum(anp.clip(x, -0.5, 0.5) ** 2 * x, axis=1),
    "cumulative": lambda x: anp.sum(anp.cumsum(anp.exp(x), axis=-1) ** 2, axis=1),
    "joined": lambda x: anp.sum(anp.concatenate([x[:, 1:] ** 2, np.ones((3, 1)), x[:, :1]], axis=1) ** 2, axis=1),
    "stacked": lambda x: anp.sum(anp.array([anp.exp(x[:, 0]), x[:, 1] ** 3]) ** 2, axis=0),
    "largest": lambda x: anp.max(x, axis=1) ** 3,
    "maximum and minimum": lambda x: anp.sum(anp.maximum(x, 0.2) ** 3 + anp.minimum(x, x[:, :1]) ** 2, axis=1),
    "special": lambda x: anp.sum(
        XP.special.gammaln(1.0 + x**2) + XP.special.erf(x) + XP.special.digamma(2.0 + x**2), 1
    ),
    "incomplete gamma": lambda x: anp.sum(
        XP.special.log_gammainc(2.5, anp.exp(x)) + XP.special.log_gammaincc(1.5, anp.exp(x)), axis=1
    ),
    "incomplete beta": lambda x: anp.sum(
        XP.special.log_betainc(2.0, 3.5, XP.special.expit(x), XP.special.expit(-x)), axis=1
    ),
    "student tail": lambda x: anp.sum(XP.special.log_student_t_cdf(x, 4.0), axis=1),
    "expit and logit": lambda x: anp.sum(XP.special.logit(0.2 + 0.5 * XP.special.expit(x)), axis=1),
    "power": lambda x: anp.sum((1.0 + x**2) ** 1.7 + (1.0 + x**2) ** anp.sin(x), axis=1),
    "where": lambda x: anp.sum(XP.where(x > 0.0, anp.exp(x), x**2), axis=1),
    "log at zero": lambda x: anp.sum(x**2, axis=1) + 0.0 * anp.sum(XP.log(1.0 + x**2 * 0.0), axis=1),
    "linear": lambda x: anp.sum(3.0 * x, axis=1),
}


@pytest.mark.parametrize("name", WHOLE)
def test_functions_of_whole_arrays(name):
    vectors = np.random.default_rng(2).normal(size=(4, *X.shape))
    check(WHOLE[name], X, vectors)
    check(WHOLE[name], X, vectors[:, :1])


def test_what_is_held_constant_does_not_move():
    """x * stop(x) has the slope stop(x), which has none."""
    found = StagedProducts(lambda x: anp.sum(x * XP.stop_gradient(x) + x**3, axis=1))(X, np.eye(4)[:, None])
    np.testing.assert_allclose(np.einsum("knk->nk", found), 6.0 * X)


def test_chains_have_second_derivatives():
    """A chain of 5 steps and 3 states whose weights depend on the rows; against the sum over all its paths."""
    rng = np.random.default_rng(3)
    base, slope = rng.normal(size=(2, 5, 1, 3, 3))
    base[2, 0, 1] = -np.inf

    def density(x):
        weights = base + slope * anp.sin(x[:, 0])[:, None, None] + anp.cos(x[:, 1:2])[:, :, None]
        return XP.chain(weights) * x[:, 2]

    found = check(density, X, np.random.default_rng(4).normal(size=(3, 1, 4)))
    assert np.abs(found).max() > 0.1


def test_pair_probabilities_change_as_differences_say():
    rng = np.random.default_rng(5)
    weights, moves = rng.normal(size=(6, 2, 3, 3)), rng.normal(size=(2, 6, 2, 3, 3))
    found = chains.pair_changes(weights, chains.filtered(weights), moves)
    step = 1e-5
    near = [(chains.pairs(weights + step * m) - chains.pairs(weights - step * m)) / (2 * step) for m in moves]
    np.testing.assert_allclose(found, near, atol=1e-8)


LOGISTIC = """
data N: int
data x: real[N]
data y: int(lower=0, upper=1)[N]
a ~ normal(0, 1)
b ~ normal(0, 1)
plate n in N { y[n] ~ bernoulli(logits=a + b * x[n]) }
"""


def test_sums_in_blocks_have_second_derivatives(monkeypatch):
    """Two whole blocks and a rest, against the same density without blocks."""
    rng = np.random.default_rng(6)
    data = {"N": 20_000, "x": rng.normal(size=20_000), "y": rng.integers(0, 2, 20_000)}
    bound = ppl.parse(LOGISTIC).bind(data)
    rows, eye = 0.3 * rng.normal(size=(2, 2)), np.eye(2)[:, None]
    found = []
    for least in (1, 10**9):
        monkeypatch.setattr(planned, "LEAST", least)
        plan = bound.plan()
        executor, guide = Executor(plan, bound.data, XP), derive_guide(plan, "mean_field")
        products = StagedProducts(lambda x, e=executor, g=guide: e.log_joint(g, x))
        found.append(products(rows, eye))
        assert products.refused == ""
    np.testing.assert_allclose(found[0], found[1], rtol=1e-9)
    assert ".blocks(" in executor.log_joint_programs[0].source or least == 10**9


GARCH = """
data T: int
data y: real[T]
mu ~ normal(0, 1)
alpha0 ~ half_normal(1)
alpha1 ~ uniform(0, 1)
beta1 ~ uniform(0, 1 - alpha1)
scan t in T {
  s[t] = 0.8 if t == 0 else sqrt(alpha0 + alpha1 * (y[t - 1] - mu)^2 + beta1 * s[t - 1]^2)
  y[t] ~ normal(mu, s[t])
}
"""
PAIR = """
data T: int
data y: real[T]
a ~ normal(0, 0.5)
b ~ normal(0, 0.5)
x0 ~ normal(0, 1)
scan t in T {
  u[t] = x0 if t == 0 else tanh(a * u[t - 1] + b * v[t - 1])
  v[t] = a if t == 0 else sin(b * u[t - 1]) + 0.5 * v[t - 1]
  y[t] ~ normal(u[t] * v[t], 1)
}
"""


@pytest.mark.parametrize("text", [GARCH, PAIR], ids=["one state", "two states"])
@pytest.mark.parametrize("draws", [1, 3])
def test_recurrences_have_second_derivatives(text, draws):
    bound = ppl.parse(text).bind({"T": 12, "y": np.random.default_rng(7).normal(size=12)})
    function, dim = _log_joint(bound)
    rng = np.random.default_rng(8)
    check(function, 0.3 * rng.normal(size=(draws, dim)), rng.normal(size=(3, 1, dim)))


def test_directions_one_by_one_are_directions_as_draws(monkeypatch):
    bound = ppl.parse(PAIR).bind({"T": 6, "y": np.zeros(6)})
    rows, eye = 0.3 * np.random.default_rng(9).normal(size=(2, 3)), np.eye(3)[:, None]
    found = StagedProducts(_log_joint(bound)[0])(rows, eye)
    monkeypatch.setattr(loops._Moving, "draw_axes", lambda *_: {})
    np.testing.assert_allclose(StagedProducts(_log_joint(bound)[0])(rows, eye), found, rtol=1e-12)


def _target(program, data):
    bound = ppl.parse(program).bind(data)
    plan = bound.plan()
    return Target(plan, bound.data, derive_guide(plan, "mean_field"), get_backend())


TRUNCATED = """
data y: real(lower=0)[20]
a ~ lognormal(0, 1)
plate n in 20 { y[n] ~ truncated(gamma(a, 1), lower=0.5) }
"""


def test_what_has_no_second_derivative_is_named_and_taken_by_differences():
    """The incomplete gamma function in its shape."""
    target = _target(TRUNCATED, {"y": 0.6 + np.random.default_rng(0).gamma(2.0, 1.0, 20)})
    rows = np.array([[0.3], [0.8]])
    assert target.products(rows, np.ones((1, 1, 1))) is None
    assert "log_gammaincc" in target.inexact or "slope" in target.inexact
    step = 1e-3
    near = (target.gradient(rows + step) - target.gradient(rows - step)) / (2 * step)
    np.testing.assert_allclose(target.hessians(rows, np.array([1e-4]))[:, 0], near, rtol=1e-5)
    np.testing.assert_allclose(target.curved(rows, np.ones((1, 1, 1)), np.array([1e-4]))[0], near, rtol=1e-5)


def test_a_value_that_python_has_seen_is_not_frozen():
    """What autograd cannot see: the program differs from an eager run elsewhere, so it is not used."""

    def density(x):
        inner = x
        while isbox(inner):
            inner = inner._value
        return anp.sum(x**3, axis=1) * float(inner[0, 0])

    products = StagedProducts(density)
    assert products(X, np.eye(4)[:, None]) is not None
    assert "differs" in products.refused
    assert not products.programs


def test_a_slope_that_cancels_need_not_agree_in_its_last_digit():
    """The sum of two outcomes' probabilities is 1 whatever x is: its slope is what rounding leaves."""
    text = """
    x ~ flat()
    k ~ bernoulli(logits = 0.2 - 1.3 * x)
    y ~ normal(0, 1)
    """
    function, dim = _log_joint(ppl.parse(text).bind({}))
    products = StagedProducts(function)
    rows = np.random.default_rng(0).normal(size=(2, dim))
    found = products(rows, np.eye(dim)[:, None])
    assert products.refused == ""
    np.testing.assert_allclose(found, [np.zeros((2, 2)), [[0, -1], [0, -1]]], atol=1e-15)


def _log_joint(bound):
    plan = bound.plan()
    if plan.scored or plan.factored or plan.model.params or not plan.continuous:
        return None, 0
    executor, guide = Executor(plan, bound.data, XP), derive_guide(plan, "full_rank")
    return lambda rows: executor.log_joint(guide, rows), guide.layout.size


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_has_exact_products(path):
    bound = ppl.load(path).bind(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    function, dim = _log_joint(bound)
    if function is None:
        pytest.skip("its log density is not a function of one array alone")
    rng = np.random.default_rng(1)
    check(function, 0.3 * rng.normal(size=(2, dim)), rng.normal(size=(2, 1, dim)), rtol=1e-7)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(random_programs())
def test_random_models_have_exact_products(program):
    try:
        function, dim = _log_joint(ppl.parse(program.text).bind(program.data))
    except ModelError:
        return
    if function is None:
        return
    rows, vectors = 0.3 * np.random.default_rng(0).normal(size=(2, dim)), np.ones((1, 1, dim))
    products = StagedProducts(function)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = products(rows, vectors)
        if found is None:
            assert products.inexact
            return
        assert products.refused == ""
        expected = eager_products(function)(rows, vectors)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * (1.0 + np.nanmax(np.abs(expected))))
