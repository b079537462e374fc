"""Precisions that are told from two products."""

from __future__ import annotations

import numpy as np
import pytest

import ppl
from ppl.backends import get_backend
from ppl.inference.choose import choose_guide
from ppl.inference.hierarchy.conditional import ConditionalTarget
from ppl.inference.hierarchy.spanned import Span, find_span
from ppl.inference.methods import Task, hyperparameters
from ppl.inference.progress import Progress
from ppl.inference.target import Target

RNG = np.random.default_rng(0)
CROSSED = """
data N, L: int
data f, g: index(L)[N]
data y: {kind}[N]
sf ~ half_normal(1)
sg ~ half_normal(1)
a[l in L] ~ normal(0, sf)
b[l in L] ~ normal(0, sg)
plate n in N {{ y[n] ~ {likelihood} }}
"""
DATA = {"L": 22, "f": RNG.integers(22, size=300), "g": RNG.integers(22, size=300), "y": RNG.random(300) < 0.4}


def split_of(kind: str, likelihood: str) -> ConditionalTarget:
    data = DATA if kind == "bool" else {**DATA, "y": RNG.standard_normal(300)}
    bound = ppl.parse(CROSSED.format(kind=kind, likelihood=likelihood)).bind(data)
    guide = choose_guide(bound.plan())
    task = Task(guide.plan, bound.data, guide, get_backend("autograd"), 0, 1000, Progress(False), {})
    target = Target(guide.plan, bound.data, guide, task.backend)
    return ConditionalTarget(target, hyperparameters(task))


def test_crossed_factors_have_the_precisions_that_all_products_give() -> None:
    split = split_of("real", "normal(a[f[n]] + b[g[n]], 0.7)")
    assert split._span is not None
    assert len(split._span.basis) == 3  # the data's, and one for each scale
    h = 2.0 * RNG.standard_normal((70, 2))
    before = split.target.evaluations
    found = split.at(h)
    cheap = split.target.evaluations - before
    split._span = None
    exact = split.at(h)
    assert found.marginal == pytest.approx(exact.marginal, abs=1e-6)
    assert found.modes == pytest.approx(exact.modes, abs=1e-6)
    assert cheap < 0.3 * (split.target.evaluations - before - cheap)


def test_what_depends_on_the_rest_spans_nothing() -> None:
    assert split_of("bool", "bernoulli(logits = a[f[n]] + b[g[n]])")._span is None


def test_a_product_outside_the_span_is_refused() -> None:
    matrices = np.array([np.eye(20), np.diag(np.arange(1.0, 21.0))])

    def times(h: np.ndarray, u: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        weights = np.stack([np.exp(h[:, 0]), np.exp(-h[:, 0])], axis=1)
        return np.einsum("rk,kde,ve->rvd", weights, matrices, vectors)

    span = find_span(times, np.eye(20), 1)
    assert isinstance(span, Span)
    h, u = np.array([[0.3], [4.0]]), np.zeros((2, 20))
    assert span.products(times, h, u) == pytest.approx(times(h, u, np.eye(20)), rel=1e-9)
    assert span.products(lambda h, u, v: times(h, u, v) + 0.01 * np.roll(v, 1, axis=1), h, u) is None


def test_a_few_products_are_made_as_they_are() -> None:
    def never(h: np.ndarray, u: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        raise AssertionError

    assert find_span(never, np.eye(4), 2) is None
