"""Sweeps of coordinate ascent against loops written by hand in NumPy, in one run: seconds a sweep and their ratio.

python tests/benchmarks/cavi.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import digamma, logsumexp

import ppl
from ppl.backends import get_backend
from ppl.compiler.conjugacy.sites import find_conjugacy
from ppl.inference.coordinate.ascent import CoordinateAscent

MIXTURE = """
data N, K: int
data y: real[N]
w ~ dirichlet(rep(1, K))
mu[k in K] ~ normal(0, 5)
tau[k in K] ~ gamma(2, 1)
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ normal(mu[z[n]], 1 / sqrt(tau[z[n]]))
}
"""
TOPICS = """
data V, M, K, N: int
data doc: index(M)[N]
data word: index(V)[N]
theta[m in M] ~ dirichlet(rep(0.5, K))
phi[k in K]   ~ dirichlet(rep(0.1, V))
plate n in N {
  z[n]    ~ categorical(theta[doc[n]])
  word[n] ~ categorical(phi[z[n]])
}
"""
REGRESSION = """
data N, D: int
data X: real[N, D]
data y: real[N]
tau ~ gamma(1, 1)
beta[d in D] ~ normal(0, 3)
y ~ normal(X @ beta, 1 / sqrt(tau))
"""
Sweep = Callable[[], Any]


def ours(text: str, data: dict[str, Any]) -> Sweep:
    bound = ppl.parse(text).bind(data)
    rng = np.random.default_rng(0)
    ascent = CoordinateAscent(find_conjugacy(bound.plan()), bound.data, get_backend(), rng)
    family = ascent.begin(rng, 0.5)

    def sweep() -> None:
        nonlocal family
        family, _ = ascent.sweep(family)

    return sweep


def mixture(count: int = 20_000, k: int = 10) -> tuple[str, dict[str, Any], Sweep]:
    rng = np.random.default_rng(0)
    y = rng.normal(np.linspace(-12, 12, k)[rng.integers(0, k, count)], 0.7)
    alpha, m, v, a, b = np.ones(k), rng.standard_normal(k), np.ones(k), np.full(k, 2.0), np.ones(k)

    def sweep() -> None:
        nonlocal alpha, m, v, a, b
        log_r = digamma(alpha) - digamma(alpha.sum()) + 0.5 * (digamma(a) - np.log(b))
        log_r = log_r - 0.5 * (a / b) * ((y[:, None] - m) ** 2 + v)
        r = np.exp(log_r - logsumexp(log_r, axis=1)[:, None])
        n = r.sum(axis=0)
        alpha, v = 1 + n, 1 / (1 / 25 + a / b * n)
        m = v * a / b * (r.T @ y)
        a, b = 2 + 0.5 * n, 1 + 0.5 * np.sum(r * ((y[:, None] - m) ** 2 + v), axis=0)

    return MIXTURE, {"N": count, "K": k, "y": y}, sweep


def topics(tokens: int = 50_000, k: int = 20, vocabulary: int = 2000, documents: int = 500) -> Any:
    rng = np.random.default_rng(1)
    doc, word = rng.integers(0, documents, tokens), rng.integers(0, vocabulary, tokens)
    theta, phi = rng.gamma(1.0, 1.0, (documents, k)), rng.gamma(1.0, 1.0, (k, vocabulary))

    def sweep() -> None:
        nonlocal theta, phi
        log_theta = digamma(theta) - digamma(theta.sum(axis=1, keepdims=True))
        log_phi = digamma(phi) - digamma(phi.sum(axis=1, keepdims=True))
        log_r = log_theta[doc] + log_phi[:, word].T
        r = np.exp(log_r - logsumexp(log_r, axis=1)[:, None])
        theta = 0.5 + np.stack([np.bincount(doc, r[:, j], documents) for j in range(k)], axis=1)
        phi = 0.1 + np.stack([np.bincount(word, r[:, j], vocabulary) for j in range(k)])

    return TOPICS, {"V": vocabulary, "M": documents, "K": k, "N": tokens, "doc": doc, "word": word}, sweep


def regression(count: int = 20_000, size: int = 10) -> tuple[str, dict[str, Any], Sweep]:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((count, size))
    y = x @ rng.standard_normal(size) + rng.standard_normal(count)
    a, b = 1.0, 1.0

    def sweep() -> None:
        nonlocal a, b
        covariance = np.linalg.inv(np.eye(size) / 9 + a / b * x.T @ x)
        mean = covariance @ (a / b * x.T @ y)
        a, b = 1 + 0.5 * count, 1 + 0.5 * (np.sum((y - x @ mean) ** 2) + np.sum((x @ covariance) * x))

    return REGRESSION, {"N": count, "D": size, "X": x, "y": y}, sweep


def seconds(sweep: Sweep, sweeps: int = 20) -> float:
    """The median of the sweeps after a few to warm up."""
    for _ in range(6):
        sweep()
    times = []
    for _ in range(sweeps):
        began = time.perf_counter()
        sweep()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    for name, case in {"mixture": mixture(), "topics": topics(), "regression": regression()}.items():
        text, data, by_hand = case
        with np.errstate(all="ignore"):
            mine, theirs = seconds(ours(text, data)), seconds(by_hand)
        print(f"{name:<12} {1e3 * mine:8.1f} ms a sweep, by hand {1e3 * theirs:8.1f} ms, ratio {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
