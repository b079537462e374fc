"""The models that benchmarks time beside other packages: their text, their data, and the same model in NumPyro."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Case:
    """`numpyro()` gives the NumPyro model, a function of no arguments; `name` is for tables."""

    name: str
    text: str
    data: dict[str, Any]
    numpyro: Callable[[], Callable[[], None]]


def eight_schools() -> Case:
    """The centred model of `examples/eight_schools.ppl`."""
    data = json.loads((EXAMPLES / "eight_schools.json").read_text(encoding="utf-8"))
    y, sigma = np.array(data["y"], float), np.array(data["sigma"], float)

    def numpyro() -> Callable[[], None]:
        import numpyro
        import numpyro.distributions as dist

        def model() -> None:
            mu = numpyro.sample("mu", dist.Normal(0, 5))
            tau = numpyro.sample("tau", dist.HalfCauchy(5))
            with numpyro.plate("school", len(y)):
                theta = numpyro.sample("theta", dist.Normal(mu, tau))
                numpyro.sample("y", dist.Normal(theta, sigma), obs=y)

        return model

    return Case("eight schools", (EXAMPLES / "eight_schools.ppl").read_text(encoding="utf-8"), data, numpyro)


HIERARCHICAL = """
data N, G: int
data group: index(G)[N]
data x, y: real[N]
mu ~ normal(0, 5)
tau ~ half_normal(2)
beta ~ normal(0, 2)
sigma ~ half_normal(2)
plate g in G { alpha[g] ~ normal(mu, tau) }
y ~ normal(alpha[group] + beta * x, sigma)
"""


def hierarchical(groups: int = 400, rows: int = 12_500) -> Case:
    """A regression whose intercept varies between groups."""
    rng = np.random.default_rng(1)
    group, x = rng.integers(0, groups, rows), rng.normal(size=rows)
    y = rng.normal(0, 1, groups)[group] + 0.5 * x + rng.normal(0, 0.7, rows)

    def numpyro() -> Callable[[], None]:
        import numpyro
        import numpyro.distributions as dist

        def model() -> None:
            mu = numpyro.sample("mu", dist.Normal(0, 5))
            tau = numpyro.sample("tau", dist.HalfNormal(2))
            beta = numpyro.sample("beta", dist.Normal(0, 2))
            sigma = numpyro.sample("sigma", dist.HalfNormal(2))
            with numpyro.plate("groups", groups):
                alpha = numpyro.sample("alpha", dist.Normal(mu, tau))
            with numpyro.plate("rows", rows):
                numpyro.sample("y", dist.Normal(alpha[group] + beta * x, sigma), obs=y)

        return model

    data = {"N": rows, "G": groups, "group": group, "x": x, "y": y}
    return Case(f"regression, {groups} groups, {rows:,} rows", HIERARCHICAL, data, numpyro)


LOGISTIC = """
data N, K: int
data X: real[N, K]
data y: boolean[N]
plate k in K { beta[k] ~ normal(0, 1) }
y ~ bernoulli(logits = X @ beta)
"""


def logistic(rows: int = 100_000, columns: int = 20) -> Case:
    """A logistic regression."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(rows, columns)) / np.sqrt(columns)
    y = (rng.logistic(size=rows) < X @ rng.normal(size=columns)).astype(int)

    def numpyro() -> Callable[[], None]:
        import numpyro
        import numpyro.distributions as dist

        def model() -> None:
            beta = numpyro.sample("beta", dist.Normal(0, 1).expand([columns]).to_event(1))
            with numpyro.plate("rows", rows):
                numpyro.sample("y", dist.Bernoulli(logits=X @ beta), obs=y)

        return model

    data = {"N": rows, "K": columns, "X": X, "y": y}
    return Case(f"logistic regression, {rows:,} x {columns}", LOGISTIC, data, numpyro)


HMM = """
data N, K: int
data y: real[N]
plate k in K {
  theta[k] ~ dirichlet(rep(1, K))
  mu[k] ~ normal(0, 10)
}
scan t in N {
  z[t] ~ categorical(rep(1 / K, K) if t == 0 else theta[z[t - 1]])
  y[t] ~ normal(mu[z[t]], 1)
}
"""


def hmm(steps: int = 500, states: int = 3) -> Case:
    """A hidden Markov model; in NumPyro its states are summed out by a `lax.scan` written by hand."""
    rng = np.random.default_rng(3)
    z = [0]
    for _ in range(steps - 1):
        z.append(z[-1] if rng.random() < 0.9 else int(rng.integers(states)))
    y = 4.0 * np.array(z) + rng.normal(size=steps)

    def numpyro() -> Callable[[], None]:
        import jax
        import jax.numpy as jnp
        import numpyro
        import numpyro.distributions as dist

        def model() -> None:
            theta = numpyro.sample("theta", dist.Dirichlet(jnp.ones((states, states))).to_event(1))
            mu = numpyro.sample("mu", dist.Normal(0, 10).expand([states]).to_event(1))
            emission = dist.Normal(mu, 1).log_prob(y[:, None])
            move = jnp.log(theta)

            def step(before: Any, now: Any) -> tuple[Any, None]:
                return jax.nn.logsumexp(before[:, None] + move, axis=0) + now, None

            last, _ = jax.lax.scan(step, emission[0] - jnp.log(states), emission[1:])
            numpyro.factor("y", jax.nn.logsumexp(last))

        return model

    return Case(f"hidden Markov model, {steps} steps", HMM, {"N": steps, "K": states, "y": y}, numpyro)


CASES: tuple[Callable[[], Case], ...] = (eight_schools, hierarchical, logistic, hmm)
