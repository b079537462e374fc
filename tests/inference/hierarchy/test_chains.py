"""Chains in the coordinates of the conditional guide, against quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, stats

import ppl
from ppl.backends import get_backend
from ppl.inference.chains.convergence import effective_draws
from ppl.inference.choose import choose_guide
from ppl.inference.hierarchy.chains import ConditionalChains, run_conditional_chains, sweeps_within
from ppl.inference.hierarchy.conditional import ConditionalTarget
from ppl.inference.hierarchy.hyper import fit_hyper
from ppl.inference.importance.evidence import bridge
from ppl.inference.learned import conditional_chains
from ppl.inference.methods import Task, hyperparameters
from ppl.inference.progress import Progress
from ppl.inference.target import Target

TRIALS, SUCCESSES = np.array([10, 10, 10, 10]), np.array([1, 4, 6, 9])
BINOMIAL = """
data G: int
data n, y: int[G]
tau ~ half_normal(1)
plate g in G {
  b[g] ~ normal(0, tau)
  y[g] ~ binomial(n[g], logits = b[g])
}
"""
NORMAL = BINOMIAL.replace("data n, y: int[G]", "data n, y: real[G]").replace(
    "binomial(n[g], logits = b[g])", "normal(b[g], n[g])"
)
DATA = {"G": 4, "n": TRIALS, "y": SUCCESSES}


def task_of(source: str, **settings: object) -> Task:
    bound = ppl.parse(source).bind(DATA)
    plan = bound.plan()
    return Task(plan, bound.data, choose_guide(plan), get_backend("autograd"), 0, 4000, Progress(False), {}, **settings)  # type: ignore[arg-type]


def chains_of(source: str, seed: int, sweeps: int) -> ConditionalChains:
    task, rng = task_of(source), np.random.default_rng(seed)
    split = ConditionalTarget(Target(task.plan, task.data, task.guide, task.backend), hyperparameters(task))
    return run_conditional_chains(split, fit_hyper(split, rng, 4000), rng, sweeps, enough=math.inf)


def joint(tau: float) -> float:
    """p(tau, y): the effects are integrated out one by one."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    probability = 1.0 / (1.0 + np.exp(-tau * nodes[:, None]))
    terms = weights @ stats.binom(TRIALS, probability).pmf(SUCCESSES) / weights.sum()
    return float(np.prod(terms) * stats.halfnorm().pdf(tau))


def test_they_agree_with_quadrature() -> None:
    """Four standard errors at what the draws are worth."""
    found = chains_of(BINOMIAL, seed=1, sweeps=144)
    evidence = integrate.quad(joint, 0, 8)[0]
    mean = integrate.quad(lambda t: t * joint(t), 0, 8)[0] / evidence
    sd = np.sqrt(integrate.quad(lambda t: (t - mean) ** 2 * joint(t), 0, 8)[0] / evidence)
    tau = np.exp(found.chains.rows[..., :1])
    worth, spread = effective_draws(tau)[0], effective_draws((tau - tau.mean()) ** 2)[0]
    assert found.chains.rows.shape == (144, 128, 5)
    assert found.chains.rhat < 1.02
    assert min(worth, spread) > 1000
    assert tau.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(worth))
    assert tau.std() == pytest.approx(sd, rel=4 / np.sqrt(spread))
    estimate, error = bridge(found.ratios.ravel(), found.guide_ratios, found.chains.effective)
    assert error < 0.05
    assert estimate == pytest.approx(np.log(evidence), abs=4 * error)


def test_where_the_guide_is_exact_given_the_scale_every_trajectory_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    original = ppl.inference.hierarchy.chains._Sampler._turn

    def noted(self: object, state: object, tune: bool) -> float:
        rates.append(original(self, state, tune))  # type: ignore[arg-type]
        return rates[-1]

    monkeypatch.setattr(ppl.inference.hierarchy.chains._Sampler, "_turn", noted)
    chains_of(NORMAL, seed=2, sweeps=24)
    assert min(rates) > 1.0 - 1e-4  # what the differences in its precision leave


def test_they_are_not_begun_without_time_or_without_a_guide_to_mend() -> None:
    task = task_of(BINOMIAL)
    assert conditional_chains(task) is None  # nothing before them failed
    split = ConditionalTarget(Target(task.plan, task.data, task.guide, task.backend), hyperparameters(task))
    hyper = fit_hyper(split, np.random.default_rng(0), 1000)
    assert sweeps_within(0.0, split, hyper) == 0
    assert sweeps_within(1e9, split, hyper) > 100
