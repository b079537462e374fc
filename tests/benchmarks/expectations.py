"""What is integrated exactly in place of drawn: linear predictors by quadrature, conjugate groups in closed form.

    python tests/benchmarks/expectations.py [--rows 1000 100000] [--columns 20] [--groups 50 300]

First regressions under a mean-field and a full-rank Gaussian near the optimum: time of one gradient of the ELBO, and
its variance over fresh draws summed over all guide parameters, with the expected log likelihood by nodes of the linear
predictor and from ten draws. The two means are compared, in standard errors of the second. Then whole fits by
`method="stochastic"` with and without, and such of parts of the rows, against the ELBO of all rows at once. Last fits
of groups with a conjugate prior by the defaults, with the groups integrated out and with the groups among the unknowns.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import ppl
import ppl.inference.choose as choose
from ppl.backends import get_backend
from ppl.guides import derive_guide
from ppl.guides.derived import GAUSSIAN, Guide
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

REGRESSION = """
data N, D: int
data X: real[N, D]
data y: {kind}[N]
b[d in D] ~ normal(0, 10)
y ~ {likelihood}
"""
LIKELIHOODS = {
    "logistic": ("bool", "bernoulli(logits = X @ b)"),
    "poisson": ("int(lower=0)", "poisson(log_rate = X @ b)"),
    "student_t": ("real", "student_t(4, X @ b, 1)"),
}
GROUPS = {
    "beta-binomial": """
data J: int
data n: int(lower=0)[J]
data k: int(lower=0)[J]
phi ~ uniform(0, 1)
kappa ~ pareto(1, 1.5)
plate j in J {
  theta[j] ~ beta(phi * kappa, (1 - phi) * kappa)
  k[j] ~ binomial(n[j], theta[j])
}
""",
    "gamma-Poisson": """
data J: int
data n: real(lower=0)[J]
data k: int(lower=0)[J]
alpha ~ exponential(1)
beta ~ gamma(0.1, 1)
plate j in J {
  theta[j] ~ gamma(alpha, beta)
  k[j] ~ poisson(n[j] * theta[j])
}
""",
}
DRAWS, REPEATS = 10, 40


def regression(kind: str, rows: int, columns: int) -> tuple[str, dict[str, Any], np.ndarray]:
    """Text, data and the coefficients that made them up."""
    rng = np.random.default_rng(rows)
    X = rng.standard_normal((rows, columns))
    b = 0.5 * rng.standard_normal(columns) / np.sqrt(columns)
    eta = X @ b
    made = {
        "logistic": lambda: rng.random(rows) < 1.0 / (1.0 + np.exp(-eta)),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "student_t": lambda: eta + rng.standard_t(4, rows),
    }
    declared, likelihood = LIKELIHOODS[kind]
    text = REGRESSION.format(kind=declared, likelihood=likelihood)
    return text, {"N": rows, "D": columns, "X": X, "y": made[kind]()}, b


def groups(kind: str, size: int) -> dict[str, Any]:
    rng = np.random.default_rng(size)
    n = rng.integers(20, 200, size)
    if kind == "beta-binomial":
        return {"J": size, "n": n, "k": rng.binomial(n, rng.beta(20, 55, size))}
    return {"J": size, "n": n / 50.0, "k": rng.poisson(n / 50.0 * rng.gamma(2.0, 1.0, size))}


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    kept = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, kept)


def by_draws() -> Any:
    """As if no site had a linear predictor."""
    return replaced(Guide, "predicted", property(lambda self: {}))


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


def gradients(bound: Any, family: str, b: np.ndarray) -> tuple[float, np.ndarray]:
    """Median time of a gradient, and gradients at fresh draws (repeats, parameters)."""
    guide, backend = derive_guide(bound.plan(), family), get_backend()
    executor = Executor(guide.plan, bound.data, backend.xp)
    objective = StochasticObjective(executor, guide, backend, OBJECTIVES["elbo"].make())
    sd = np.full(len(b), 2.0 / np.sqrt(bound.data["N"]))
    parameters = guide.parameters.pack({GAUSSIAN: guide.gaussian.initial(b, sd)})
    rng, times, found = np.random.default_rng(0), [], []
    for _ in range(REPEATS):
        noise = objective.noise(rng, parameters, DRAWS)
        seconds, (_, gradient) = timed(lambda: objective.value_and_grad(parameters, noise))  # noqa: B023
        times.append(seconds)
        found.append(gradient)
    return statistics.median(times[REPEATS // 2 :]), np.array(found)


def compare_gradients(rows: int, columns: int) -> None:
    for kind in LIKELIHOODS:
        text, data, b = regression(kind, rows, columns)
        bound = ppl.parse(text).bind(data)
        for family in ("mean_field", "full_rank"):
            exact_time, exact = gradients(bound, family, b)
            with by_draws():
                drawn_time, drawn = gradients(bound, family, b)
            errors = drawn.std(axis=0, ddof=1) / np.sqrt(REPEATS)
            off = np.max(np.abs(drawn.mean(axis=0) - exact.mean(axis=0)) / errors)
            one, other = (found.var(axis=0).sum() for found in (exact, drawn))
            print(
                f"{kind:10} {rows:8,} {family:11} nodes {1e3 * exact_time:8.2f} ms, variance {one:8.1e}"
                f"   draws {1e3 * drawn_time:8.2f} ms, variance {other:8.1e}"
                f"   time {exact_time / drawn_time:5.2f}   off by {off:.1f} se"
            )


def fit(text: str, data: dict[str, Any], **options: Any) -> tuple[float, Any]:
    return timed(lambda: ppl.parse(text).fit(data, progress=False, **options))


def compare_fits(rows: int, columns: int) -> None:
    for kind in LIKELIHOODS:
        text, data, _ = regression(kind, rows, columns)
        for family in ("mean_field", "full_rank"):
            options = {"guide": family, "method": "stochastic"}
            seconds, exact = fit(text, data, **options)
            with by_draws():
                longer, drawn = fit(text, data, **options)
            print(
                f"{kind:10} {rows:8,} {family:11} {exact.run.method} {exact.run.steps} steps {seconds:6.2f} s, "
                f"ELBO {exact.run.elbo:.3f}   {drawn.run.method} {drawn.run.steps} steps {longer:6.2f} s, "
                f"ELBO {drawn.run.elbo:.3f}   time {seconds / longer:5.3f}"
            )


def compare_parts(rows: int, columns: int) -> None:
    """Fits that see a twentieth of the rows at a step, against the ELBO of all of them at once."""
    text, data, _ = regression("logistic", rows, columns)
    parts = text.replace("y ~", f"@minibatch({rows // 20})\nplate n in N {{ y[n] ~").replace("X @ b)", "X[n] @ b) }")
    _, whole = fit(text, data, guide="full_rank", method="stochastic")
    seconds, exact = fit(parts, data)
    with by_draws():
        longer, drawn = fit(parts, data)
    print(
        f"logistic   {rows:8,} in parts    nodes {exact.run.steps} steps {seconds:6.2f} s, "
        f"ELBO {exact.run.elbo - whole.run.elbo:+.3f}   draws {drawn.run.steps} steps {longer:6.2f} s, "
        f"ELBO {drawn.run.elbo - whole.run.elbo:+.3f}   time {seconds / longer:5.3f}"
    )


def compare_marginals(size: int) -> None:
    for kind, text in GROUPS.items():
        data = groups(kind, size)
        seconds, marginal = fit(text, data)
        with replaced(choose, "with_marginals", lambda plan: plan):
            longer, joint = fit(text, data)
        difference = np.max(np.abs(marginal.mean("theta") - joint.mean("theta")) / joint.sd("theta"))
        print(
            f"{kind:14} {size:6,} groups   integrated out {seconds:6.2f} s {_quality(marginal)}   "
            f"among the unknowns {longer:6.2f} s {_quality(joint)}   "
            f"time {seconds / longer:5.3f}   means differ by up to {difference:.2f} sd"
        )


def _quality(found: Any) -> str:
    rung = next(rung for rung in reversed(found.run.rungs) if rung.method == found.run.method)
    return f"k-hat {rung.khat:.2f}, {rung.effective:,.0f} effective, {found.verdict.level}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--groups", type=int, nargs="+", default=[50, 300])
    options = parser.parse_args()
    warnings.simplefilter("ignore", ppl.UncertainFitWarning)
    fit(*regression("logistic", 100, 3)[:2])
    for rows in options.rows:
        compare_gradients(rows, options.columns)
    compare_fits(options.rows[0], options.columns)
    compare_parts(20_000, options.columns)
    for size in options.groups:
        compare_marginals(size)


if __name__ == "__main__":
    main()
