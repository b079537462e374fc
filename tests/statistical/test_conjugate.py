"""Posteriors of conjugate models are recovered: means to 0.05 sd, sds to 5 %, whatever the seed.

`auto` has tens of thousands of weighted draws here, so that Monte Carlo error is 0.01 sd and 1 %: the bounds are
five standard errors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln, gammaln

import ppl


@dataclass(frozen=True)
class Conjugate:
    program: str
    data: dict[str, Any]
    name: str
    posterior: Any
    log_evidence: float


def normal_normal():
    y = np.array([1.2, -0.3, 2.5])
    precision = 2.0**-2 + 3 * 1.5**-2
    marginal = stats.multivariate_normal(np.full(3, 0.5), 1.5**2 * np.eye(3) + 2.0**2)
    posterior = stats.norm((0.5 * 2.0**-2 + y.sum() * 1.5**-2) / precision, precision**-0.5)
    program = "data N: int\ndata y: real[N]\nmu ~ normal(0.5, 2)\ny ~ normal(mu, 1.5)\n"
    return Conjugate(program, {"N": 3, "y": y}, "mu", posterior, marginal.logpdf(y))


def beta_binomial():
    evidence = np.log(120) + betaln(2 + 7, 3 + 3) - betaln(2, 3)  # 120 = 10 over 7
    program = "data k: int\np ~ beta(2, 3)\nk ~ binomial(10, p)\n"
    return Conjugate(program, {"k": 7}, "p", stats.beta(9, 6), evidence)


def gamma_poisson():
    k = np.array([3, 5, 2, 4])
    a, b = 2.0, 0.5
    shape, rate = a + k.sum(), b + len(k)
    evidence = a * np.log(b) - gammaln(a) + gammaln(shape) - shape * np.log(rate) - gammaln(k + 1).sum()
    program = "data N: int\ndata k: int(lower=0)[N]\nr ~ gamma(2, 0.5)\nk ~ poisson(r)\n"
    return Conjugate(program, {"N": 4, "k": k}, "r", stats.gamma(shape, scale=1 / rate), evidence)


def gamma_exponential():
    """A precision far from 1, to which nothing in the start is fitted."""
    y = np.array([812.0, 95.0, 431.0, 1207.0, 60.0])
    shape, rate = 1.5 + len(y), 1e-3 + y.sum()
    evidence = 1.5 * np.log(1e-3) - gammaln(1.5) + gammaln(shape) - shape * np.log(rate)
    program = "data N: int\ndata y: real(lower=0)[N]\nr ~ gamma(1.5, 0.001)\ny ~ exponential(r)\n"
    return Conjugate(program, {"N": 5, "y": y}, "r", stats.gamma(shape, scale=1 / rate), evidence)


CASES = {make.__name__: make() for make in (normal_normal, beta_binomial, gamma_poisson, gamma_exponential)}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_posterior(case, seed):
    fit = ppl.parse(case.program).fit(case.data, seed=seed)
    mean, sd = case.posterior.mean(), case.posterior.std()
    assert abs(fit.mean(case.name) - mean) < 0.05 * sd
    assert fit.sd(case.name) == pytest.approx(sd, rel=0.05)
    low, high = case.posterior.ppf([0.05, 0.95])
    # a 5 % quantile of n draws has the standard error sqrt(.05 * .95 / n) / density: 0.015 sd at 16,000
    np.testing.assert_allclose(fit.quantile(case.name, [0.05, 0.95]), [low, high], atol=0.08 * sd)
    assert fit.verdict.level == "trusted"
