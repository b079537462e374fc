"""Which methods are tried, and what is refused with a reason."""

from __future__ import annotations

import pytest

import ppl
from ppl.inference.choose import choose_methods
from ppl.inference.families.fit import fit_of
from ppl.inference.learned import hamiltonian, learned_gaussian
from ppl.inference.methods import conditional, exact, full_gaussian
from ppl.inference.stochastic.fit import stochastic_gradients

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
LEARNED = "data y: real\nparam a: real = 0.0\ny ~ normal(a, 1)\n"


def plan(source: str):  # type: ignore[no-untyped-def]
    data = {"y": [1.0, 2.0]} if source is GROUPS else {"y": 1.0}
    return ppl.parse(source).bind(data).plan()


@pytest.mark.parametrize(
    ("source", "guide", "method", "expected"),
    [
        (NORMAL, "auto", "auto", (full_gaussian, hamiltonian)),
        (NORMAL, "auto", "deterministic", (full_gaussian,)),
        (NORMAL, "auto", "hamiltonian", (hamiltonian,)),
        (SCALED, "auto", "auto", (learned_gaussian, full_gaussian, hamiltonian)),
        (SCALED.replace("x ~", "@centered\nx ~"), "auto", "auto", (full_gaussian, learned_gaussian, hamiltonian)),
        (NORMAL, "mean_field", "auto", (fit_of("mean_field"),)),
        (NORMAL, "full_rank", "deterministic", (fit_of("full_rank"),)),
        (NORMAL, "full_rank", "adam", (stochastic_gradients,)),
        (GROUPS, "auto", "auto", (conditional, learned_gaussian, hamiltonian)),
        (GROUPS, "conditional", "auto", (conditional,)),
        (GROUPS, "full_rank", "auto", (fit_of("full_rank"),)),
        (COUNT, "auto", "auto", (stochastic_gradients,)),
        (LEARNED, "auto", "auto", (stochastic_gradients,)),
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
