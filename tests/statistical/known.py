"""Posteriors that are known in closed form."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"

REGRESSION = """
data N, D: int
data X: real[N, D]
data y: real[N]
beta[d in D] ~ normal(0, 2)
y ~ normal(X @ beta, 0.7)
"""


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian posterior with the log evidence of its model, in nats."""

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float

    @property
    def sd(self):
        return np.sqrt(np.diag(self.covariance))

    def divergence(self, mean, covariance):
        """KL(N(mean, covariance) || this) in nats."""
        precision = np.linalg.inv(self.covariance)
        move = self.mean - mean
        log_det = np.linalg.slogdet(self.covariance)[1] - np.linalg.slogdet(covariance)[1]
        return 0.5 * (np.trace(precision @ covariance) + move @ precision @ move - len(move) + log_det)


def regression_data(seed=1, rows=12):
    """Three correlated columns."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, 3)) @ np.array([[1.0, 0.8, 0.0], [0.0, 0.6, 0.5], [0.0, 0.0, 1.0]])
    return {"N": rows, "D": 3, "X": X, "y": X @ [1.0, -0.5, 2.0] + 0.7 * rng.standard_normal(rows)}


def regression_posterior(data):
    X, y = data["X"], data["y"]
    covariance = np.linalg.inv(X.T @ X / 0.7**2 + np.eye(3) / 2**2)
    mean = covariance @ X.T @ y / 0.7**2
    marginal = 0.7**2 * np.eye(len(y)) + 2**2 * X @ X.T
    evidence = -0.5 * (y @ np.linalg.solve(marginal, y) + np.linalg.slogdet(2 * np.pi * marginal)[1])
    return Gaussian(mean, covariance, float(evidence))


def data_of(example):
    return json.loads((EXAMPLES / f"{example}.json").read_text(encoding="utf-8"))


def eight_schools_by_quadrature(nodes=4000):
    """Evidence, and mean and sd of mu and tau: the effects and mu integrated analytically, tau on a grid of log tau.

    y[j] ~ normal(mu, sqrt(tau^2 + sigma[j]^2)) with mu ~ normal(0, 5), tau ~ half_cauchy(5).
    """
    data = data_of("eight_schools")
    y, sigma = np.array(data["y"], float), np.array(data["sigma"], float)
    log_tau = np.linspace(-18.0, 9.0, nodes)
    tau = np.exp(log_tau)[:, None]
    weight = 1.0 / (tau**2 + sigma**2)
    precision = weight.sum(axis=1) + 1 / 25
    centre = (weight * y).sum(axis=1) / precision
    square = (weight * y**2).sum(axis=1) - precision * centre**2
    log_p = 0.5 * (np.log(weight).sum(axis=1) - np.log(precision) - np.log(25) - square - len(y) * np.log(2 * np.pi))
    log_p += np.log(2 / (np.pi * 5)) - np.log1p(tau[:, 0] ** 2 / 25) + log_tau
    mass = np.exp(log_p - log_p.max())
    total = mass.sum() * (log_tau[1] - log_tau[0])
    share, tau = mass / mass.sum(), tau[:, 0]
    mu = share @ centre
    moments = {
        "mu": (mu, np.sqrt(share @ (1 / precision + centre**2) - mu**2)),
        "tau": (share @ tau, np.sqrt(share @ tau**2 - (share @ tau) ** 2)),
    }
    return float(log_p.max() + np.log(total)), moments
