"""What one fit has staged serves the next of the same content, and none of other content."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import ppl
from ppl.backends.staging import products, stages
from ppl.compiler.programs.arrays import ArrayProgram
from ppl.inference import reuse

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
