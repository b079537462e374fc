"""Which numbers the graph joins, against the Hessians of the log density, and what elimination makes of it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.guides import derive_guide
from ppl.guides.dependence import joined
from ppl.guides.elimination import structure_of
from ppl.guides.structured import Structured, covariance_times, factored
from ppl.inference.target import Target
from ppl.numeric import NUMPY

RNG = np.random.default_rng(5)
ROWS = {"N": 12, "g": RNG.integers(0, 3, 12), "h": RNG.integers(0, 4, 12), "x": RNG.normal(size=12)}
ROWS |= {"y": RNG.normal(size=12), "z": RNG.integers(0, 2, 12)}
DATA = {"N": "int", "g": "int[N]", "h": "int[N]", "x": "real[N]", "y": "real[N]", "z": "int[N]"}


def declared(source: str) -> tuple[str, dict[str, Any]]:
    """The model with declarations of the data that it reads, and those data."""
    used = [name for name in DATA if re.search(rf"\b{name}\b", source)]
    head = "".join(f"data {name}: {DATA[name]}\n" for name in used)
    return head + source, {name: ROWS[name] for name in used}


EXACT = {
    "slopes": """
mu ~ normal(0, 1)
tau ~ half_normal(1)
b[k in 2] ~ normal(0, 1)
plate j in 3 {
  a[j] ~ normal(mu, tau)
  s[j] ~ normal(0, 1)
}
plate n in N { y[n] ~ normal(a[g[n]] + s[g[n]] * x[n] + b[0], exp(b[1])) }
""",
    "crossed": """
plate j in 3 { a[j] ~ normal(0, 1) }
plate k in 4 { c[k] ~ normal(0, 1) }
plate n in N { z[n] ~ bernoulli(logits = a[g[n]] + c[h[n]]) }
""",
    "deterministic": """
t ~ half_normal(1)
plate j in 3 { a[j] ~ normal(0, 1) }
plate j in 3 { v[j] = t * a[j]^2 }
plate n in N { y[n] ~ normal(v[g[n]], 1) }
""",
    "walk": """
scan t in N { r[t] ~ normal(0 if t == 0 else r[t - 1], 1) }
plate n in N { y[n] ~ student_t(4, r[n], 1) }
""",
    "ends": "lo ~ normal(0, 1)\nu ~ uniform(lo, lo + 2)\nplate n in N { y[n] ~ normal(u, 1) }\n",
}
COVERED = {
    "mixture": """
w ~ beta(2, 2)
m[k in 2] ~ normal(0, 1)
plate n in N {
  c[n] ~ bernoulli(w)
  y[n] ~ normal(m[c[n]], 1)
}
""",
    "simplex": """
p ~ dirichlet([1, 1, 1])
b[k in 3] ~ normal(0, 1)
plate n in N { y[n] ~ normal(p[g[n]] * b[g[n]], 1) }
""",
    "products": "b[k in 3] ~ normal(0, 1)\nq = sum(b)\nplate n in N { y[n] ~ normal(q * x[n], 1) }\n",
}


def hessian_pattern(source):
    text, data = declared(source)
    bound = ppl.parse(text).bind(data)
    plan = bound.plan()
    target = Target(plan, bound.data, derive_guide(plan, "mean_field"), get_backend())
    rows = 0.4 * np.random.default_rng(1).standard_normal((3, target.dim))
    hessians = np.abs(target.hessians(rows, np.full(target.dim, 1e-4))).max(axis=0)
    pattern = hessians > 1e-6 * hessians.max()
    np.fill_diagonal(pattern, True)
    return plan, pattern


@pytest.mark.parametrize("name", EXACT)
def test_edges_are_where_second_derivatives_are(name):
    plan, pattern = hessian_pattern(EXACT[name])
    np.testing.assert_array_equal(joined(plan), pattern)


@pytest.mark.parametrize("name", COVERED)
def test_no_edge_is_missing(name):
    plan, pattern = hessian_pattern(COVERED[name])
    assert not np.any(pattern & ~joined(plan))


def test_a_site_in_standard_units_brings_its_location_and_scale_along():
    source = "mu ~ normal(0, 1)\ntau ~ half_normal(1)\n@noncentered\nplate j in 3 { a[j] ~ normal(mu, tau) }\n"
    plan, pattern = hessian_pattern(source + "plate n in N { y[n] ~ normal(a[g[n]], 1) }\n")
    assert any(site.standardised for site in plan.sites.values())
    np.testing.assert_array_equal(joined(plan), pattern)


def test_beside_discrete_unknowns_and_learned_parameters():
    source = """
data y: real
param shift: real = 0.0
k ~ poisson(3)
a ~ normal(shift, 1)
b ~ normal(0, 1)
y ~ normal(a + k, 1)
"""
    plan = ppl.parse(source).bind({"y": 2.0}).plan()
    np.testing.assert_array_equal(joined(plan), np.eye(2, dtype=bool))
    only = ppl.parse("data y: real\nz ~ bernoulli(0.5)\ny ~ normal(z, 1)")
    assert only.guide({"y": 1.0}, "structured").layout.size == 0


def masks():
    dim = 24
    chain = np.abs(np.subtract.outer(range(dim), range(dim))) <= 1
    star = np.eye(dim, dtype=bool)
    star[:3] = star[:, :3] = True
    wild = np.random.default_rng(2).random((dim, dim)) < 0.08
    return {
        "chain": chain,
        "star": star,
        "wild": wild | wild.T | np.eye(dim, dtype=bool),
        "none": np.eye(dim, dtype=bool),
    }


@pytest.mark.parametrize("name", masks())
def test_a_precision_is_factored_without_loss(name):
    mask, rng = masks()[name], np.random.default_rng(3)
    dim = len(mask)
    precision = np.where(mask, rng.normal(size=mask.shape), 0.0)
    precision = precision + precision.T
    precision += (1.0 - np.linalg.eigvalsh(precision)[0]) * np.eye(dim)
    shape = structure_of(mask)
    family = Structured(shape)
    one, other, places = shape.pair_list()
    placed = np.zeros(shape.zero)
    placed[:dim], placed[places] = np.diag(precision), precision[one, other]
    made = factored(shape, placed)
    parameters = family.pack(rng.normal(size=dim), *made)
    mean, covariance = family.moments(parameters)
    np.testing.assert_allclose(covariance, np.linalg.inv(precision), atol=1e-12)
    np.testing.assert_allclose(family.near(mean, np.linalg.cholesky(covariance)), parameters, atol=1e-9)
    np.testing.assert_allclose(family.marginals(NUMPY, parameters)[1], np.diag(covariance), atol=1e-12)
    vector = rng.normal(size=dim)
    np.testing.assert_allclose(covariance_times(shape, *made, vector), covariance @ vector, atol=1e-12)
    assert factored(shape, -placed) is None


def test_elimination_takes_few_rounds_and_adds_few_edges():
    chain = np.abs(np.subtract.outer(range(512), range(512))) <= 1
    shape = structure_of(chain)
    assert len(shape.rounds) <= 10
    assert shape.edges <= 2 * 512
    groups = np.eye(303, dtype=bool)
    groups[:3] = groups[:, :3] = True
    assert len(structure_of(groups).rounds) == 1


@pytest.mark.parametrize("groups", [10, 40])
def test_the_structured_guide_grows_with_the_groups(groups):
    """Five numbers a group and a few for the rest; the full-rank one has (dim + 3) dim / 2."""
    text, data = declared(EXACT["slopes"].replace("plate j in 3", f"plate j in {groups}"))
    guide = ppl.parse(text).guide({**data, "g": np.arange(12) % groups}, "structured")
    dim = guide.layout.size
    assert dim == 2 * groups + 4
    assert guide.vector.size(dim) < 13 * groups + 30
