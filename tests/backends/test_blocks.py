"""Large plates in blocks of rows: the same numbers as all at once, and bounded memory."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from ppl.backends import get_backend
from ppl.backends.staging import STAGE_AFTER, staged_value_and_grad, value_and_grad
from ppl.blocks import NUMBERS, ROWS, mapped
from ppl.compiler.programs import blocks
from ppl.guides.derived import derive_guide
from ppl.inference.target import Target
from ppl.numeric import NUMPY
from ppl.program import parse
from ppl.runtime import Executor, initial_points

N = blocks.LEAST + 77
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = RNG.normal(size=N)
GROUP = RNG.integers(0, 7, N)
COUNT = RNG.poisson(2.0, N)
GAPS = np.where(RNG.random(N) < 0.1, np.nan, Y)

MODELS = {
    "logistic regression": (
        "data N, K: int\ndata X: real[N, K]\ndata b: int[N]\nplate k in K { beta[k] ~ normal(0, 1) }\n"
        "plate n in N { b[n] ~ bernoulli(logits = dot(X[n], beta)) }",
        {"X": X, "b": (Y > 0).astype(int)},
    ),
    "whole arrays": (
        "data N, K: int\ndata X: real[N, K]\ndata y: real[N]\nbeta[k in K] ~ normal(0, 1)\ns ~ half_normal(1)\n"
        "y ~ normal(X @ beta, s)",
        {"X": X, "y": Y},
    ),
    "gathers": (
        "data N, J: int\ndata g: index(J)[N]\ndata x, y: real[N]\nm ~ normal(0, 1)\ns ~ half_normal(1)\n"
        "plate j in J { a[j] ~ normal(m, s)\n b[j] ~ normal(0, 1) }\n"
        "plate n in N { y[n] ~ student_t(4, a[g[n]] + b[g[n]] * x[n], exp(m)) }",
        {"g": GROUP, "x": X[:, 0], "y": Y, "J": 7},
    ),
    "two gathers at once": (
        "data N, J, K: int\ndata g: index(J)[N]\ndata h: index(K)[N]\ndata y: real[N]\n"
        "plate j in J { plate k in K { a[j, k] ~ normal(0, 1) } }\nplate n in N { y[n] ~ normal(a[g[n], h[n]], 1) }",
        {"g": GROUP, "h": GROUP[::-1] % 3, "y": Y, "J": 7, "K": 3},
    ),
    "deterministic rows": (
        "data N: int\ndata x: real[N]\ndata c: int[N]\na ~ normal(0, 1)\nb ~ normal(0, 1)\n"
        "plate n in N { e[n] = a + b * (x[n] - mean(x))\n c[n] ~ poisson(log_rate = e[n]) }",
        {"x": X[:, 0], "c": COUNT},
    ),
    "missing outcomes": (
        "data N: int\ndata y: real[N] missing\na ~ normal(0, 1)\ns ~ half_normal(1)\n"
        "plate n in N { y[n] ~ cauchy(a, s) }",
        {"y": np.concatenate([GAPS, Y[: np.sum(np.isnan(GAPS))]])},
    ),
    "a small plate beside": (
        "data N, K: int\ndata X: real[N, K]\nplate k in K { a[k] ~ normal(0, 1) }\n"
        "plate n in N { plate k in K { X[n, k] ~ cauchy(a[k], 1) } }",
        {"X": X},
    ),
    "vectors": (
        "data N, K: int\ndata X: real[N, K]\nm[k in K] ~ normal(0, 1)\nplate n in N { X[n] ~ multi_normal(m, eye(K)) }",
        {"X": X},
    ),
    "ragged rows": (
        "data G: int\ndata len: int(lower=0, upper=2)[G]\ndata c: int[G, 2]\na ~ normal(0, 1)\n"
        "plate g in G { plate i in len[g] { c[g, i] ~ poisson(log_rate = a) } }",
        {"len": COUNT.clip(0, 2), "c": np.stack([COUNT, COUNT + 1], axis=1)},
    ),
    "a learned parameter": (
        "data N: int\ndata y: real[N]\nparam t: real(lower=0) = 1.5\na ~ normal(0, 1)\n"
        "plate n in N { y[n] ~ cauchy(a, t) }",
        {"y": Y},
    ),
}


def bound(name):
    text, data = MODELS[name]
    found = parse(text).bind(data)
    return found, dataclasses.replace(found.plan(), collapses={})


def functions(plan, data, monkeypatch):
    """The log joint density of rows in blocks, and of all rows at once, with the size of a vector."""
    guide, found = derive_guide(plan, "mean_field"), []
    for least in (blocks.LEAST, sys.maxsize):
        monkeypatch.setattr(blocks, "LEAST", least)
        executor = Executor(plan, data, get_backend().xp)
        points = executor.points(initial_points(plan))
        found.append(lambda rows, e=executor, p=points: get_backend().xp.sum(e.log_joint(guide, rows, p)))
    return *found, guide.layout.size


@pytest.mark.parametrize("name", MODELS)
def test_blocks_give_the_numbers_of_all_rows_at_once(name, monkeypatch):
    model, plan = bound(name)
    assert len(blocks.block_axes(plan)) == 1
    in_blocks, whole, size = functions(plan, model.data, monkeypatch)
    staged, expected = staged_value_and_grad(in_blocks), value_and_grad(whole)
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        for _ in range(STAGE_AFTER + 2):
            rows = 0.3 * rng.normal(size=(3, size))
            for one, other in zip(staged(rows), expected(rows), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-7)
            np.testing.assert_allclose(in_blocks(rows), whole(rows), rtol=1e-10)
    assert all(stage.checked for stage in staged.stages.values())


def test_slopes_in_a_learned_parameter(monkeypatch):
    """It has no draws: its slope is the sum over those of what is drawn."""
    model, plan = bound("a learned parameter")
    guide, slopes = derive_guide(plan, "mean_field"), []
    noise = RNG.normal(size=(4, 1))
    for least in (blocks.LEAST, sys.maxsize):
        monkeypatch.setattr(blocks, "LEAST", least)
        executor = Executor(plan, model.data, get_backend().xp)

        def total(t, e=executor):
            return get_backend().xp.sum(e.log_joint(guide, noise, {"t": t[0]}))

        slopes.append(value_and_grad(total)(np.array([1.3]))[1])
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-10)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data N: int\ndata y: real[N]\nplate n in N { a[n] ~ normal(0, 1)\n y[n] ~ normal(a[n], 1) }", {"y": Y}),
        ("data N: int\ndata y: real[N]\na ~ normal(0, 1)\nplate n in N { y[n] ~ normal(a, 1) }", {"y": Y[:1000]}),
        (
            "data N: int\ndata y: real[N]\na ~ normal(0, 1)\n"
            "scan n in N { s[n] = a if n == 0 else 0.5 * s[n - 1] + a\n y[n] ~ cauchy(s[n], 1) }",
            {"y": Y},
        ),
    ],
    ids=["a latent for each row", "few rows", "a recurrence along the rows"],
)
def test_what_is_not_cut_up(text, data):
    plan = dataclasses.replace(parse(text).bind(data).plan(), collapses={})
    assert blocks.block_axes(plan) == {}


def test_many_draws_are_taken_a_few_at_a_time(monkeypatch):
    model, plan = bound("gathers")
    in_blocks, whole, size = functions(plan, model.data, monkeypatch)
    rows = 0.3 * np.random.default_rng(2).normal(size=(2 * (NUMBERS // ROWS) + 3, size))
    one, other = value_and_grad(in_blocks)(rows), value_and_grad(whole)(rows)
    np.testing.assert_allclose(one[0], other[0], rtol=1e-11)
    np.testing.assert_allclose(one[1], other[1], rtol=1e-9, atol=1e-8)


def test_the_target_takes_more_draws_at_once_where_rows_come_in_blocks():
    model, plan = bound("logistic regression")
    target = Target(plan, model.data, derive_guide(plan, "mean_field"), get_backend())
    rows = 0.1 * np.random.default_rng(3).normal(size=(5, 3))
    plain = Executor(plan, model.data, NUMPY)
    np.testing.assert_allclose(target.log_density(rows), plain.log_joint(target.guide, rows), rtol=1e-12)


def test_answers_come_in_order():
    assert list(mapped(lambda k: k * k, iter(range(50)))) == [k * k for k in range(50)]


PEAK = """
import resource, sys
import numpy as np
from ppl.backends import get_backend
from ppl.guides.derived import derive_guide
from ppl.inference.target import Target
from ppl.program import parse
rng = np.random.default_rng(0)
N = 300_000
model = parse('''
data N, K: int
data X: real[N, K]
data y: int[N]
plate k in K { beta[k] ~ normal(0, 1) }
plate n in N { y[n] ~ bernoulli(logits = dot(X[n], beta)) }
''').bind({"X": rng.normal(size=(N, 4)), "y": rng.integers(0, 2, N)})
plan = model.plan()
target = Target(plan, model.data, derive_guide(plan, "mean_field"), get_backend())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for _ in range(9):
    target.value_and_gradient(rng.normal(size=(64, 4)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_does_not_grow_with_draws_times_rows():
    """Draws times rows are 154 MB a temporary array; a tenth of that is what everything together may take."""
    found = subprocess.run([sys.executable, "-c", PEAK], check=True, capture_output=True, text=True)
    assert float(found.stdout) < 80.0
