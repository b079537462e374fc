"""A choice among arguments by a condition that data decide: the density of each branch, and the choice after."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import ppl

CHANGE = """
data T: int
data y: int(lower=0)[T]
early ~ gamma(1, 1)
late  ~ gamma(1, 1)
change ~ categorical(rep(1 / T, T))
plate t in T {
  y[t] ~ poisson(early if t < change else late)
}
"""
Y = np.array([4, 5, 3, 6, 1, 0, 1, 2])


def test_the_density_is_taken_of_each_branch() -> None:
    code = ppl.parse(CHANGE).explain({"y": Y}, code=True)
    assert "rate=early[:, None])" in code
    assert "rate=where(" not in code


def test_the_log_density_is_that_of_the_sum_over_change_points() -> None:
    early, late = 4.0, 1.2
    rates = np.where(np.arange(8) < np.arange(8)[:, None], early, late)
    total = np.log(np.mean(np.exp(stats.poisson(rates).logpmf(Y).sum(axis=1))))
    total += stats.gamma(1).logpdf([early, late]).sum()
    assert ppl.parse(CHANGE).log_density({"early": early, "late": late}, {"y": Y}) == pytest.approx(total)


def test_a_choice_that_saves_nothing_is_made_first() -> None:
    """Where the change is known the densities are as many either way."""
    source = CHANGE.replace("t < change", "t < 4").replace("change ~ categorical(rep(1 / T, T))\n", "")
    assert "rate=where(" in ppl.parse(source).explain({"y": Y}, code=True)
