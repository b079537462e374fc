"""What is integrated exactly in place of drawn: linear predictors by quadrature, conjugate groups in closed form.

    python tests/benchmarks/expectations.py [--rows 1000 100000] [--columns 20] [--groups 50 300]

First regressions under a mean-field and a full-rank Gaussian near the optimum: time of one gradient of the ELBO, and
its variance over fresh draws summed over all guide parameters, with the expected log likelihood by nodes of the linear
predictor and from ten draws. The two means are compared, in standard errors of the second. Then whole fits by
`method="stochastic"` with and without, and such of parts of the rows, against the ELBO of all rows at once. Then
deterministic mean field with and without, over some seeds: seconds, evaluations of the ELBO, and how far ELBO and log
sds are off the averages of long runs with fixed draws. Last fits of groups with a conjugate prior by the defaults, with
the groups integrated out and with the groups among the unknowns. Seconds are of processor time.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

import ppl
import ppl.inference.choose as choose
from ppl.backends import get_backend, reuse
from ppl.guides import derive_guide
from ppl.guides.derived import GAUSSIAN, Guide
from ppl.inference.deterministic.expectations import Expectations
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.mean_field import fit_mean_field
from ppl.inference.fit import run_fit
from ppl.inference.result import InferenceResult
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.target import Target
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
GROUPED = """
data N, D, G: int
data g: int(lower=0, upper=G-1)[N]
data X: real[N, D]
data y: int(lower=0)[N]
mu ~ normal(0, 2)
tau ~ half_normal(1)
plate j in G { a[j] ~ normal(mu, tau) }
b[d in D] ~ normal(0, 10)
plate n in N { y[n] ~ poisson(log_rate = a[g[n]] + X[n] @ b) }
"""
NEGATIVE_BINOMIAL = """
data N, D: int
data X: real[N, D]
data y: int(lower=0)[N]
c ~ normal(0, 5)
b[d in D] ~ normal(0, 10)
DISPERSION
plate n in N { y[n] ~ negative_binomial(log_mean = c + X[n] @ b, concentration = phi) }
"""
DRAWS, REPEATS = 10, 40
SEEDS, LONG_RUNS, LONG_PAIRS = 3, 6, 64


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


def counts(rows: int, columns: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Regressions of counts: with a group intercept, and overdispersed, by a known and an unknown dispersion."""
    rng = np.random.default_rng(rows)
    X, g = rng.standard_normal((rows, columns)), rng.integers(0, 30, rows)
    eta = X @ (0.3 * rng.standard_normal(columns) / np.sqrt(columns))
    known = {"N": rows, "D": columns, "X": X}
    y = rng.poisson(np.exp(eta + 0.5 * rng.standard_normal(30)[g]))
    yield "Poisson, 30 groups", GROUPED, {**known, "G": 30, "g": g, "y": y}
    y = rng.negative_binomial(3, 3.0 / (3.0 + np.exp(1.0 + eta)))
    for name, dispersion in (("known", "phi = 3.0"), ("unknown", "phi ~ gamma(2, 0.5)")):
        text = NEGATIVE_BINOMIAL.replace("DISPERSION", dispersion)
        yield f"negative binomial, {name} dispersion", text, {**known, "y": y}


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
    """Seconds of processor time."""
    start = time.process_time()
    found = function()
    return time.process_time() - start, found


def gradients(bound: Any, family: str, b: np.ndarray) -> tuple[float, np.ndarray]:
    """Median time of a gradient, and gradients at fresh draws (repeats, parameters)."""
    guide, backend = derive_guide(bound.plan(), family), get_backend()
    executor = Executor(guide.plan, bound.data, backend.xp)
    objective = StochasticObjective(executor, guide, backend, OBJECTIVES["elbo"].make())
    sd = np.full(len(b), 2.0 / np.sqrt(bound.data["N"]))
    parameters = guide.parameters.pack({GAUSSIAN: guide.vector.initial(b, sd)})
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


def by_fixed_draws() -> Any:
    """As if nodes never paid in the deterministic mean field."""
    return replaced(Expectations, "pays", property(lambda self: False))


def mean_field(text: str, data: dict[str, Any], seed: int) -> tuple[float, InferenceResult]:
    bound = ppl.parse(text).bind(data)
    return timed(lambda: run_fit(bound.plan(), bound.data, "mean_field", seed=seed, progress=False))


def long_run(text: str, data: dict[str, Any]) -> tuple[float, np.ndarray]:
    """The ELBO and the log sds of mean field over fixed draws, averaged over long runs."""
    bound, (_, begun) = ppl.parse(text).bind(data), mean_field(text, data, 100)
    target = Target(begun.plan, bound.data, begun.guide, get_backend())
    mean, log_sd = begun.parameters.reshape(2, -1)
    whitening, found = Whitening(mean, np.diag(np.exp(log_sd))), []
    for seed in range(LONG_RUNS):
        response = fit_mean_field(target, whitening, np.random.default_rng(1000 + seed), LONG_PAIRS)
        found.append((response.elbo, np.log(response.raw_sd)))
    return float(np.mean([elbo for elbo, _ in found])), np.mean([log_sd for _, log_sd in found], axis=0)


def compare_deterministic(rows: int, columns: int) -> None:
    for kind, text, data in [("logistic", *regression("logistic", rows, columns)[:2]), *counts(rows, columns)]:
        elbo, log_sd = long_run(text, data)
        choice = Expectations.of(derive_guide(ppl.parse(text).bind(data).plan(), "mean_field"))
        print(f"{kind}, {rows:,} rows: {choice}")
        seconds = []
        for name, how in (("as chosen", nullcontext()), ("fixed draws", by_fixed_draws())):
            with how:
                reuse.forget()
                first, _ = mean_field(text, data, SEEDS)
                fits = [mean_field(text, data, seed) for seed in range(SEEDS)]
            seconds.append(statistics.median(each for each, _ in fits))
            bounds = np.array([found.history[-1] - elbo for _, found in fits])
            sds = np.array([found.parameters[len(log_sd) :] - log_sd for _, found in fits])
            print(
                f"  {name:12} {seconds[-1]:6.2f} s (the first {first:6.2f} s), {len(fits[0][1].history)} evaluations"
                f"   ELBO off by {np.sqrt(np.mean(bounds**2)):.4f} nats   log sds by {np.sqrt(np.mean(sds**2)):.4f}, "
                f"{np.abs(sds).max():.4f} at most"
            )
        print(f"  time {seconds[0] / seconds[1]:.2f}")


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
    compare_deterministic(10_000, options.columns)
    for size in options.groups:
        compare_marginals(size)


if __name__ == "__main__":
    main()
