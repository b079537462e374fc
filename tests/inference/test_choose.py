"""Which methods are tried, and what is refused with a reason."""

from __future__ import annotations

import pytest

import ppl
from ppl.inference import later
from ppl.inference.choose import COORDINATE, choose_methods
from ppl.inference.coordinate.methods import COORDINATE as COORDINATE_METHODS
from ppl.inference.families.fit import fit_of
from ppl.inference.later import (
    CONDITIONAL_CHAINS,
    FLOW,
    HAMILTONIAN,
    LEARNED_GAUSSIAN,
    MIXTURE,
    STOCHASTIC_GRADIENTS,
)
from ppl.inference.methods import conditional, exact, full_gaussian

NORMAL = "data y: real\nmu ~ normal(0, 1)\ny ~ normal(mu, 1)\n"
GROUPS = """
data J: int
data y: real[J]
tau ~ half_normal(1)
plate j in J {
  theta[j] ~ normal(0, tau)
  y[j] ~ normal(theta[j], 1)
}
"""
SCALED = "data y: real\nm ~ normal(0, 1)\nx ~ normal(m, 1)\ny ~ normal(x, 1)\n"
COUNT = "data y: real\nk ~ poisson(3)\ny ~ normal(k, 1)\n"
SWITCH = "data y: real\nz ~ bernoulli(0.5)\ny ~ normal(z, 1)\n"
REST = (MIXTURE, HAMILTONIAN, FLOW)
LEARNED = "data y: real\nparam a: real = 0.0\ny ~ normal(a, 1)\n"


def plan(source: str):  # type: ignore[no-untyped-def]
    data = {"y": [1.0, 2.0]} if source is GROUPS else {"y": 1.0}
    return ppl.parse(source).bind(data).plan()


@pytest.mark.parametrize(
    ("source", "guide", "method", "expected"),
    [
        (NORMAL, "auto", "auto", (full_gaussian, *REST)),
        (NORMAL, "auto", "deterministic", (full_gaussian, MIXTURE)),
        (NORMAL, "auto", "hamiltonian", (HAMILTONIAN,)),
        (SCALED, "auto", "auto", (LEARNED_GAUSSIAN, full_gaussian, *REST)),
        (SCALED.replace("x ~", "@centered\nx ~"), "auto", "auto", (full_gaussian, LEARNED_GAUSSIAN, *REST)),
        (NORMAL, "mean_field", "auto", (fit_of("mean_field"),)),
        (NORMAL, "full_rank", "deterministic", (fit_of("full_rank"),)),
        (NORMAL, "full_rank", "adam", (STOCHASTIC_GRADIENTS,)),
        (GROUPS, "auto", "auto", (conditional, CONDITIONAL_CHAINS, LEARNED_GAUSSIAN, *REST)),
        (GROUPS, "conditional", "auto", (conditional,)),
        (GROUPS, "full_rank", "auto", (fit_of("full_rank"),)),
        (COUNT, "auto", "auto", (STOCHASTIC_GRADIENTS,)),
        (LEARNED, "auto", "auto", (STOCHASTIC_GRADIENTS,)),
        (SWITCH, "auto", "auto", (exact,)),
    ],
)
def test_methods(source, guide, method, expected):
    assert choose_methods(plan(source), guide, method) == expected


@pytest.mark.parametrize(
    ("source", "guide", "method", "message"),
    [
        (NORMAL, "auto", "sgd", "no method `sgd`"),
        (COUNT, "auto", "deterministic", "`k` needs stochastic gradients"),
        (LEARNED, "auto", "deterministic", "`a` needs stochastic gradients"),
        (COUNT, "auto", "hamiltonian", "`k` needs stochastic gradients"),
        (NORMAL, "conditional", "auto", "the conditional guide needs a hierarchical model"),
        (GROUPS, "conditional", "adam", "the conditional guide needs a hierarchical model"),
    ],
)
def test_refusals(source, guide, method, message):
    with pytest.raises(ppl.InferenceError, match=message):
        choose_methods(plan(source), guide, method)


def test_an_unknown_guide_is_answered_with_the_nearest():
    with pytest.raises(ppl.ModelError, match="did you mean `mean_field`"):
        ppl.parse(NORMAL).fit({"y": 1.0}, guide="meanfield")


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(ppl.InferenceError, match="unknown option stepz"):
        ppl.parse(NORMAL).fit({"y": 1.0}, method="adam", stepz=3)


@pytest.mark.parametrize("seconds", [0, -1.0, "long"])
def test_seconds_are_a_positive_number(seconds):
    with pytest.raises(ppl.InferenceError, match="seconds is"):
        ppl.parse(NORMAL).fit({"y": 1.0}, seconds=seconds)


def test_what_is_imported_later_is_there():
    methods = [value for value in vars(later).values() if isinstance(value, later.Later)]
    assert len(methods) > 5
    assert all(callable(method.method) for method in methods)
    assert set(COORDINATE) == set(COORDINATE_METHODS)
