"""Fits that keep to one of several orders of the same things say so."""

import numpy as np
import pytest

import ppl

RNG = np.random.default_rng(4)
Y = np.concatenate([RNG.normal(-4, 1, 25), RNG.normal(4, 1, 35)])
MIXTURE = """
data N, K: int
data y: real[N]
w ~ dirichlet(rep(2, K))
{}
plate n in N {{
  z[n] ~ categorical(w)
  y[n] ~ normal(mu[z[n]], 1)
}}
"""


def switching(fit: ppl.Fit) -> list[str]:
    return [note for note in fit.run.notes if "label switching" in note]


def test_a_mixture_without_an_order_says_so_or_has_all_orders() -> None:
    """With two well separated components every fit has both orders, or keeps to one and says so."""
    data = {"N": len(Y), "K": 2, "y": Y}
    ordered = ppl.parse(MIXTURE.format("mu ~ ordered(normal(0, 5), K)")).fit(data, progress=False)
    free = ppl.parse(MIXTURE.format("mu[k in K] ~ normal(0, 5)")).fit(data, progress=False, guide="laplace")
    assert not switching(ordered)
    assert len(switching(free)) == 1
    assert "`k`" in switching(free)[0]


def test_elements_in_order_and_elements_of_other_lengths() -> None:
    """An ordered site cannot change places; event dimensions of another size than the plate's stay as they are."""
    source = """
    data N, K, V: int
    data word: int[N]
    data y: real[N]
    w ~ dirichlet(rep(2, K))
    phi[k in K] ~ dirichlet(rep(0.5, V))
    {}
    plate n in N {{
      z[n] ~ categorical(w)
      word[n] ~ categorical(phi[z[n]])
      y[n] ~ normal(mu[z[n]], 1)
    }}
    """
    words = np.where(Y < 0, RNG.integers(0, 2, len(Y)), RNG.integers(2, 5, len(Y)))
    data = {"N": len(Y), "K": 2, "V": 5, "y": Y, "word": words}
    ordered = ppl.parse(source.format("mu ~ ordered(normal(0, 5), K)")).fit(data, progress=False, guide="laplace")
    free = ppl.parse(source.format("mu[k in K] ~ normal(0, 5)")).fit(data, progress=False, guide="laplace")
    assert not switching(ordered)
    assert len(switching(free)) == 1


@pytest.mark.parametrize("prior", ["normal([-3, 3][k], 2)", "normal(0, 1 + k)"])
def test_elements_with_priors_of_their_own_do_not_change_places(prior: str) -> None:
    source = MIXTURE.format(f"plate k in K {{ mu[k] ~ {prior} }}")
    fit = ppl.parse(source).fit({"N": len(Y), "K": 2, "y": Y}, progress=False, guide="laplace")
    assert not switching(fit)
