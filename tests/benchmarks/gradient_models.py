"""Models with the log joint density and its gradient written by hand in NumPy, for `gradient.py`.

Each is a text, data, and a function from rows of unconstrained vectors (draws, dim), laid out as the package does, to
log densities (draws,) up to a constant and their gradients (draws, dim). They are written as one would for speed: what
depends on data alone is computed once, whatever serves the value and the gradient is computed once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Density = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """A model with data, and its density by hand."""

    text: str
    data: dict
    by_hand: Density


def half_cauchy(log_scale: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A half-Cauchy scale from its logarithm: the scale, the log density with the Jacobian, and its slope."""
    scale = np.exp(log_scale)
    heavy = (scale / width) ** 2
    return scale, log_scale - np.log1p(heavy), 1.0 - 2.0 * heavy / (1.0 + heavy)


# Eight schools: D. B. Rubin (1981) -------------------------------------------------------------------------------

SCHOOLS = """
data J: int
data y: real[J]
data s: real(lower=0)[J]
mu ~ normal(0, 5)
tau ~ half_cauchy(5)
plate j in J {
  theta[j] ~ normal(mu, tau)
  y[j] ~ normal(theta[j], s[j])
}
"""


def schools() -> Case:
    y = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
    s = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])

    def density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mu, theta = z[:, 0], z[:, 2:]
        tau, value, slope_tau = half_cauchy(z[:, 1], 5.0)
        standard = (theta - mu[:, None]) / tau[:, None]
        residual = (y - theta) / s
        square = np.sum(standard * standard, axis=1)
        value += -0.5 * (square + np.sum(residual * residual, axis=1)) - 0.02 * mu * mu - len(y) * z[:, 1]
        slope = np.empty_like(z)
        pull = standard / tau[:, None]
        slope[:, 0] = np.sum(pull, axis=1) - mu / 25.0
        slope[:, 1] = slope_tau + square - len(y)
        slope[:, 2:] = residual / s - pull
        return value, slope

    return Case(SCHOOLS, {"J": 8, "y": y, "s": s}, density)


# A hierarchical regression ----------------------------------------------------------------------------------------

REGRESSION = """
data N, J: int
data group: index(J)[N]
data x: real[N]
data y: real[N]
mu ~ normal(0, 5)
tau ~ half_cauchy(5)
beta ~ normal(0, 5)
sigma ~ half_cauchy(5)
plate j in J { alpha[j] ~ normal(mu, tau) }
plate n in N { y[n] ~ normal(alpha[group[n]] + beta * x[n], sigma) }
"""


def regression(rows: int = 12_500, groups: int = 400) -> Case:
    """The rows come sorted by group, as they mostly do."""
    rng = np.random.default_rng(0)
    group = np.sort(np.concatenate([np.arange(groups), rng.integers(0, groups, rows - groups)]))
    x = rng.normal(size=rows)
    y = rng.normal(size=groups)[group] + 0.5 * x + rng.normal(size=rows)
    starts = np.searchsorted(group, np.arange(groups))

    def density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mu, beta, alpha = z[:, 0], z[:, 2], z[:, 4:]
        tau, value_tau, slope_tau = half_cauchy(z[:, 1], 5.0)
        sigma, value_sigma, slope_sigma = half_cauchy(z[:, 3], 5.0)
        standard = (alpha - mu[:, None]) / tau[:, None]
        residual = np.take(alpha, group, axis=1)
        residual += beta[:, None] * x
        np.subtract(y, residual, out=residual)
        residual /= sigma[:, None]
        square = np.sum(standard * standard, axis=1)
        errors = np.einsum("dn,dn->d", residual, residual)
        value = value_tau + value_sigma - 0.5 * (square + errors) - 0.02 * (mu * mu + beta * beta)
        value -= groups * z[:, 1] + rows * z[:, 3]
        residual /= sigma[:, None]
        slope = np.empty_like(z)
        pull = standard / tau[:, None]
        slope[:, 0] = np.sum(pull, axis=1) - mu / 25.0
        slope[:, 1] = slope_tau + square - groups
        slope[:, 2] = residual @ x - beta / 25.0
        slope[:, 3] = slope_sigma + errors - rows
        slope[:, 4:] = np.add.reduceat(residual, starts, axis=1) - pull
        return value, slope

    return Case(REGRESSION, {"N": rows, "J": groups, "group": group, "x": x, "y": y}, density)


# A logistic regression --------------------------------------------------------------------------------------------

LOGISTIC = """
data N, K: int
data X: real[N, K]
data y: int[N]
plate k in K { beta[k] ~ normal(0, 2.5) }
plate n in N { y[n] ~ bernoulli(logits = dot(X[n], beta)) }
"""


def logistic(rows: int = 100_000, columns: int = 20) -> Case:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, columns))
    y = (rng.random(rows) < 1.0 / (1.0 + np.exp(-x @ (0.3 * rng.normal(size=columns))))).astype(int)
    outcome = y.astype(float)

    def density(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        predictor = z @ x.T
        normaliser = np.abs(predictor)
        np.negative(normaliser, out=normaliser)
        np.exp(normaliser, out=normaliser)
        np.log1p(normaliser, out=normaliser)
        normaliser += np.maximum(predictor, 0.0)
        value = predictor @ outcome - np.sum(normaliser, axis=1) - 0.08 * np.sum(z * z, axis=1)
        predictor -= normaliser
        np.exp(predictor, out=predictor)
        np.subtract(outcome, predictor, out=predictor)
        return value, predictor @ x - 0.16 * z

    return Case(LOGISTIC, {"N": rows, "K": columns, "X": x, "y": y}, density)


# A hidden Markov model ---------------------------------------------------------------------------------------------

MARKOV = """
data T, K: int
data y: real[T]
plate k in K {
  mu[k] ~ normal(0, 5)
  sigma[k] ~ half_normal(2)
  plate j in K { w[k, j] ~ normal(0, 1) }
  A[k] = softmax(w[k])
}
scan t in T {
  z[t] ~ categorical(rep(1 / K, K) if t == 0 else A[z[t - 1]])
  y[t] ~ normal(mu[z[t]], sigma[z[t]])
}
"""


def markov(steps: int = 500, states: int = 3) -> Case:
    """By hand: the forward and backward recursions in logarithms, everything else for all steps at once."""
    rng = np.random.default_rng(0)
    y = 2.0 * rng.normal(size=steps)

    def density(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        draws = len(u)
        mu, log_sigma = u[:, :states], u[:, states : 2 * states]
        sigma = np.exp(log_sigma)
        w = u[:, 2 * states :].reshape(draws, states, states)
        log_a = w - np.logaddexp.reduce(w, axis=2)[..., None]
        standard = (y[:, None, None] - mu) / sigma
        emission = -0.5 * standard * standard - log_sigma
        forward = np.empty((steps, draws, states))
        forward[0] = emission[0] - np.log(states)
        for t in range(1, steps):
            forward[t] = np.logaddexp.reduce(forward[t - 1][:, :, None] + log_a, axis=1) + emission[t]
        backward = np.zeros((steps, draws, states))
        for t in range(steps - 1, 0, -1):
            backward[t - 1] = np.logaddexp.reduce(log_a + (emission[t] + backward[t])[:, None, :], axis=2)
        evidence = np.logaddexp.reduce(forward[-1], axis=1)
        state = np.exp(forward + backward - evidence[:, None])
        ahead = (emission[1:] + backward[1:] - evidence[:, None])[:, :, None, :]
        pair = np.exp(forward[:-1, :, :, None] + log_a + ahead).sum(axis=0)
        value = evidence - 0.02 * np.sum(mu * mu, axis=1) - 0.125 * np.sum(sigma * sigma, axis=1)
        value += np.sum(log_sigma, axis=1) - 0.5 * np.sum(w * w, axis=(1, 2))
        slope = np.empty_like(u)
        weighed = state * standard
        slope[:, :states] = weighed.sum(axis=0) / sigma - 0.04 * mu
        slope[:, states : 2 * states] = np.sum(weighed * standard - state, axis=0) - 0.25 * sigma * sigma + 1.0
        slope[:, 2 * states :] = (pair - np.exp(log_a) * pair.sum(axis=2)[..., None] - w).reshape(draws, -1)
        return value, slope

    return Case(MARKOV, {"T": steps, "K": states, "y": y}, density)


CASES: dict[str, Callable[[], Case]] = {
    "eight schools": schools,
    "hierarchical regression, 400 groups, 12,500 rows": regression,
    "logistic regression, 100,000 x 20": logistic,
    "hidden Markov model, 500 steps": markov,
}
