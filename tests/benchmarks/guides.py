"""Every guide on a few posteriors, as a table: ELBO, k-hat, seconds. Run it by hand:

    python tests/benchmarks/guides.py

The posteriors are made up here. Where the evidence is known it stands behind the name; no ELBO is above it.
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np

import ppl
from ppl.guides import GUIDES
from ppl.inference.fit import run_fit

RNG = np.random.default_rng(1)
GROUPS, ROWS, COLUMNS = 40, 240, 15
GROUP = np.arange(ROWS) % GROUPS
SHARED = 0.9 * RNG.normal(size=(ROWS, 1)) + 0.45 * RNG.normal(size=(ROWS, COLUMNS))
CHOSEN = RNG.random(ROWS) < 1.0 / (1.0 + np.exp(-SHARED @ RNG.normal(0.0, 0.6, COLUMNS)))
POSTERIORS: dict[str, tuple[str, dict[str, Any]]] = {
    "logistic regression, correlated columns (15)": (
        """
data N, K: int
data X: real[N, K]
data y: int[N]
b[k in K] ~ normal(0, 2)
plate n in N { y[n] ~ bernoulli(logits = dot(X[n], b)) }
""",
        {"N": ROWS, "K": COLUMNS, "X": SHARED, "y": CHOSEN.astype(int)},
    ),
    "varying intercepts (44)": (
        """
data N: int
data g: int[N]
data x, y: real[N]
mu ~ normal(0, 5)
tau ~ half_normal(1)
sigma ~ half_normal(1)
beta ~ normal(0, 1)
plate j in 40 { a[j] ~ normal(mu, tau) }
plate n in N { y[n] ~ normal(a[g[n]] + beta * x[n], sigma) }
""",
        {"N": ROWS, "g": GROUP, "x": SHARED[:, 0],
         "y": RNG.normal(1.0, 0.7, GROUPS)[GROUP] + RNG.normal(0.0, 0.6, ROWS)},
    ),
    "banana (2)": ("data y: real\na ~ normal(0, 1)\nb ~ normal(0, 4)\ny ~ normal(b - 1.5 * a^2, 0.4)\n", {"y": 0.0}),
    "two modes (2)": (
        """
x ~ normal(0, 3)
v ~ normal(0, 1)
factor modes = log_sum_exp([log(0.7) + logpdf(normal(2.5, 0.5), x), log(0.3) + logpdf(normal(-2.5, 0.5), x)])
""",
        {},
    ),
    "random walk (1,001)": (
        """
data N: int
data y: real[N]
s ~ half_normal(1)
scan t in N { r[t] ~ normal(0 if t == 0 else r[t - 1], s) }
plate t in N { y[t] ~ student_t(4, r[t], 1) }
""",
        {"N": 1000, "y": np.cumsum(RNG.normal(0.0, 0.3, 1000)) + RNG.standard_t(4, 1000)},
    ),
}  # fmt: skip
DENSE = ("flow", "full_rank", "laplace", "mean_field", "mixture")
"""Guides left out where there are a thousand unknowns."""


def row(name: str, guide: str) -> str:
    source, data = POSTERIORS[name]
    bound = ppl.parse(source).bind(data)
    plan = bound.plan()
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = run_fit(plan, bound.data, guide, progress=False)
    seconds = time.perf_counter() - began
    khat = result.verdict.khat
    shape = "-" if khat is None else "below 0" if khat < 0 else f"{khat:.2f}"
    evidence = "-" if result.log_evidence is None else f"{result.log_evidence:.2f}"
    return f"| {name} | {guide} | {result.elbo:.2f} | {evidence} | {shape} | {result.verdict.level} | {seconds:.1f} |"


def main() -> None:
    wanted = sys.argv[1:] or list(POSTERIORS)
    print("| posterior (unknowns) | guide | ELBO | log evidence | k-hat | verdict | seconds |")
    print("| --- | --- | ---: | ---: | ---: | --- | ---: |")
    for name in POSTERIORS:
        if not any(name.startswith(start) for start in wanted):
            continue
        for guide in GUIDES:
            if guide != "point" and not (name.endswith("(1,001)") and guide in DENSE):
                print(row(name, guide), flush=True)


if __name__ == "__main__":
    main()
