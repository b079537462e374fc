"""Eliminations worked out for each kind of row: the same log density as row by row, at a cost that does not grow."""

from dataclasses import replace

import numpy as np
import pytest
from compiler.test_collapse import some_values, terms

import ppl
from ppl.errors import InternalError
from ppl.inference.work import density_seconds
from ppl.model.verify import _counted, verify_plan

RNG = np.random.default_rng(0)
N = 900
DATA = {
    "N": N, "y": RNG.poisson(np.where(RNG.random(N) < 0.3, 1.0, 6.0)), "g": RNG.integers(0, 3, N),
    "x": RNG.normal(size=N), "b": RNG.integers(0, 2, (N, 3)), "late": RNG.integers(0, 2, N),
}  # fmt: skip
TYPES = {
    "N": "int", "y": "int(lower=0)[N]", "g": "index(3)[N]", "x": "real[N]", "b": "bool[N, 3]", "late": "bool[N]",
}  # fmt: skip
MIXTURE = """
w ~ dirichlet([1, 1])
r[k in 2] ~ gamma(2, 0.5)
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ poisson(r[z[n]])
}
"""
COUNTED = {
    "a mixture": (MIXTURE, len(np.unique(DATA["y"]))),
    "with groups": (
        "w[j in 3] ~ dirichlet([1, 1])\nr[j in 3, k in 2] ~ gamma(2, 0.5)\n"
        "plate n in N { z[n] ~ categorical(w[g[n]])\n y[n] ~ poisson(r[g[n], z[n]]) }",
        len(np.unique([DATA["g"], DATA["y"]], axis=1).T),
    ),
    "through names": (
        "w ~ beta(1, 1)\nr ~ gamma(2, 0.5)\n"
        "plate n in N { z[n] ~ bernoulli(w)\n rate[n] = r * (2 + late[n]) ^ z[n]\n y[n] ~ poisson(rate[n]) }",
        len(np.unique([DATA["late"], DATA["y"]], axis=1).T),
    ),
    "classes of answers": (
        "w ~ dirichlet([1, 2])\np[k in 2, j in 3] ~ beta(1, 1)\n"
        "plate n in N { z[n] ~ categorical(w)\n plate j in 3 { b[n, j] ~ bernoulli(p[z[n], j]) } }",
        8,
    ),
    "two unknowns": (
        "w ~ beta(1, 1)\nv ~ beta(1, 1)\nr ~ gamma(2, 0.5)\n"
        "plate n in N { z[n] ~ bernoulli(w)\n u[n] ~ bernoulli(0.2 + 0.6 * v * z[n])\n"
        " y[n] ~ poisson(r * (1 + z[n] + u[n])) }",
        len(np.unique(DATA["y"])),
    ),
    "an unknown in an inner plate": (
        "w ~ beta(1, 1)\ne ~ beta(1, 9)\n"
        "plate n in N { z[n] ~ bernoulli(w)\n"
        " plate j in 3 { t[n, j] ~ bernoulli(0.1 + 0.8 * z[n])\n b[n, j] ~ bernoulli(e + (1 - 2 * e) * t[n, j]) } }",
        8,
    ),
    "a factor": (
        "w ~ beta(1, 1)\nr ~ gamma(2, 0.5)\n"
        "plate n in N { z[n] ~ bernoulli(w)\n factor f[n] = y[n] * log(r + z[n]) - r - z[n] }",
        len(np.unique(DATA["y"])),
    ),
}  # fmt: skip
LEFT = {
    "rows of their own": MIXTURE.replace("poisson(r[z[n]])", "poisson(r[z[n]] * exp(x[n]))"),
    "an unknown for each row": MIXTURE.replace("poisson(r[z[n]])", "poisson(r[z[n]] * a[n])").replace(
        "plate n", "a[n in N] ~ gamma(2, 2)\nplate n"
    ),
    "a chain": "r[k in 2] ~ gamma(2, 0.5)\nA[k in 2] ~ dirichlet([2, 1])\n"
    "scan n in N { z[n] ~ categorical([0.5, 0.5] if n == 0 else A[z[n - 1]])\n y[n] ~ poisson(r[z[n]]) }",
    "looked up": "r ~ gamma(2, 0.5)\nz[j in 3] ~ bernoulli(0.3)\nplate n in N { y[n] ~ poisson(r * (1 + z[g[n]])) }",
    "in parts": MIXTURE.replace("\nplate", "\n@minibatch(50)\nplate"),
    "wanted by a score": "@score\nm[n in N] ~ poisson(3)"
    + MIXTURE.replace("poisson(r[z[n]])", "poisson(r[z[n]] + m[n])"),
}


def bound(text):
    words = set("".join(c if c.isalnum() or c == "_" else " " for c in text).split()) | {"N"}
    read = [name for name in TYPES if name in words]
    heads = "".join(f"data {name}: {TYPES[name]}\n" for name in read)
    return ppl.parse(heads + text).bind({name: DATA[name] for name in read})


@pytest.mark.parametrize("name", COUNTED)
def test_the_log_density_is_that_of_all_rows(name):
    text, kinds = COUNTED[name]
    model = bound(text)
    plan = model.plan()
    verify_plan(plan, "count_rows")
    (found,) = plan.counted.values()
    assert found.cells.axis.size == kinds
    assert found.cells.counts.sum() == N
    assert f"{N} rows counted as {kinds} kinds" in plan.sites["z"].reason
    values = some_values(model)
    (key,) = plan.counted
    whole = terms(model, replace(plan, counted={}), values)
    np.testing.assert_allclose(terms(model, plan, values)[key], whole[key], rtol=1e-11)


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_counted(name):
    assert not bound(LEFT[name]).plan().counted


def test_the_cost_does_not_grow_and_all_rows_are_there_afterwards():
    model = bound(MIXTURE)
    plan = model.plan()
    assert density_seconds(plan) < 0.1 * density_seconds(replace(plan, counted={}))
    fit = ppl.parse("data N: int\ndata y: int(lower=0)[N]\n" + MIXTURE).fit(
        {"N": N, "y": DATA["y"]}, progress=False, guide="full_rank"
    )
    assert fit.draws(5)["z"].shape == (5, N)
    draws = fit.draws(200)
    low = np.argmin(draws["r"], axis=1)[:, None]
    assert (draws["z"][:, DATA["y"] == 0] == low).mean() > 0.9
    assert fit.log_likelihood()["y"].shape[-1] == N


def _with(**changes):
    def changed(plan):
        ((name, found),) = plan.counted.items()
        return replace(plan, counted={changes.pop("name", name): replace(found, **changes)})

    return changed


BROKEN = {
    "is no elimination": _with(name="other"),
    "has other members": lambda plan: _with(members=next(iter(plan.counted.values())).members[:1])(plan),
    "is left over other plates": lambda plan: _with(elimination=plan.eliminations[0])(plan),
    "is evaluated along its rows": lambda plan: _with(
        members=tuple(plan.model.by_name[name] for name in plan.eliminations[0].members)
    )(plan),
}


@pytest.mark.parametrize("message", BROKEN)
def test_what_the_verifier_says(message):
    plan = bound(MIXTURE).plan()
    with pytest.raises(InternalError, match=message):
        _counted(BROKEN[message](plan))
