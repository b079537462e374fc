"""Which methods are tried, and what is refused with a reason."""

from __future__ import annotations

import pytest

import ppl
from ppl.inference.choose import choose_methods
from ppl.inference.methods import adam, conditional, exact, full_gaussian, mean_field, non_centred_gaussian

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
COUNT = "data y: real\nk ~ poisson(3)\ny ~ normal(k, 1)\n"
SWITCH = "data y: real\nz ~ bernoulli(0.5)\ny ~ normal(z, 1)\n"
LEARNED = "data y: real\nparam a: real = 0.0\ny ~ normal(a, 1)\n"


def plan(source: str):  # type: ignore[no-untyped-def]
    data = {"y": [1.0, 2.0]} if source is GROUPS else {"y": 1.0}
    return ppl.parse(source).bind(data).plan()


@pytest.mark.parametrize(
    ("source", "guide", "method", "expected"),
    [
        (NORMAL, "auto", "auto", (full_gaussian,)),
        (NORMAL, "mean_field", "auto", (mean_field,)),
        (NORMAL, "full_rank", "deterministic", (full_gaussian,)),
        (NORMAL, "full_rank", "adam", (adam,)),
        (GROUPS, "auto", "auto", (conditional, non_centred_gaussian)),
        (GROUPS, "conditional", "auto", (conditional,)),
        (GROUPS, "full_rank", "auto", (full_gaussian,)),
        (COUNT, "auto", "auto", (adam,)),
        (LEARNED, "auto", "auto", (adam,)),
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
