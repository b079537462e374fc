"""A step of stochastic variational inference: the JAX backend beside NumPyro.

    python tests/benchmarks/jax_backend.py [--steps 200] [--draws 10] [--repeats 5]

Both maximise the ELBO of a mean-field Gaussian guide with Adam, from `draws` Monte Carlo draws a step, in double
precision, many steps in one compiled loop (`lax.scan`). Ours is what `fit(method="adam", backend="jax")` calls; its
time includes drawing the noise with NumPy. Theirs is `SVI.update` in a scan. They are timed in turn after a first call
that compiles; the figures are medians. The default backend's steps are timed too. Likelihoods are collapsed where the
package's compiler does so by itself;
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from peer_models import CASES, Case

import ppl
from ppl.backends import get_backend
from ppl.guides.derived import GAUSSIAN
from ppl.inference.choose import choose_guide
from ppl.inference.stochastic.descent import Descent
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.optimisers import OPTIMISERS
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

Run = Callable[[], float]


def ours(case: Case, backend_name: str, draws: int, steps: int) -> Run:
    """Runs `steps` steps of the package; returns the last loss."""
    bound = ppl.parse(case.text).bind(case.data)
    plan, backend = bound.plan(), get_backend(backend_name)
    guide = choose_guide(plan, "mean_field")
    objective = StochasticObjective(
        Executor(plan, bound.data, backend.xp), guide, backend, OBJECTIVES["elbo"].make(), "leave_one_out"
    )
    adam = OPTIMISERS["adam"]
    descent = Descent(objective, guide, np.random.default_rng(0), draws, adam.step(1e4))
    size = guide.layout.size
    state = adam.start(guide.parameters.pack({GAUSSIAN: guide.vector.initial(np.zeros(size), np.full(size, 0.1))}))

    def run() -> float:
        nonlocal state
        done, values = 0, np.zeros(1)
        while done < steps:
            state, values, _ = descent.advance(state, 0.01, steps - done)
            done += len(values)
        return float(values[-1])

    return run


def numpyro_svi(case: Case, draws: int, steps: int) -> Run:
    """Runs `steps` steps of NumPyro; returns the last loss."""
    import jax
    from numpyro import optim
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoNormal

    model = case.numpyro()
    svi = SVI(model, AutoNormal(model, init_scale=0.1), optim.Adam(0.01), Trace_ELBO(num_particles=draws))
    state = svi.init(jax.random.PRNGKey(0))
    several = jax.jit(lambda state: jax.lax.scan(lambda s, _: svi.update(s), state, length=steps))

    def run() -> float:
        nonlocal state
        state, losses = several(state)
        return float(jax.block_until_ready(losses)[-1])

    return run


def seconds(runs: dict[str, Run], repeats: int, steps: int) -> dict[str, float]:
    """Median seconds of one step of each, timed in turn."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - began) / steps)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="", help="models with this in their name")
    arguments = parser.parse_args()
    import numpyro

    numpyro.enable_x64()
    print("| model | NumPyro SVI | ppl, jax | ratio | ppl, default backend | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for make in CASES:
        case = make()
        if arguments.only not in case.name:
            continue
        steps = arguments.steps if case.name == "eight schools" else max(20, arguments.steps // 4)
        runs = {
            "numpyro": numpyro_svi(case, arguments.draws, steps),
            "jax": ours(case, "jax", arguments.draws, steps),
            "autograd": ours(case, "autograd", arguments.draws, steps),
        }
        found = seconds(runs, arguments.repeats, steps)
        numpyro_, jax_, autograd = (1e6 * found[name] for name in ("numpyro", "jax", "autograd"))
        print(
            f"| {case.name} | {numpyro_:,.0f} µs | {jax_:,.0f} µs | {jax_ / numpyro_:.2f} "
            f"| {autograd:,.0f} µs | {autograd / numpyro_:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
