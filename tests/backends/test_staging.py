"""Replayed gradients against eager ones and finite differences, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import isbox

import ppl
from ppl.backends import get_backend
from ppl.backends.staging import STAGE_AFTER, _Stage, record, staged_value_and_grad, value_and_grad
from ppl.inference.choose import choose_guide
from ppl.inference.target import Target

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.ppl"))
FUNCTIONS = {
    "squares": lambda x: anp.sum(x * x),
    "slices": lambda x: anp.sum(x[:, 0] * x[:, 1]),
    "a slice twice": lambda x: anp.sum((x[:, 0][:, None] - x[:, 1:]) ** 2 + x[:, :1] * x[:, 1:]),
    "gather": lambda x: anp.sum(anp.exp(x[:, np.array([0, 0, 2])])),
    "a constant part": lambda x: anp.sum(x * x) + anp.sum(0.0 * x[:, 0]) + anp.sum(x[:, 1:]),
    "reshape and matrix product": lambda x: anp.sum(anp.reshape(x, (4, 3)) @ x),
    "where": lambda x: anp.sum(anp.where(x > 0.3, x**3, anp.sin(x))),
    "broadcast": lambda x: anp.sum(x[:1] * x * anp.sum(x, axis=1, keepdims=True)),
    "shared parts": lambda x: anp.sum(anp.exp(x)) * anp.sum(anp.exp(x)),
}
X = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_value_and_grad_is_autograds(function):
    value, gradient = value_and_grad(function)(X)
    expected, slope = autograd.value_and_grad(function)(X)
    assert value == expected
    np.testing.assert_allclose(gradient, slope, rtol=1e-14)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_replay_gives_the_eager_numbers_at_other_points(function):
    replay = record(value_and_grad(function), (X,))
    for shift in (0.0, 0.4, -1.3):
        value, gradient = replay(X + shift)
        expected, slope = value_and_grad(function)(X + shift)
        np.testing.assert_allclose(value, expected, rtol=1e-14)
        np.testing.assert_allclose(gradient, slope, rtol=1e-13, atol=1e-14)


def test_a_replay_leaves_its_constants_alone():
    """Gradients that start from a constant are not added to in place: the tenth replay is the first."""
    replay = record(value_and_grad(FUNCTIONS["a constant part"]), (X,))
    first = replay(X)[1]
    for _ in range(9):
        again = replay(X)[1]
    np.testing.assert_array_equal(first, again)


def test_other_arguments_are_inputs_too():
    def loss(x, noise):
        return anp.sum((x * noise) ** 2)

    staged = staged_value_and_grad(loss)
    for seed in range(2 * STAGE_AFTER + 2):
        noise = np.random.default_rng(seed).normal(size=X.shape)
        value, gradient = staged(X, noise)
        np.testing.assert_allclose(value, np.sum((X * noise) ** 2), rtol=1e-13)
        np.testing.assert_allclose(gradient, 2 * X * noise**2, rtol=1e-13)


def test_shapes_are_staged_apart():
    staged = staged_value_and_grad(lambda x: anp.sum(x**2))
    for _ in range(STAGE_AFTER + 2):
        for rows in (1, 5):
            x = np.full((rows, 2), 3.0)
            value, gradient = staged(x)
            assert value == 18.0 * rows
            np.testing.assert_array_equal(gradient, 2 * x)


def test_control_flow_on_values_is_noticed_and_not_replayed():
    """The record is made where the value is positive; the check runs where it is not, and drops the record."""

    def branching(x):
        plain = x
        while isbox(plain):
            plain = plain._value
        return anp.sum(x**3) if plain[0] > 0 else anp.sum(x**2)

    stage = _Stage(value_and_grad(branching))
    for _ in range(STAGE_AFTER):
        stage(np.array([1.0, 2.0]))
    for _ in range(3):
        value, gradient = stage(np.array([-1.0, 2.0]))
        assert value == 5.0
        np.testing.assert_array_equal(gradient, [-2.0, 4.0])


def test_a_gradient_that_does_not_depend_on_the_input():
    staged = staged_value_and_grad(lambda x: anp.sum(3.0 * x))
    for _ in range(STAGE_AFTER + 3):
        value, gradient = staged(X)
        assert value == pytest.approx(3.0 * X.sum())
        np.testing.assert_array_equal(gradient, np.full(X.shape, 3.0))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_replayed_with_equal_numbers(path):
    bound = ppl.load(path).bind(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    plan = bound.plan()
    if plan.scored or not plan.continuous:
        pytest.skip("its gradient is not a function of one array alone")
    target = Target(plan, bound.data, choose_guide(plan), get_backend())
    eager = Target(plan, bound.data, choose_guide(plan), _Eager())
    rng = np.random.default_rng(1)
    for _ in range(STAGE_AFTER + 3):
        rows = 0.5 * rng.normal(size=(4, target.dim))
        np.testing.assert_allclose(target.gradient(rows), eager.gradient(rows), rtol=1e-9, atol=1e-9)


class _Eager:
    """The default backend without staging."""

    name = "eager"
    xp = get_backend().xp

    def value_and_grad(self, function, arrays=True):
        return value_and_grad(function)
