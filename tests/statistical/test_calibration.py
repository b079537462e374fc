"""Simulation-based calibration: the truth is a uniformly distributed quantile of the posterior, over prior draws.

Talts et al. (2018). Each replication draws the latents from the prior and data from them, fits with `auto`, and asks
for the share of the posterior below the truth. Kolmogorov and Smirnov's test at 1e-4 for each of the numbers tested:
a correct program fails once in 1,000 choices of the seed, which is fixed.
"""

import numpy as np
import pytest
from scipy import stats

import ppl

REPLICATIONS = 50
MODELS = {
    "location and scale": """
        data N: int
        data y: real[N]
        mu ~ normal(0, 2)
        s ~ lognormal(0, 0.5)
        y ~ normal(mu, s)
        """,
    "groups": """
        data N: int
        data y: real[N]
        mu ~ normal(0, 2)
        tau ~ half_normal(1)
        plate n in N {
          theta[n] ~ normal(mu, tau)
          y[n] ~ normal(theta[n], 0.5)
        }
        """,
    "logistic": """
        data N: int
        data x: real[N]
        data y: bool[N]
        a ~ normal(0, 1)
        b ~ normal(0, 1)
        y ~ bernoulli(logits = a + b * x)
        """,
}


def below(fit, name, truth):
    """The share of the posterior of the first element below the truth."""
    draws = np.asarray(fit.posterior.array(name)).reshape(fit.posterior.count, -1)[:, 0]
    weights = fit.posterior.weights
    return float(np.average(draws < np.ravel(truth)[0], weights=weights))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_calibration(name):
    program = ppl.parse(MODELS[name])
    data = {"N": 6, "y": np.zeros(6)}
    if name == "logistic":
        data = {"N": 12, "x": np.linspace(-2, 2, 12), "y": np.zeros(12, int)}
    simulated = program.simulate(data, draws=REPLICATIONS, seed=11)
    latents = [site.name for site in program.bind(data).model.latents]
    shares = {latent: [] for latent in latents}
    for row in range(REPLICATIONS):
        fit = program.fit({**data, "y": simulated["y"][row]}, seed=row)
        for latent in latents:
            shares[latent].append(below(fit, latent, simulated[latent][row]))
    for latent in latents:
        assert stats.kstest(shares[latent], "uniform").pvalue > 1e-4, latent
