"""What a second fit saves: programs that the first one staged.

    python tests/benchmarks/restage.py [--repeats 4] [--backend jax]

Each model is fitted with nothing kept, then again with another seed, and with other data of the same shape. Processor
time of the second and the third against the first, medians over fits that follow each other, and how many programs
each of them recorded.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import ppl
from ppl.backends import reuse
from ppl.backends.staging import products, stages

EIGHT_SCHOOLS = """
data J: int
data y: real[J]
data sigma: real[J]
mu ~ normal(0, 5)
tau ~ half_cauchy(5)
plate j in J {
  theta[j] ~ normal(mu, tau)
  y[j] ~ normal(theta[j], sigma[j])
}
"""
LOGISTIC = """
data N, D: int
data X: real[N, D]
data y: bool[N]
b[d in D] ~ normal(0, 2)
plate n in N { y[n] ~ bernoulli(logits = X[n] @ b) }
"""
SCORED = """
data N: int
data y: real[N]
m ~ normal(0, 5)
plate n in N { @score
  z[n] ~ bernoulli(0.5)
  y[n] ~ normal(m + 2 * z[n], 1) }
"""
BLOCKS = """
data N, D: int
data X: real[N, D]
data y: real[N]
b[d in D] ~ normal(0, 2)
sigma ~ half_normal(1)
plate n in N { y[n] ~ student_t(4, X[n] @ b, sigma) }
"""


def schools(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    sigma = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
    return {"J": 8, "sigma": sigma, "y": rng.normal(8.0, sigma)}


def chances(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((2000, 10))
    return {"N": 2000, "D": 10, "X": X, "y": rng.random(2000) < 1.0 / (1.0 + np.exp(-X[:, 0]))}


def mixed(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"N": 50, "y": 2.0 * (rng.random(50) < 0.5) + rng.standard_normal(50)}


def many(seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40_000, 5))
    return {"N": 40_000, "D": 5, "X": X, "y": X[:, 0] + rng.standard_t(4, 40_000)}


STEPS = {"steps": 500, "window": 100}
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "eight schools, defaults": (EIGHT_SCHOOLS, schools, {}),
    "eight schools, Adam, 500 steps": (EIGHT_SCHOOLS, schools, {"method": "stochastic", **STEPS}),
    "eight schools, Rényi bound, 500 steps": (EIGHT_SCHOOLS, schools, {"objective": "renyi", **STEPS}),
    "logistic regression, no draws": (LOGISTIC, chances, {"method": "stochastic"}),
    "logistic regression, parts, 500 steps": (LOGISTIC.replace("plate", "@minibatch(100)\nplate"), chances, STEPS),
    "scored mixture, 500 steps": (SCORED, mixed, STEPS),
    "40,000 rows in blocks, defaults": (BLOCKS, many, {}),
}


@contextmanager
def counted() -> Iterator[list[int]]:
    """How many programs are recorded, as the only element."""
    found, kept = [0], {}
    for module, name in ((stages, "staged_program"), (products, "products_program")):
        kept[module, name] = made = getattr(module, name)

        def count(*arguments: Any, made: Any = made, **named: Any) -> Any:
            found[0] += 1
            return made(*arguments, **named)

        setattr(module, name, count)
    try:
        yield found
    finally:
        for (module, name), made in kept.items():
            setattr(module, name, made)


def fitted(text: str, data: dict[str, Any], seed: int, options: dict[str, Any]) -> tuple[float, int]:
    """Seconds of processor time, and programs recorded by the default backend."""
    with counted() as recorded:
        start = time.process_time()
        ppl.parse(text).fit(data, seed=seed, progress=False, **options)
        return time.process_time() - start, recorded[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=4)
    parser.add_argument("--backend", default="autograd")
    repeats, backend = parser.parse_args().repeats, parser.parse_args().backend
    warnings.simplefilter("ignore", ppl.UncertainFitWarning)
    for name, (text, make, asked) in CASES.items():
        options, rows = {"backend": backend, **asked}, []
        for repeat in range(repeats):
            reuse.forget()
            first = fitted(text, make(1), repeat, options)
            again = fitted(text, make(1), repeat + 100, options)
            other = fitted(text, make(2), repeat, options)
            rows.append((first[0], again[0] / first[0], other[0] / first[0], first[1], again[1], other[1]))
        seconds, second, third, *recorded = (statistics.median(column) for column in zip(*rows[1:], strict=True))
        print(
            f"{name:40} first {seconds:6.3f} s, {recorded[0]:2.0f} programs   another seed {second:5.2f}, "
            f"{recorded[1]:.0f} programs   other data {third:5.2f}, {recorded[2]:.0f} programs"
        )


if __name__ == "__main__":
    main()
