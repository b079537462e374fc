"""What one fit has staged serves the next of the same content, and none of other content."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import ppl
from ppl.backends import reuse
from ppl.backends.staging import products, stages
from ppl.blocks import ROWS
from ppl.compiler.programs.arrays import ArrayProgram

MODEL = """
data N: int
data y: real[N]
mu ~ normal(0, 5)
sigma ~ half_normal(3)
plate n in N { y[n] ~ student_t(4, mu, sigma) }
"""


@pytest.fixture(autouse=True)
def nothing_kept():
    reuse.forget()
    yield
    reuse.forget()


@dataclass
class Count:
    recordings: int = 0


@pytest.fixture
def count(monkeypatch) -> Count:
    """How many programs are recorded."""
    found = Count()
    for module, name in ((stages, "staged_program"), (products, "products_program")):
        made = getattr(module, name)

        def counted(*arguments: Any, made: Any = made, **named: Any) -> Any:
            found.recordings += 1
            return made(*arguments, **named)

        monkeypatch.setattr(module, name, counted)
    return found


def _data(seed: int, size: int = 30) -> dict[str, Any]:
    return {"N": size, "y": np.random.default_rng(seed).normal(seed, 1.0, size)}


def test_a_second_fit_of_the_same_model_and_data_records_nothing(count):
    first = ppl.parse(MODEL).fit(_data(1))
    assert count.recordings > 0
    count.recordings = 0
    second = ppl.parse(MODEL).fit({name: np.copy(value) for name, value in _data(1).items()})
    other = ppl.parse(MODEL).fit(_data(1), seed=7)
    assert count.recordings == 0
    np.testing.assert_array_equal(first.draws(200)["mu"], second.draws(200)["mu"])
    assert other.mean("mu") == pytest.approx(first.mean("mu"), abs=0.05)


def test_new_data_of_the_same_shape_are_staged_anew_and_right(count):
    program = ppl.parse(MODEL)
    program.fit(_data(1))
    count.recordings = 0
    second = program.fit(_data(4))
    assert count.recordings > 0
    assert second.mean("mu") == pytest.approx(np.mean(_data(4)["y"]), abs=0.3)
    assert program.fit(_data(1)).mean("mu") == pytest.approx(np.mean(_data(1)["y"]), abs=0.3)


def test_data_changed_in_place_are_new_data():
    data = _data(1)
    program = ppl.parse(MODEL)
    first = program.fit(data).mean("mu")
    data["y"] += 10.0
    assert program.fit(data).mean("mu") == pytest.approx(first + 10.0, abs=0.1)


def test_a_model_of_the_same_shape_with_another_number_is_another():
    means = [ppl.parse(MODEL.replace("0, 5", prior)).fit(_data(1)).mean("mu") for prior in ("0, 5", "9, 0.1")]
    assert means[1] > means[0] + 2.0


def test_a_closed_over_value_is_content():
    """Functions made by one statement are told apart by what they close over, others by themselves."""

    def made(factor: Any) -> ArrayProgram:
        return ArrayProgram("", {"f": lambda xp, x: factor * x}, {})

    one = reuse.programs_for("autograd", [made(2.0)], {})
    one["kept"] = True
    assert "kept" in reuse.programs_for("autograd", [made(2.0)], {})
    assert "kept" not in reuse.programs_for("autograd", [made(3.0)], {})
    assert "kept" not in reuse.programs_for("jax", [made(2.0)], {})
    array = np.ones(3)
    reuse.programs_for("autograd", [made(array)], {})["kept"] = True
    array[1] = 5.0
    assert "kept" not in reuse.programs_for("autograd", [made(array)], {})


@dataclass(frozen=True)
class Opaque:
    inner: Any = field(default_factory=object)


def test_what_cannot_be_told_and_large_data_are_not_kept(monkeypatch):
    monkeypatch.setattr(reuse, "MOST_DATA", 100)
    for programs, data in (([ArrayProgram("", {}, {"a": Opaque()})], {}), ([], {"x": np.ones(20)})):
        reuse.programs_for("autograd", programs, data)["kept"] = True
        assert not reuse.programs_for("autograd", programs, data)


def test_the_oldest_are_dropped():
    for number in range(reuse.MOST_KEPT + 1):
        reuse.programs_for("autograd", [], {"x": np.array(number)})["kept"] = True
    assert not reuse.programs_for("autograd", [], {"x": np.array(0)})
    assert reuse.programs_for("autograd", [], {"x": np.array(reuse.MOST_KEPT)})


# Objectives of stochastic fits ----------------------------------------------------------------------------------

SCORED = """
data N: int
data y: real[N]
m ~ normal(0, 5)
plate n in N { @score
  z[n] ~ bernoulli(0.5)
  y[n] ~ normal(m + 2 * z[n], 1) }
"""
PARTS = MODEL.replace("plate n", "@minibatch(10)\nplate n")
STEPS = {"steps": 30, "window": 10}
STOCHASTIC: dict[str, tuple[str, dict[str, Any]]] = {
    "elbo": (MODEL, {"method": "stochastic", **STEPS}),
    "sticking the landing": (MODEL, {"objective": "stl", **STEPS}),
    "renyi": (MODEL, {"objective": "renyi", **STEPS}),
    "forward": (MODEL, {"objective": "forward_kl", **STEPS}),
    "mean field": (MODEL, {"method": "stochastic", "guide": "mean_field", **STEPS}),
    "few draws": (MODEL, {"method": "stochastic", "gradient_draws": 4, **STEPS}),
    "parts": (PARTS, STEPS),
    "smaller parts": (PARTS.replace("10", "5"), STEPS),
    "scored": (SCORED, STEPS),
    "learned baseline": (SCORED, {"baseline": "learned", **STEPS}),
    "no baseline": (SCORED, {"baseline": "none", **STEPS}),
    "coordinate ascent": (MODEL, {"method": "cavi"}),
}


def _fitted(name: str, seed: int = 0, data: int = 1) -> np.ndarray:
    """Draws of the location."""
    text, options = STOCHASTIC[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        fit = ppl.parse(text).fit(_data(data), seed=seed, draws=50, **options)
    return fit.draws(50)["m" if text is SCORED else "mu"]


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_second_stochastic_fit_records_nothing_whatever_its_seed(count, name):
    first = _fitted(name)
    assert count.recordings > 0
    count.recordings = 0
    np.testing.assert_array_equal(_fitted(name), first)
    assert not np.array_equal(_fitted(name, seed=3), first)
    assert count.recordings == 0


def test_no_two_objectives_share_a_program(count):
    """With everything kept, every fit gives what it gives with nothing kept: of other data of the same shape too."""
    cases = [*((name, 1) for name in STOCHASTIC), ("elbo", 2), ("parts", 2), ("scored", 2)]
    alone = []
    for name, data in cases:
        reuse.forget()
        alone.append(_fitted(name, data=data))
    reuse.forget()
    for (name, data), expected in zip(cases, alone, strict=True):
        np.testing.assert_array_equal(_fitted(name, data=data), expected, err_msg=name)


def test_other_data_or_another_objective_is_recorded_anew(count):
    _fitted("elbo")
    for name, data in (("elbo", 2), ("sticking the landing", 1), ("few draws", 1), ("parts", 1), ("smaller parts", 1)):
        count.recordings = 0
        _fitted(name, data=data)
        assert count.recordings > 0, name


def test_shared_parts_and_objects_without_state_are_told():
    """An expression that shares its parts is not looked through again and again; a class stands for its instances."""

    @dataclass(frozen=True)
    class Pair:
        one: Any
        other: Any

    class Bare:
        pass

    class Other:
        pass

    def deep(leaf: Any) -> Any:
        for _ in range(60):
            leaf = Pair(leaf, leaf)
        return leaf

    reuse.programs_for("autograd", [], {}, deep(1.0))["kept"] = True
    assert "kept" in reuse.programs_for("autograd", [], {}, deep(1.0))
    assert "kept" not in reuse.programs_for("autograd", [], {}, deep(2.0))
    assert "kept" not in reuse.programs_for("autograd", [], {}, Pair(deep(1.0), 1.0))
    reuse.programs_for("autograd", [], {}, Bare())["kept"] = True
    assert "kept" in reuse.programs_for("autograd", [], {}, Bare())
    assert "kept" not in reuse.programs_for("autograd", [], {}, Other())


def test_programs_of_blocks_of_rows_serve_other_data(count):
    """The data of a block are arguments of its program: with other data only what is around the blocks is recorded."""
    size = 4 * ROWS
    options = {"method": "stochastic", "guide": "mean_field", "gradient_draws": 1, "steps": 10, "window": 10}

    def fitted(seed: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ppl.UncertainFitWarning)
            return ppl.parse(MODEL).fit(_data(seed, size), draws=50, **options).mean("mu")

    def recorded(seed: int) -> tuple[float, int]:
        count.recordings = 0
        return fitted(seed), count.recordings

    first = recorded(1)
    assert first[1] > 1
    assert recorded(1) == (first[0], 0)
    other = recorded(2)
    assert other[1] == 1
    reuse.forget()
    assert fitted(2) == other[0]


def test_little_data_are_kept_all_together(monkeypatch):
    monkeypatch.setattr(reuse, "MOST_BYTES", 100)
    for number in range(3):
        reuse.programs_for("autograd", [], {"x": np.full(5, number)})["kept"] = True
    assert not reuse.programs_for("autograd", [], {"x": np.full(5, 0)})
    assert reuse.programs_for("autograd", [], {"x": np.full(5, 2)})


@pytest.mark.parametrize("name", ["elbo", "renyi"])
def test_jax_compiles_nothing_for_a_second_fit_nor_for_other_data(monkeypatch, name):
    jax = pytest.importorskip("jax")
    made: list[Any] = []
    compiled_by = jax.jit
    monkeypatch.setattr(jax, "jit", lambda function: made.append(function) or compiled_by(function))
    text, options = STOCHASTIC[name]

    def fitted(seed: int, data: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ppl.UncertainFitWarning)
            return ppl.parse(text).fit(_data(data), seed=seed, draws=50, backend="jax", **options).mean("mu")

    first, compiled = fitted(0, 1), len(made)
    assert compiled > 0
    assert fitted(0, 1) == first
    fitted(1, 1)
    assert len(made) == compiled
    other = fitted(0, 2)
    assert len(made) == compiled
    reuse.forget()
    assert fitted(0, 2) == other
    assert len(made) > compiled


def test_forms_of_jax_programs_tell_them_apart():
    jax = pytest.importorskip("jax")
    from ppl.backends.jax_forms import form_of

    def key(function: Any, *arguments: Any) -> Any:
        kept = reuse.programs_for("jax", (), {}, form_of(jax.make_jaxpr(function)(*arguments).jaxpr))
        return id(kept.setdefault("program", object()))

    array, other, np_ = np.arange(3.0), np.arange(3.0) + 1.0, jax.numpy
    base = key(lambda x: np_.sum(array * x), array)
    assert key(lambda x: np_.sum(other * x), array) == base
    functions = [
        lambda x: np_.sum(array * x) + 2.0,
        lambda x: np_.sum(array * x) + 2.5,
        lambda x: np_.sum(x * array),
        lambda x: np_.sum(array + x),
        lambda x: np_.sum(array[:2] * x[:2]),
        lambda x: jax.lax.scan(lambda c, item: (c + item, c), 0.0, x)[0],
        lambda x: jax.lax.scan(lambda c, item: (c * item, c), 0.0, x)[0],
        lambda x: np_.cumsum(x)[-1],
        lambda x: np_.logaddexp(x, array),
    ]
    keys = {base, *(key(function, array) for function in functions)}
    assert len(keys) == len(functions) + 1
    assert key(functions[0], np.arange(4.0)[:3]) in keys
