"""Replayed gradients against eager ones and finite differences, and what is refused."""

from __future__ import annotations

import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import isbox
from backends.expressions import ROW, functions
from compiler.random_programs import random_programs
from hypothesis import HealthCheck, given, settings

import ppl
from ppl import linear
from ppl.backends import get_backend
from ppl.backends.staging import (
    STAGE_AFTER,
    NotRecordable,
    Stage,
    StagedFunction,
    staged_program,
    staged_value_and_grad,
    value_and_grad,
    values_and_slopes,
)
from ppl.errors import ModelError
from ppl.guides.derived import derive_guide
from ppl.runtime import Executor, initial_points

ROOT = Path(__file__).parents[2] / "examples"
EXAMPLES = [path for path in sorted(ROOT.rglob("*.ppl")) if path.with_suffix(".json").exists()]
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
    replay = staged_program(value_and_grad(function), (X,)).run
    for shift in (0.0, 0.4, -1.3):
        value, gradient = replay(X + shift)
        expected, slope = value_and_grad(function)(X + shift)
        np.testing.assert_allclose(value, expected, rtol=1e-14)
        np.testing.assert_allclose(gradient, slope, rtol=1e-13, atol=1e-14)


def test_a_replay_leaves_its_constants_alone():
    """Gradients that start from a constant are not added to in place: the tenth replay is the first."""
    replay = staged_program(value_and_grad(FUNCTIONS["a constant part"]), (X,)).run
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


HIDDEN = {
    "if": lambda x: anp.sum(x**3) if x[0, 0] > 0 else anp.sum(x**2),
    "while": lambda x: _doubled(x),
    "bool of a sum": lambda x: anp.sum(x) if bool(anp.sum(x) > 0) else anp.sum(x * x),
    "and": lambda x: anp.sum(x * (x[0, 0] > 0 and 2.0)),
    "largest in Python": lambda x: max(x[0, 0], x[0, 1]) * anp.sum(x),
    "assert": lambda x: _asserted(x),
}
"""Functions whose record would hold for some arguments only."""


def _doubled(x):
    while anp.sum(x * x) < 10.0:
        x = 2.0 * x
    return anp.sum(x)


def _asserted(x):
    assert anp.all(x < 100.0)
    return anp.sum(x * x)


@pytest.mark.parametrize("function", HIDDEN.values(), ids=HIDDEN)
def test_control_flow_on_values_is_refused_and_stays_eager(function):
    eager = value_and_grad(function)
    with pytest.raises(NotRecordable, match="truth of a recorded value"):
        staged_program(eager, (X,))
    assert eager(X)[0] == function(X), "recording must not leave autograd in disorder"
    stage = Stage(eager)
    for scale in (*STAGE_AFTER * (1.0,), -1.0, 0.5, -2.0):
        value, gradient = stage(scale * X)
        assert value == function(scale * X)
        np.testing.assert_array_equal(gradient, eager(scale * X)[1])
    assert not stage.checked
    assert "truth" in stage.refused


UNBOXED = {
    "the value inside the box": lambda x: anp.sum(x**3) if _plain(x)[0, 0] > 0 else anp.sum(x**2),
    "a constant from the value": lambda x: anp.sum(x * x) * float(_plain(x)[0, 0]),
    "a random number": lambda x: anp.sum(x) * np.random.default_rng().normal(),
}


def _plain(x):
    while isbox(x):
        x = x._value
    return x


@pytest.mark.parametrize("function", UNBOXED.values(), ids=UNBOXED)
def test_what_autograd_cannot_see_is_noticed_and_not_replayed(function):
    """The record is made at one place; the check runs at another, and drops the record."""
    stage = Stage(value_and_grad(function))
    positive = np.abs(X)
    for _ in range(STAGE_AFTER):
        stage(positive)
    stage(-positive)
    assert not stage.checked
    assert stage.program is None
    assert "differs from an eager run" in stage.refused


OUTSIDE = {
    "float()": lambda x: anp.sum(x * x) * float(x[0, 0]),
    "int()": lambda x: anp.sum(x[: int(x[0, 0])]),
    "math": lambda x: anp.sum(x) * math.exp(x[0, 0]),
    "a position": lambda x: anp.sum(x[0][x[0, 0]]),
}


@pytest.mark.parametrize("function", OUTSIDE.values(), ids=OUTSIDE)
def test_python_numbers_of_recorded_values_are_errors(function):
    with pytest.raises((NotRecordable, TypeError, IndexError)):
        staged_program(lambda x: (function(x),), (X,))


def test_functions_that_bypass_autograd_are_not_made_constants():
    """NumPy's own functions reach autograd through the box, or fail; none sees the bare array."""
    for function in (lambda x: np.sum(np.exp(x)), lambda x: np.add.reduce(np.multiply(x, x), None), np.linalg.norm):
        try:
            run = staged_program(lambda x, f=function: (f(x),), (X,)).run
        except NotRecordable:
            continue
        for scale in (1.0, 3.0):
            np.testing.assert_allclose(run(scale * X)[0], function(scale * X), rtol=1e-12)


def test_whole_numbers_are_arguments_too():
    """Positions that change from call to call are not frozen, and outcomes of other types than real numbers neither."""
    take = get_backend().xp.take

    def loss(x, places, kind):
        chosen = take(x, places, 1)
        return anp.sum(anp.where(kind == 1, chosen, chosen**2) * places)

    staged = staged_value_and_grad(loss)
    eager = value_and_grad(loss)
    for seed in range(STAGE_AFTER + 4):
        rng = np.random.default_rng(seed)
        places, kind = rng.integers(0, 4, 6), rng.integers(0, 2, 6)
        for found, expected in zip(staged(X, places, kind), eager(X, places, kind), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert all(stage.checked for stage in staged.stages.values())


def test_types_are_staged_apart():
    staged = staged_value_and_grad(lambda x, k: anp.sum(x * k))
    for _ in range(STAGE_AFTER + 2):
        for k in (np.array(2), np.array(0.5)):
            assert staged(X, k)[0] == pytest.approx(float(k) * X.sum())
    assert len(staged.stages) == 2


def test_arguments_are_left_alone_and_results_are_the_callers():
    staged = staged_value_and_grad(lambda x, y: anp.sum((x - y) ** 2) + anp.sum(3.0 * x))
    first, second = X.copy(), X + 1.0
    for _ in range(STAGE_AFTER + 2):
        _, gradient = staged(first, second)
        gradient *= 0.0
    np.testing.assert_array_equal(first, X)
    np.testing.assert_array_equal(second, X + 1.0)
    np.testing.assert_allclose(staged(first, second)[1], 2 * (X - second) + 3.0)


def test_results_that_are_constants_or_arguments_are_copies():
    run = staged_program(lambda x: (x, x[:, 1:], 3.0 * np.ones(4), anp.sum(x)), (X,)).run
    for _ in range(2):
        argument = X.copy()
        same, part, constant, _ = run(argument)
        np.testing.assert_array_equal(constant, np.full(4, 3.0))
        for result in (same, part, constant):
            result *= 0.0
        np.testing.assert_array_equal(argument, X)


def test_large_arrays_share_memory_between_calls_but_not_with_results():
    def function(x):
        return (anp.exp(x) * 2.0 + anp.sin(x), anp.sum(anp.exp(x) * x))

    x = np.linspace(-1.0, 1.0, 20_000)
    run = staged_program(function, (x,)).run
    first = run(x)[0]
    kept = first.copy()
    second = run(2.0 * x)[0]
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_allclose(second, np.exp(2.0 * x) * 2.0 + np.sin(2.0 * x), rtol=1e-14)


def test_threads_may_replay_one_program_at_once():
    def function(x):
        return (anp.sum(anp.exp(x) * anp.sin(x + anp.sum(x))), anp.cumsum(x) * 2.0)

    x = np.linspace(-1.0, 1.0, 20_000)
    run = staged_program(function, (x,)).run
    expected = [run(k * x) for k in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            for found, right in zip(pool.map(lambda k: run(k * x), range(8)), expected, strict=True):
                for one, other in zip(found, right, strict=True):
                    np.testing.assert_array_equal(one, other)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(functions())
def test_random_functions_keep_their_numbers(function):
    eager = value_and_grad(function)
    with np.errstate(all="ignore"):
        replay = staged_program(eager, (X,)).run
        for scale in (1.0, -0.7, 0.3):
            (value, gradient), (again, slope) = eager(scale * X), replay(scale * X)
            np.testing.assert_allclose(again, value, rtol=1e-9, atol=1e-10 * (1.0 + abs(value)))
            np.testing.assert_allclose(slope, gradient, rtol=1e-8, atol=1e-9 * (1.0 + np.abs(gradient).max()))


SHORT = {
    "x * 1": (lambda x: x * 1.0, 0),
    "x - 0": (lambda x: x - 0.0, 0),
    "x / 1": (lambda x: x / 1.0, 0),
    "x ** 1": (lambda x: x**1, 0),
    "minus minus": (lambda x: anp.negative(-x), 0),
    "log exp": (lambda x: anp.log(anp.exp(x)), 0),
    "slices of slices": (lambda x: x[1:][:1], 1),
    "reshaped back": (lambda x: anp.reshape(anp.reshape(x, (12,)), (3, 4)), 0),
    "numbers gather": (lambda x: 2.0 * (3.0 * (x * 5.0)), 1),
    "x ** 2": (lambda x: x**2, 1),
    "division by a constant": (lambda x: x / 7.0, 1),
    "equal parts": (lambda x: anp.exp(x) * anp.exp(x), 2),
    "what nothing reads": (lambda x: (anp.sin(x), anp.exp(x))[1], 1),
    "data alone": (lambda x: x + np.exp(ROW) * 2.0 + 1.0, 1),
}
"""How many calls are left of a function that gives back (almost) its argument."""


@pytest.mark.parametrize(("function", "calls"), SHORT.values(), ids=SHORT)
def test_identities_leave_few_calls(function, calls):
    program = staged_program(lambda x: (function(x),), (X,))
    lines = [line for line in program.source.splitlines() if " = " in line]
    assert len(lines) == calls, program.source
    np.testing.assert_allclose(program.run(X)[0], function(X), rtol=1e-14)


LOG_DETERMINANTS = {
    "one part": lambda x: anp.sum(anp.linalg.slogdet(_positive(x))[1] * x[:, 0]),
    "both parts": lambda x: anp.sum(anp.multiply(*anp.linalg.slogdet(_positive(x))) * x[:, 0]) + anp.sum(x * x),
}


def _positive(x):
    return anp.matmul(x[:, :, None], x[:, None, :]) + anp.eye(4)


@pytest.mark.parametrize("function", LOG_DETERMINANTS.values(), ids=LOG_DETERMINANTS)
def test_parts_of_a_tuple_have_gradients_in_a_larger_program(function):
    replay = staged_program(value_and_grad(function), (X,)).run
    for scale in (1.0, 0.4):
        for found, expected in zip(replay(scale * X), value_and_grad(function)(scale * X), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_element_may_be_named_from_either_end():
    """Sums by index, where -1 and 2 are one element of three."""
    index = np.array([-1, 0, 2, 1])
    np.testing.assert_array_equal(linear.add_runs(np.array([1.0, 2.0, 3.0, 4.0]), index, 0, (3,)), [2.0, 4.0, 4.0])
    take = get_backend().xp.take

    def loss(x):
        return anp.sum(take(x, np.array([-1, 3, 0, 1]), 1) ** 3)

    expected = autograd.grad(lambda x: anp.sum(x[:, np.array([3, 3, 0, 1])] ** 3))(X)
    np.testing.assert_allclose(value_and_grad(loss)(X)[1], expected)
    np.testing.assert_allclose(staged_program(value_and_grad(loss), (X,)).run(X)[1], expected)


@pytest.mark.parametrize("index", [[-4, 0], [0, 3]])
def test_sums_by_an_index_out_of_bounds_are_errors(index):
    with pytest.raises(IndexError, match="out of bounds for an axis of size 3"):
        linear.add_runs(np.ones(2), np.array(index), 0, (3,))


def test_differences_are_taken_before_they_are_summed():
    """Sums are not taken apart where large parts cancel: here each is a million million, their difference about one."""
    offset = 1e12

    def loss(x):
        return anp.sum((x - x[:, :1]) * ROW)

    eager = value_and_grad(loss)
    at = X + offset
    np.testing.assert_allclose(staged_program(eager, (at,)).run(at)[0], eager(at)[0], rtol=1e-12)


def test_a_gradient_that_does_not_depend_on_the_input():
    staged = staged_value_and_grad(lambda x: anp.sum(3.0 * x))
    for _ in range(STAGE_AFTER + 3):
        value, gradient = staged(X)
        assert value == pytest.approx(3.0 * X.sum())
        np.testing.assert_array_equal(gradient, np.full(X.shape, 3.0))


def _executors(path):
    bound = ppl.load(path).bind(json.loads(path.with_suffix(".json").read_text(encoding="utf-8")))
    plan = bound.plan()
    if plan.scored or not plan.continuous:
        pytest.skip("its log density is not a function of one array alone")
    return Executor(plan, bound.data, get_backend().xp), derive_guide(plan, "full_rank")


def test_explain_shows_the_staged_program():
    path = ROOT / "eight_schools.ppl"
    data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    program = ppl.load(path)
    shown = program.explain(data, code=True).split("# staged: ")[1].splitlines()
    assert re.fullmatch(r"log density and gradient of 32 draws, \d+ instructions from \d+ recorded calls", shown[0])
    assert shown[1].startswith("# folded from data: ")
    assert any(re.fullmatch(r"#   c\d+: float64 \(8,\)", line) for line in shown)
    start = shown.index("def replay(x0):")
    lines = [line for line in shown[start + 1 :] if not line.startswith("    del ")]
    assert len(lines) - 1 == int(re.search(r"(\d+) instructions", shown[0])[1])
    assert lines[-1].startswith("    return (")
    assert "# staged" not in program.explain(data)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_replayed_with_equal_numbers(path):
    executor, guide = _executors(path)
    points = {name: executor.xp.exp(0.0 * start) for name, start in initial_points(executor.plan).items()}
    eager = values_and_slopes(lambda rows: executor.log_joint(guide, rows, points))
    rng = np.random.default_rng(1)
    staged = StagedFunction(eager)
    with np.errstate(all="ignore"):
        for _ in range(STAGE_AFTER + 3):
            rows = 0.5 * rng.normal(size=(4, guide.layout.size))
            for found, expected in zip(staged(rows), eager(rows), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    (stage,) = staged.stages.values()
    assert stage.refused is None
    assert stage.checked


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(random_programs())
def test_random_models_are_replayed_with_equal_numbers(program):
    bound = ppl.parse(program.text).bind(program.data)
    try:
        plan = bound.plan()
    except ModelError:
        return
    if plan.scored or plan.factored or not plan.continuous:
        return
    executor, guide = Executor(plan, bound.data, get_backend().xp), derive_guide(plan, "mean_field")
    points = executor.points(initial_points(plan))
    eager = values_and_slopes(lambda rows: executor.log_joint(guide, rows, points))
    rows = 0.5 * np.random.default_rng(0).normal(size=(3, guide.layout.size))
    with np.errstate(all="ignore"):
        replay = staged_program(eager, (rows,)).run
        for scale in (1.0, -0.5):
            for found, expected in zip(replay(scale * rows), eager(scale * rows), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
