"""Gradient estimators of discrete latents: variance and time of one gradient, ours beside NumPyro's and Pyro's.

    python tests/benchmarks/estimators.py [--draws 10] [--repeats 1000] [--without-peers]

Every estimator is asked for the gradient of the same ELBO at the same guide parameters, after 300 steps of Adam from
the default start, with as many draws (particles). The variance is summed over the guide parameters of the scored sites,
and over the others. A mean that differs from ours by more than chance (once in 100,000) is marked "wrong".
Learned baselines are trained for 500 steps first, Pyro's decaying averages for 100. Times are medians of one gradient,
random numbers included, all taken in turn: ours and Pyro's in a Python loop, NumPyro's inside one compiled loop. The
peers are the package's extra `bench`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from estimator_models import CASES, Comparison, Peer

import ppl
from ppl.backends import get_backend
from ppl.guides import Guide, derive_guide
from ppl.inference.fit import run_fit
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.model.plan import Plan
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

Gradients = Callable[[int], dict[str, np.ndarray]]
"""So many independent gradients of the ELBO: (repeats, *shape) by name of the parameter."""
STEPS, TIMED = 300, 50
BASELINE_STEPS, BASELINE_RATE = 500, 0.05


@dataclass(frozen=True)
class Row:
    """One estimator: variance of the scored sites' parameters and of the others, seconds, whether its mean is right."""

    name: str
    scored: float
    others: float
    seconds: float
    right: bool


def split(guide: Guide, vector: np.ndarray) -> dict[str, np.ndarray]:
    """The named guide parameters in flat vectors (…, size); of the Gaussian those of each site, in the order of the
    layout.
    """
    found = {}
    for name, part in guide.parameters.unpack(np, vector).items():
        if name != "gaussian block":
            found[name] = part
            continue
        halves = zip(("loc", "log_scale"), np.split(part, 2, axis=-1), strict=True)
        for kind, half in halves:
            found |= {f"{site} {kind}": value for site, value in guide.layout.unpack(np, half).items()}
    return found


def ours(plan: Plan, data: Mapping[str, Any], given: Mapping[str, np.ndarray], draws: int, baseline: str) -> Gradients:
    """The package's estimator for this plan, at the given parameters."""
    guide, backend, rng = derive_guide(plan, "mean_field"), get_backend(), np.random.default_rng(0)
    objective = StochasticObjective(
        Executor(plan, data, backend.xp), guide, backend, OBJECTIVES["elbo"].make(), baseline
    )
    parameters = joined(guide, given)
    size = len(parameters)
    start = objective.start(parameters, objective.noise(rng, parameters, 100))
    for _ in range(BASELINE_STEPS if baseline == "learned" else 0):
        gradient = objective.value_and_grad(start, objective.noise(rng, parameters, draws))[1]
        start[size:] -= BASELINE_RATE * gradient[size:]

    def run(repeats: int) -> dict[str, np.ndarray]:
        rows = [
            -objective.value_and_grad(start, objective.noise(rng, parameters, draws))[1][:size] for _ in range(repeats)
        ]
        return split(guide, np.array(rows))

    return run


def joined(guide: Guide, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """The inverse of `split`."""
    sites = [entry.name for entry in guide.layout.entries]
    block = [guide.layout.pack({site: given[f"{site} {kind}"] for site in sites}) for kind in ("loc", "log_scale")]
    return guide.parameters.pack({**given, "gaussian block": np.concatenate(block)})


def without_rao_blackwell(plan: Plan) -> Plan:
    """Every cost weighs on every element of every scored site."""
    every = frozenset(site.name for site in plan.scored)
    return replace(plan, costs=tuple(replace(cost, depends=cost.depends | every, local={}) for cost in plan.costs))


def numpyro_estimators(case: Comparison, given: Mapping[str, np.ndarray], draws: int) -> dict[str, Gradients]:
    """Its three ELBOs, each a scan over keys, compiled."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO

    numpyro.enable_x64()
    peer = Peer(numpyro.sample, numpyro.plate, dist, jnp.asarray, jnp.exp)
    point = {name: jnp.asarray(value) for name, value in given.items()}

    def estimator(elbo: Any, enumerate: bool) -> Gradients:
        def guide() -> None:
            parameters = {name: numpyro.param(name, value) for name, value in point.items()}
            case.guide(peer, parameters, enumerate, {})

        def model() -> None:
            case.model(peer, {"enumerate": "parallel"} if enumerate else {})

        def gradient(parameters: dict[str, Any], key: Any) -> Any:
            return jax.grad(lambda given: -elbo.loss(key, given, model, guide))(parameters)

        several = jax.jit(lambda keys: jax.lax.map(lambda key: gradient(point, key), keys))
        keys = jax.random.PRNGKey(0)

        def run(repeats: int) -> dict[str, np.ndarray]:
            nonlocal keys
            keys, fresh = jax.random.split(keys)
            found = several(jax.random.split(fresh, repeats))
            return {name: np.asarray(value) for name, value in found.items()}

        return run

    found = {
        "NumPyro, Trace_ELBO": estimator(Trace_ELBO(num_particles=draws), False),
        "NumPyro, TraceGraph_ELBO": estimator(TraceGraph_ELBO(num_particles=draws), False),
    }
    if case.summed:
        found["NumPyro, TraceEnum_ELBO"] = estimator(TraceEnum_ELBO(num_particles=draws), True)
    return found


def pyro_estimators(case: Comparison, given: Mapping[str, np.ndarray], draws: int) -> dict[str, Gradients]:
    """Its ELBOs, particles vectorised; the second with its decaying average as a baseline, warmed up."""
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer import Trace_ELBO, TraceEnum_ELBO, TraceGraph_ELBO

    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    peer = Peer(pyro.sample, pyro.plate, dist, lambda x: torch.as_tensor(np.asarray(x)), torch.exp)

    def estimator(elbo: Any, enumerate: bool, baseline: bool, tag: str) -> Gradients:
        infer = {"baseline": {"use_decaying_avg_baseline": True, "baseline_beta": 0.95}} if baseline else {}

        def guide() -> None:
            parameters = {name: pyro.param(f"{tag} {name}", torch.tensor(value)) for name, value in given.items()}
            case.guide(peer, parameters, enumerate, infer)

        def model() -> None:
            case.model(peer, {"enumerate": "parallel"} if enumerate else {})

        def once() -> dict[str, np.ndarray]:
            elbo.loss_and_grads(model, guide)
            found = {}
            for name, value in given.items():
                parameter = pyro.param(f"{tag} {name}")
                found[name] = np.zeros(np.shape(value)) if parameter.grad is None else -parameter.grad.numpy().copy()
                parameter.grad = None
            return found

        for _ in range(100 if baseline else 1):
            once()

        def run(repeats: int) -> dict[str, np.ndarray]:
            rows = [once() for _ in range(repeats)]
            return {name: np.stack([row[name] for row in rows]) for name in given}

        return run

    many: dict[str, Any] = {"num_particles": draws, "vectorize_particles": True, "max_plate_nesting": 1}
    found = {
        "Pyro, Trace_ELBO": estimator(Trace_ELBO(**many), False, False, "trace"),
        "Pyro, TraceGraph_ELBO": estimator(TraceGraph_ELBO(**many), False, False, "graph"),
        "Pyro, TraceGraph_ELBO, baseline": estimator(TraceGraph_ELBO(**many), False, True, "baseline"),
    }
    if case.summed:
        found["Pyro, TraceEnum_ELBO"] = estimator(TraceEnum_ELBO(**many), True, False, "enum")
    return found


def compared(case: Comparison, draws: int, repeats: int, peers: bool) -> list[Row]:
    bound = ppl.parse(case.text).bind(case.data)
    plan, data = bound.plan(), bound.data
    guide = derive_guide(plan, "mean_field")
    options = {"steps": STEPS, "gradient_draws": draws}
    fitted = run_fit(plan, data, guide="mean_field", method="adam", progress=False, options=options)
    given = split(guide, fitted.parameters)
    whole = without_rao_blackwell(plan)
    runs = {
        "ppl, plain": ours(whole, data, given, draws, "none"),
        "ppl, leave-one-out": ours(whole, data, given, draws, "leave_one_out"),
        "ppl, Rao-Blackwellised": ours(plan, data, given, draws, "none"),
        "ppl, Rao-Blackwellised, learned baseline": ours(plan, data, given, draws, "learned"),
        "ppl, Rao-Blackwellised, leave-one-out (default)": ours(plan, data, given, draws, "leave_one_out"),
    }
    if case.summed:
        summed = ppl.parse(case.summed).bind(case.data)
        runs["ppl, enumerated (default)"] = ours(summed.plan(), summed.data, given, draws, "leave_one_out")
    if peers:
        runs |= numpyro_estimators(case, given, draws) | pyro_estimators(case, given, draws)
    return measured(runs, {f"{site.name}:" for site in plan.scored}, repeats)


def measured(runs: Mapping[str, Gradients], scored: set[str], repeats: int) -> list[Row]:
    found = {name: run(repeats) for name, run in runs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(TIMED)  # compiles for this length
    for _ in range(5):
        for name, run in runs.items():
            began = time.perf_counter()
            run(TIMED)
            times[name].append((time.perf_counter() - began) / TIMED)
    reference = found["ppl, Rao-Blackwellised, leave-one-out (default)"]
    rows = []
    for name, gradients in found.items():
        by_kind = {True: 0.0, False: 0.0}
        for parameter, values in gradients.items():
            own = any(parameter.startswith(site) for site in scored)
            by_kind[own] += float(np.sum(np.var(values, axis=0, ddof=1)))
        exact = "enum" in name.lower()
        right = exact or all(agree(values, reference[parameter]) for parameter, values in gradients.items())
        rows.append(Row(name, by_kind[True], by_kind[False], statistics.median(times[name]), right))
    return rows


def agree(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the means of independent gradients (repeats, *shape) agree, by the sum of squared standard errors."""
    from scipy.stats import chi2

    error = np.sqrt(one.var(axis=0, ddof=1) / len(one) + other.var(axis=0, ddof=1) / len(other))
    off = (one.mean(axis=0) - other.mean(axis=0)) / np.maximum(error, 1e-9)
    return float(np.sum(off**2)) < chi2.isf(1e-5, off.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--only", default="", help="part of the name of a model")
    options = parser.parse_args()
    for make in CASES:
        case = make()
        if options.only not in case.name:
            continue
        rows = compared(case, options.draws, options.repeats, not options.without_peers)
        unit = next(row for row in rows if "leave-one-out (default)" in row.name)
        print(f"\n{case.name}\n")
        print("| estimator | variance, scored sites | ratio | others | ratio | time | ratio |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for row in rows:
            name = row.name if row.right else f"{row.name}: wrong"
            cells = [name]
            for value, base in ((row.scored, unit.scored), (row.others, unit.others)):
                cells += [f"{value:.3g}", f"{value / base:.2g}"] if base else ["-", "-"]
            cells += [f"{1e6 * row.seconds:,.0f} µs", f"{row.seconds / unit.seconds:.2g}"]
            print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
