"""Discrete latents without an upper end, whose guide has to move: fits end at the exact optimum of the ELBO.

A published trap: `z ~ poisson(4)`, `y ~ normal(z, 1)` with y = 8 and a Poisson guide that starts at a rate of e. The
ELBO is highest at a rate of 6.95. An estimator that differentiates only through the draws has nothing but the score of
log q, whose mean is zero: the rate wanders about its start (2.78 was reported), and nothing warns. Here every optimum
is that of the ELBO as a sum over counts.
"""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, lambertw
from scipy.stats import binom, geom, norm, poisson

from ppl.inference.fit import run_fit
from ppl.inference.stochastic import objective as gradients
from ppl.program import parse

COUNTS = np.arange(400)
TRAP = "data y: real\n{note}\nz ~ poisson(4)\ny ~ normal(z, 1)"
PLATED = """
data N: int
data y: real[N]
plate n in N {
  z[n] ~ poisson(4)
  y[n] ~ normal(z[n], 1)
}
"""
HERD = """
data N, most: int
data count: int(lower=0)[N]
unseen ~ poisson(10)
count ~ binomial(most + unseen, 0.6)
"""
IMPALA = {"N": 5, "most": 26, "count": [15, 20, 21, 23, 26]}
TOLERANCE = 0.02
"""Of the logarithm of a rate, after at most 4,000 steps: seeds 0 to 2 of the trap were within 0.007."""


def optimum(log_joint, log_q):
    """Where the ELBO is highest, in the one unconstrained parameter of `log_q`."""

    def loss(parameter):
        guide = log_q(parameter)
        mass = np.exp(guide)
        kept = mass > 1e-200
        return -float(mass[kept] @ (log_joint[kept] - guide[kept]))

    return minimize_scalar(loss, bounds=(-4.0, 4.0), method="bounded", options={"xatol": 1e-9}).x


def poisson_guide(log_rate):
    return poisson.logpmf(COUNTS, np.exp(log_rate))


def geometric_guide(logit):
    return geom.logpmf(COUNTS + 1, expit(logit))


def trap_joint(y):
    return poisson.logpmf(COUNTS, 4) + norm.logpdf(y, COUNTS, 1)


def herd_joint():
    seen = np.array(IMPALA["count"])[:, None]
    return poisson.logpmf(COUNTS, 10) + binom.logpmf(seen, IMPALA["most"] + COUNTS, 0.6).sum(axis=0)


def fitted(text, data, seed=0, **options):
    """The guide's unconstrained parameters; every model here has nothing but counts."""
    bound = parse(text).bind(data)
    return run_fit(bound.plan(), bound.data, seed=seed, progress=False, options={"steps": 4000, **options}).parameters


def test_the_optimum_is_the_published_one():
    """The sum over counts, and the zero of the derivative of the ELBO in the rate, `7.5 - rate - log(rate / 4)`."""
    rate = np.exp(optimum(trap_joint(8.0), poisson_guide))
    assert rate == pytest.approx(6.95, abs=0.005)
    assert rate == pytest.approx(lambertw(4 * np.exp(7.5)).real, rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"baseline": "learned"}, {"objective": "stl"}], ids=str)
def test_the_trap(options):
    (log_rate,) = fitted(TRAP.format(note=""), {"y": 8.0}, **options)
    assert log_rate == pytest.approx(np.log(6.948), abs=TOLERANCE)


def test_without_the_score_function_it_is_caught(monkeypatch):
    """What is left are derivatives through draws, which counts do not have: the rate stays where it starts."""
    monkeypatch.setattr(gradients, "surrogate", lambda xp, trace, *others: 0.0 * xp.sum(trace.records["z"].log_q))
    (log_rate,) = fitted(TRAP.format(note=""), {"y": 8.0})
    assert abs(log_rate - np.log(6.948)) > 20 * TOLERANCE


def test_a_rate_for_each_element_of_a_plate():
    outcomes = [8.0, 1.0, 3.5, 14.0]
    rates = fitted(PLATED, {"N": 4, "y": outcomes})
    assert rates == pytest.approx([optimum(trap_joint(y), poisson_guide) for y in outcomes], abs=TOLERANCE)


def test_a_geometric_factor():
    (logit,) = fitted(TRAP.format(note='@guide("geometric")'), {"y": 8.0})
    assert logit == pytest.approx(optimum(trap_joint(8.0), geometric_guide), abs=TOLERANCE)


def test_animals_that_no_count_has_seen():
    (log_rate,) = fitted(HERD, IMPALA)
    assert log_rate == pytest.approx(optimum(herd_joint(), poisson_guide), abs=TOLERANCE)
