"""The conditional guide against quadrature over the hyperparameter of hierarchical models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

import ppl
from ppl.compiler.hierarchy import CONDITIONAL_BLOCK, HYPER_BLOCK

Y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SIGMA = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
CENTRED = """
data J: int
data y: real[J]
data sigma: real(lower=0)[J]
mu ~ normal(0, 5)
tau ~ half_cauchy(5)
plate j in J {
  theta[j] ~ normal(mu, tau)
  y[j] ~ normal(theta[j], sigma[j])
}
"""
STANDARDISED = CENTRED.replace("theta[j] ~ normal(mu, tau)", "raw[j] ~ normal(0, 1)\n  theta[j] = mu + tau * raw[j]")
DATA = {"J": 8, "y": Y, "sigma": SIGMA}


def log_marginal(tau: float) -> float:
    """log p(tau, y): mu and theta are Gaussian given tau and integrate out."""
    covariance = np.diag(SIGMA**2 + tau**2) + 25.0
    return float(stats.multivariate_normal(np.zeros(8), covariance).logpdf(Y) + stats.halfcauchy(scale=5).logpdf(tau))


def tau_moments() -> tuple[float, float, float]:
    """log evidence, mean and sd of tau, by quadrature over log tau."""

    def moment(power: int) -> float:
        return integrate.quad(lambda u: np.exp(log_marginal(np.exp(u)) + 31.0 + (power + 1) * u), -12, 9, limit=400)[0]

    total, mean, square = (moment(k) for k in range(3))
    return float(np.log(total) - 31.0), mean / total, float(np.sqrt(square / total - (mean / total) ** 2))


@pytest.mark.parametrize("source", [CENTRED, STANDARDISED], ids=["centred", "standardised"])
def test_eight_schools_as_either_writing_has_it(source: str) -> None:
    """Exact given tau, so only Monte Carlo error is left: at 10,000 effective draws four errors are 0.04 sd.

    The posterior of tau has heavy tails (a half-Cauchy prior and eight observations): its sd is allowed 8 %.
    """
    evidence, mean, sd = tau_moments()
    fit = ppl.parse(source).fit(DATA, progress=False)
    assert fit.verdict.level == "trusted"
    assert fit.mean("tau") == pytest.approx(mean, abs=0.04 * sd)
    assert fit.sd("tau") == pytest.approx(sd, rel=0.08)
    assert fit.log_evidence == pytest.approx(evidence, abs=0.02)


def test_the_split_is_taken_from_the_graph() -> None:
    plan = ppl.parse(CENTRED).bind(DATA).plan()
    blocks = {name: site.block for name, site in plan.sites.items()}
    assert blocks == {"mu": CONDITIONAL_BLOCK, "tau": HYPER_BLOCK, "theta": CONDITIONAL_BLOCK, "y": ""}


KERNEL = """
data N: int
data x, y: real[N]
rho ~ gamma(4, 4)
alpha ~ half_normal(1)
K = [alpha^2 * exp(-0.5 * ((x[i] - x[j]) / rho)^2) for i in N, j in N]
"""
LATENT = "z[n in N] ~ normal(0, 1)\nf = cholesky(K + diag(rep(1e-9, N))) @ z\ny ~ normal(f, 0.3)\n"
INTEGRATED = "y ~ multi_normal(rep(0, N), cov = K + diag(rep(0.09, N)))\n"


def test_a_latent_process_is_near_gaussian_given_its_kernel() -> None:
    """The same process with its values integrated out by hand has two unknowns and another method fits it.

    8,000 effective draws on either side: four standard errors of a difference of means are 0.06 sd.
    """
    data = {"x": np.arange(8.0), "y": [0.1, 0.8, 1.1, 0.3, -0.5, -1.2, -0.7, 0.2]}
    fit = ppl.parse(KERNEL + LATENT).fit(data, progress=False)
    by_hand = ppl.parse(KERNEL + INTEGRATED).fit(data, progress=False)
    blocks = {name: site.block for name, site in ppl.parse(KERNEL + LATENT).bind(data).plan().sites.items()}
    assert blocks == {"rho": HYPER_BLOCK, "alpha": HYPER_BLOCK, "z": CONDITIONAL_BLOCK, "y": ""}
    assert (fit.run.method, by_hand.run.method) == ("conditional", "deterministic")
    assert fit.verdict.level == by_hand.verdict.level == "trusted"
    assert fit.log_evidence == pytest.approx(by_hand.log_evidence, abs=0.02)
    for name in ("rho", "alpha"):
        assert fit.mean(name) == pytest.approx(by_hand.mean(name), abs=0.06 * by_hand.sd(name))
        assert fit.sd(name) == pytest.approx(by_hand.sd(name), rel=0.06)


def test_a_regression_with_unknown_noise_is_no_hierarchy() -> None:
    source = "data N: int\ndata x, y: real[N]\nb ~ normal(0, 1)\ns ~ half_normal(1)\ny ~ normal(b * x, s)\n"
    plan = ppl.parse(source).bind({"x": [1.0, 2.0], "y": [0.5, 1.5]}).plan()
    assert all(site.block != HYPER_BLOCK for site in plan.sites.values())


def test_binomial_effects_agree_with_quadrature() -> None:
    """A logistic model with group effects: the conditional Gaussian is only near, importance weights make it right."""
    trials, successes = np.array([10, 10, 10, 10]), np.array([1, 4, 6, 9])
    source = """
    data G: int
    data n, y: int[G]
    tau ~ half_normal(1)
    plate g in G {
      b[g] ~ normal(0, tau)
      y[g] ~ binomial(n[g], logits = b[g])
    }
    """
    fit = ppl.parse(source).fit({"G": 4, "n": trials, "y": successes}, progress=False)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)

    def joint(tau: float) -> float:
        probability = 1.0 / (1.0 + np.exp(-tau * nodes[:, None]))
        terms = weights @ stats.binom(trials, probability).pmf(successes) / weights.sum()
        return float(np.prod(terms) * stats.halfnorm().pdf(tau))

    total = integrate.quad(joint, 0, 8)[0]
    mean = integrate.quad(lambda t: t * joint(t), 0, 8)[0] / total
    sd = np.sqrt(integrate.quad(lambda t: (t - mean) ** 2 * joint(t), 0, 8)[0] / total)
    assert fit.verdict.level == "trusted"
    assert fit.mean("tau") == pytest.approx(mean, abs=0.04 * sd)
    assert fit.sd("tau") == pytest.approx(sd, rel=0.05)
    assert fit.log_evidence == pytest.approx(np.log(total), abs=0.02)
