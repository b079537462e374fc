"""The JAX backend gives the numbers of the default one: functions, distributions, whole models, fits."""

from __future__ import annotations

import json
import math
import os
from functools import partial
from pathlib import Path

import autograd
import numpy as np
import pytest
from contract.distribution_cases import CASES, arrays, draw, projected, smooth_parameters
from contract.test_functions import SYMMETRIC, batch, float_places, implementation
from contract.tools import AUTOGRAD

import ppl
from ppl.backends import get_backend
from ppl.cli import main
from ppl.compiler import density_program
from ppl.constraints import SUPPORTS
from ppl.distributions import DISTRIBUTIONS
from ppl.errors import InferenceError
from ppl.functions import FUNCTIONS
from ppl.guides import derive_guide
from ppl.inference.target import Target
from ppl.numeric import NUMPY
from ppl.runtime import Executor

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'ppl[jax]'")

from ppl.backends import jax_blocks  # noqa: E402
from ppl.backends.jax_compile import Compiled, enable_x64  # noqa: E402
from ppl.backends.jax_special import ON_HOST  # noqa: E402

BACKEND = get_backend("jax")
EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDER = os.environ.get("PPL_POSTERIORDB")
SCHOOLS = ppl.load(EXAMPLES / "eight_schools.ppl")
SCHOOLS_DATA = json.loads((EXAMPLES / "eight_schools.json").read_text(encoding="utf-8"))


# Functions, supports, distributions: each a function of `xp` and of the arrays of a dictionary ------------


def functions():
    for name in FUNCTIONS:
        arguments, compute = batch(FUNCTIONS[name]), implementation(FUNCTIONS[name])

        def moved(xp, x, name=name, arguments=arguments, compute=compute):
            given = [x.get(place, argument) for place, argument in enumerate(arguments)]
            if name in SYMMETRIC:
                given = [0.5 * (item + xp.swapaxes(item, -1, -2)) for item in given]
            return compute(xp, *given)

        if FUNCTIONS[name].differentiable:
            yield f"function {name}", moved, {place: arguments[place] for place in float_places(arguments)}


def bijections():
    for name, support in SUPPORTS.items():
        if support.bijection is not None:
            bijection, (arguments, shape) = support.bijection, support.example
            at = {0: np.random.default_rng(3).standard_normal((4, *bijection.unconstrained(shape)))}
            for way in ("forward", "log_det"):
                compute = getattr(bijection, way)
                yield f"{way} {name}", lambda xp, u, f=compute, a=arguments: f(xp, u[0], *a), at


def densities():
    for case in CASES:
        name, example = case.values
        distribution, parameters = DISTRIBUTIONS[name], arrays(example)
        smooth = smooth_parameters(distribution, example)
        values = draw(distribution, parameters, (3,)) if distribution.proper else np.zeros(3)

        def given(xp, x, d=distribution, parameters=parameters, smooth=smooth):
            return parameters | {key: projected(xp, d.parameter(key).support, x[key]) for key in smooth}

        def density(xp, x, d=distribution, values=values, given=given):
            return d.log_density(xp, x.get("value", values), **given(xp, x))

        at = {key: parameters[key] for key in smooth}
        yield f"density {case.id}", density, at if distribution.discrete else at | {"value": 1.0 * values}
        for way in ("log_cdf", "log_survival"):
            tail = getattr(distribution, way)
            if tail is not None:
                yield f"{way} {case.id}", lambda xp, x, f=tail, v=values, given=given: f(xp, v, **given(xp, x)), at


RULES = (
    ("where and log at 0", lambda xp, x: xp.where(x[0] > 0, xp.log(x[0] + (x[0] == 0)), 0.0), [0.0, 2.0]),
    ("a state that is left out", lambda xp, x: xp.logaddexp(x[0][0], xp.log(x[0][1])), [1.0, 1e-300]),
    ("runs", lambda xp, x: xp.take(x[0], np.array([0, 0, 1, 1, 2, 2]), axis=0), np.ones((3, 2))),
    ("ragged groups", lambda xp, x: xp.take(x[0], np.array([2, 0, 2, 2, 1, 2]), axis=0), np.ones((3, 2))),
    ("positions from the end", lambda xp, x: xp.take(x[0], np.array([-1, 0, -1, 0]), axis=0), np.ones((3, 2))),
    ("sums of one group", lambda xp, x: xp.segment_sum(x[0], np.full(20, 7), 9), np.ones((2, 20))),
    ("sums of ragged groups", lambda xp, x: xp.segment_sum(x[0], np.array([2, 0, 2, 1, 2]), 3), np.ones((2, 5))),
)
CHECKS = {name: (function, at) for name, function, at in (*functions(), *bijections(), *densities()) if at}
CHECKS |= {name: (function, {0: np.array(at)}) for name, function, at in RULES}


def weighted(function, xp, x, shape):
    """The sum of a function's values with weights that are all different."""
    return xp.sum(np.cos(1.0 + np.arange(math.prod(shape))).reshape(shape) * function(xp, x))


@pytest.fixture(scope="module")
def plain():
    """What NumPy gives for every check."""
    return {name: np.asarray(function(NUMPY, at)) for name, (function, at) in CHECKS.items()}


@pytest.fixture(scope="module")
def compiled(plain):
    """Value and gradient of every check over JAX, all in one program, which compiles faster than many."""

    def everything(points):
        found = {}
        for name, (function, _) in CHECKS.items():

            def total(x, function=function, shape=plain[name].shape):
                value = function(BACKEND.xp, x)
                return weighted(lambda xp, x: value, BACKEND.xp, x, shape), value

            (_, value), slopes = jax.value_and_grad(total, has_aux=True)(points[name])
            found[name] = value, slopes
        return found

    return Compiled(everything)({name: at for name, (_, at) in CHECKS.items()})


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.filterwarnings("ignore:Output seems independent")
def test_values_and_gradients_are_those_of_the_default_backend(name, plain, compiled):
    function, at = CHECKS[name]
    value, slopes = compiled[name]
    np.testing.assert_allclose(value, plain[name], rtol=1e-8, atol=1e-12)
    for key in at:
        expected = autograd.grad(lambda x, key=key: weighted(function, AUTOGRAD, at | {key: x}, plain[name].shape))
        assert slopes[key].dtype == np.float64
        np.testing.assert_allclose(slopes[key], expected(np.asarray(at[key])), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", sorted(ON_HOST))
def test_functions_of_the_host_run_inside_large_compiled_programs(name):
    """All digits, though JAX itself rounds what callbacks are given."""
    rng = np.random.default_rng(5)
    t = rng.normal(0, 3, 200_000)
    share = 1.0 / (1.0 + np.exp(-t))
    arguments = {
        "log_betainc": (np.full(len(t), 2.5), np.full(len(t), 1.5), share, 1.0 - share),
        "log_student_t_cdf": (t, np.full(len(t), 3.3)),
    }.get(name, (np.full(len(t), 2.5), np.abs(t)))
    found = Compiled(lambda *given: getattr(BACKEND.xp.special, name)(*given))(*arguments)
    np.testing.assert_array_equal(np.asarray(found), getattr(NUMPY.special, name)(*arguments))


def test_a_sum_of_impossible_states_has_finite_slopes():
    with enable_x64(True):
        slope = jax.grad(lambda x: BACKEND.xp.logaddexp(x[0], x[1]))(np.array([-np.inf, -np.inf]))
    np.testing.assert_array_equal(slope, [0.5, 0.5])


def test_derivatives_through_draws():
    """Of draws without a closed transform, whose quantile is held, and of scaled ones."""
    gamma, parameters = DISTRIBUTIONS["gamma"], {"concentration": np.array([0.7, 3.0]), "rate": np.array(1.4)}
    noise = gamma.sample(np.random.default_rng(1), (5, 2), **parameters)

    def loss(xp, x):
        moved = xp.implicit(gamma.implicit, noise, {"concentration": x, "rate": parameters["rate"]})
        return xp.sum(xp.scale_gradient(moved, np.arange(10.0).reshape(5, 2)) ** 2)

    slope = BACKEND.value_and_grad(partial(loss, BACKEND.xp))(parameters["concentration"])[1]
    expected = autograd.grad(partial(loss, AUTOGRAD))(parameters["concentration"])
    assert np.all(expected != 0)
    np.testing.assert_allclose(slope, expected, rtol=1e-10)


# Models ------------------------------------------------------------------------------------------------


def corpus():
    """Every example and reference posterior whose data are at hand: (model, data)."""
    for path in sorted([*EXAMPLES.glob("*.ppl"), *(EXAMPLES / "textbook").glob("*.ppl")]):
        if path.with_suffix(".json").exists():
            yield pytest.param(path, path.with_suffix(".json"), id=path.stem)
    for path in sorted((EXAMPLES / "posteriordb").glob("*.ppl")) if FOLDER else ():
        data = Path(FOLDER) / path.stem / "data.json"
        if data.exists():
            yield pytest.param(path, data, id=path.stem)


def bound(path: Path, data: Path) -> ppl.program.BoundModel:
    given = json.loads(data.read_text(encoding="utf-8"))
    try:
        return ppl.load(path).bind(given)
    except ppl.DataError:
        return ppl.load(path).bind(given, base=1)


def assert_models_agree(model, rtol=1e-8):
    """Log density and gradient at three points, in one compiled program."""
    plan = model.plan()
    if plan.scored:
        pytest.skip("scored sites have no log density of continuous values alone")
    guide = derive_guide(plan, "mean_field")
    rows = 0.3 * np.random.default_rng(0).standard_normal((3, guide.layout.size))
    points = {param.name: np.full(param.shape, 0.4) for param in plan.model.params}
    found = []
    for backend in (get_backend("autograd"), BACKEND):
        executor = Executor(plan, model.data, backend.xp)
        log_joint = partial(executor.log_joint, guide, points=points)
        found.append(backend.rows(log_joint, 3).values_and_gradients(rows))
    (value, slope), (other, other_slope) = found
    assert np.all(np.isfinite(value))
    np.testing.assert_allclose(other, value, rtol=rtol)
    np.testing.assert_allclose(other_slope, slope, rtol=rtol, atol=rtol * np.abs(slope).max(initial=0.0))


@pytest.mark.parametrize(("path", "data"), list(corpus()))
def test_models(path, data):
    assert_models_agree(bound(path, data))


RECURRENCES = {
    "the step before": "s[t] = 0.2 * a if t == 0 else a * sin(s[t - 1]) + y[t]",
    "a season before, logs of what is not there": "s[t] = exp(a) if t < 12 else 1 + 0.1 * log(s[t - 12]) * a + y[t]^2",
    "two lags": "s[t] = a if t < 2 else 0.5 * a * s[t - 1] + tanh(s[t - 2]) + y[t]",
    "as far back as data say": "s[t] = exp(a) if t == 0 else log(1 + s[t - gap[t]]^2) * a + y[t]",
    "a season longer than the start that is unrolled": "s[t] = exp(a) if t < 30 else log(s[t - 30]) + a * y[t]",
    "two states": "s[t] = a if t == 0 else r[t - 1] * 0.3 + y[t]\n  r[t] = s[t] if t == 0 else tanh(a * s[t - 1])",
}


@pytest.mark.parametrize("step", RECURRENCES.values(), ids=RECURRENCES)
def test_recurrences(step):
    rng, steps = np.random.default_rng(2), 40
    text = f"data N: int\ndata y, x: real[N]\na ~ normal(0, 1)\nscan t in N {{\n  {step}\n}}\nx ~ normal(s, 1)\n"
    data = {"N": steps, "y": rng.normal(size=steps), "x": rng.normal(size=steps)}
    if "gap" in step:
        text = f"data gap: int(lower=1)[N]\n{text}"
        data["gap"] = np.array([1, *(rng.integers(1, t + 1) for t in range(1, steps))])
    assert_models_agree(ppl.parse(text).bind(data))


LOGISTIC = """
data N: int
data x: real[N]
data y: boolean[N]
a ~ normal(0, 1)
b ~ normal(0, 1)
y ~ bernoulli(logits = a + b * x)
"""


@pytest.mark.parametrize("at_once", [1, 1 << 25], ids=["block by block", "at once"])
def test_large_plates(monkeypatch, at_once):
    """Four whole blocks and a part of one."""
    monkeypatch.setattr(jax_blocks, "AT_ONCE", at_once)
    rng, rows = np.random.default_rng(6), 33_000
    model = ppl.parse(LOGISTIC).bind({"N": rows, "x": rng.normal(size=rows), "y": rng.integers(0, 2, rows)})
    assert "xp.blocks" in density_program(model.plan()).listing
    assert_models_agree(model)


def test_second_derivatives_are_exact():
    model = SCHOOLS.bind(SCHOOLS_DATA)
    plan = model.plan()
    guide = derive_guide(plan, "mean_field")
    rows = 0.3 * np.random.default_rng(0).standard_normal((2, guide.layout.size))
    step = np.full(guide.layout.size, 1e-4)
    targets = (Target(plan, model.data, guide, get_backend(name)) for name in ("autograd", "jax"))
    one, other = (target.hessians(rows, step) for target in targets)
    np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(other, np.swapaxes(other, 1, 2))


def test_products_are_those_of_the_default_backend():
    model = SCHOOLS.bind(SCHOOLS_DATA)
    plan = model.plan()
    guide = derive_guide(plan, "mean_field")
    rng = np.random.default_rng(0)
    rows = 0.3 * rng.standard_normal((3, guide.layout.size))
    for draws in (1, 3):
        vectors = rng.standard_normal((2, draws, guide.layout.size))
        one, other = (
            Target(plan, model.data, guide, get_backend(name)).products(rows, vectors) for name in ("autograd", "jax")
        )
        assert other.shape == (2, 3, guide.layout.size)
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [1, 2, 32, 40, 3000])
def test_rows_of_any_number(count):
    rows = np.random.default_rng(1).normal(size=(count, 3))
    found = BACKEND.rows(lambda rows: BACKEND.xp.sum(rows**3, axis=1), most=1000)
    np.testing.assert_allclose(found.values(rows), np.sum(rows**3, axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.gradients(rows), 3 * rows**2, rtol=1e-12)


def test_data_are_arguments_of_the_compiled_program():
    """Not constants in its text, which would grow with them."""
    y = np.random.default_rng(0).normal(size=100_000)
    compiled = Compiled(lambda x: BACKEND.xp.sum(BACKEND.xp.exp(-x * y)))
    compiled(np.array(0.1))
    (program,) = compiled._programs.values()
    with enable_x64(True):
        text = program._compiled.lower(program._constants, [np.array(0.1)]).as_text()
    assert len(text) < 5_000
    assert [np.shape(constant) for constant in program._constants] == [(100_000,)]


# Fits --------------------------------------------------------------------------------------------------


def assert_same_answer(one, other, sds):
    for name in one.draws(1):
        scale = np.maximum(one.sd(name), 1e-12)
        assert np.all(np.abs(one.mean(name) - other.mean(name)) <= sds * scale)
        assert np.all(np.abs(one.sd(name) - other.sd(name)) <= sds * scale)


def test_a_deterministic_fit_lands_on_the_same_answer():
    """Up to where its optimisers stop."""
    one, other = (SCHOOLS.fit(SCHOOLS_DATA, progress=False, backend=name) for name in ("autograd", "jax"))
    assert other.verdict.level == "trusted"
    assert_same_answer(one, other, 1e-3)


def test_steps_of_adam_are_the_same_steps():
    """The noise is the same, so 130 steps (one block of a hundred, and one of 30) agree to rounding."""
    options = {"method": "adam", "guide": "mean_field", "steps": 130, "progress": False}
    one, other = (SCHOOLS.fit(SCHOOLS_DATA, backend=name, **options) for name in ("autograd", "jax"))
    np.testing.assert_allclose(other.run.history, one.run.history, rtol=1e-9)
    assert_same_answer(one, other, 1e-9)


def test_steps_on_parts_of_the_data_are_the_same_steps():
    """Before and after an anchor takes the noise of the rows off, at 60 steps."""
    text = """
    data N: int
    data x, y: real[N]
    b ~ normal(0, 2)
    @minibatch(10)
    plate n in N {
      y[n] ~ student_t(4, b * x[n], 0.5)
    }
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=100)
    data = {"x": x, "y": 0.7 * x + 0.5 * rng.normal(size=100)}
    options = {"steps": 130, "window": 30, "stop": "iterates", "progress": False}
    one, other = (ppl.parse(text).fit(data, backend=name, **options) for name in ("autograd", "jax"))
    np.testing.assert_allclose(other.run.history, one.run.history, rtol=1e-7)
    assert np.std(one.run.history[-30:]) < 0.3 * np.std(one.run.history[20:60])


def test_a_fit_with_scored_sites_lands_on_the_same_answer():
    program = ppl.load(EXAMPLES / "impala.ppl")
    data = json.loads((EXAMPLES / "impala.json").read_text(encoding="utf-8"))
    options = {"method": "adam", "steps": 40, "progress": False}
    one, other = (program.fit(data, backend=name, **options) for name in ("autograd", "jax"))
    np.testing.assert_allclose(other.run.history, one.run.history, rtol=1e-9)


def test_other_code_of_the_process_keeps_its_precision():
    SCHOOLS.fit(SCHOOLS_DATA, method="adam", steps=5, progress=False, backend="jax")
    assert jax.numpy.ones(1).dtype == np.float32


def test_the_command_line(capsys):
    model, data = EXAMPLES / "o_rings.ppl", EXAMPLES / "o_rings.json"
    assert main(["fit", str(model), "--data", str(data), "--backend", "jax"]) == 0
    assert "Trusted" in capsys.readouterr().out


def test_an_unknown_backend():
    with pytest.raises(InferenceError, match=r"E703.*there are autograd, jax"):
        SCHOOLS.fit(SCHOOLS_DATA, progress=False, backend="torch")
