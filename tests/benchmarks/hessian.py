"""Exact Hessians against central differences of staged gradients, and mean field above 1,500 unknowns.

    OMP_NUM_THREADS=1 python tests/benchmarks/hessian.py [--draws 1 32] [--groups 1600]

The table has for each model under `examples/` and in `gradient_models.py` the time of the whole Hessian at some draws
by exact products, as a ratio of that by differences (2 gradients a column, staged too), the time that staging takes,
and the largest difference of the two in units of the largest element. Then a hierarchical model with so many groups is
fitted by mean field, and the corrected sd of its mean compared with that of the conditional guide.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import gradient_models

import ppl
from ppl.backends import get_backend
from ppl.guides.derived import derive_guide
from ppl.inference.target import Target

EXAMPLES = Path(__file__).parents[2] / "examples"
COLUMNS = 60
"""Of Hessians of more unknowns, so many are timed and the time is scaled."""
GROUPS = """
data N: int
data K: int
data g: int(lower=0, upper=K-1)[N]
data y: real[N]
mu ~ normal(0, 5)
tau ~ half_normal(2)
sigma ~ half_normal(2)
plate k in K { alpha[k] ~ normal(mu, tau) }
plate n in N { y[n] ~ normal(alpha[g[n]], sigma) }
"""


def models() -> Iterator[tuple[str, Any]]:
    """Names and bound models."""
    for path in sorted(EXAMPLES.rglob("*.ppl")):
        data = path.with_suffix(".json")
        if data.exists():
            yield path.stem, ppl.load(path).bind(json.loads(data.read_text(encoding="utf-8")))
    for name, make in gradient_models.CASES.items():
        case = make()
        yield name, ppl.parse(case.text).bind(case.data)


def seconds(run: Callable[[], Any], times: int = 5) -> float:
    """The best of some calls, after two."""
    run(), run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def compare(name: str, bound: Any, draws: int) -> str:
    plan = bound.plan()
    if plan.scored or plan.factored or plan.model.params or not plan.continuous:
        return ""
    target = Target(plan, bound.data, derive_guide(plan, "mean_field"), get_backend())
    rows = 0.3 * np.random.default_rng(0).normal(size=(draws, target.dim))
    axes = np.eye(target.dim)[:COLUMNS, None]
    for _ in range(8):
        target.gradient(np.repeat(rows, 2 * len(axes), axis=0))
    start = time.perf_counter()
    found = target.products(rows, axes)
    staging = time.perf_counter() - start
    if found is None:
        return f"| {name} | {target.dim} | {draws} | differences: {target.inexact} | | |"
    step = np.full(target.dim, 1e-4)

    def differences() -> np.ndarray:
        points = rows + 1e-4 * np.concatenate([axes, -axes])
        after, before = target.gradient(points.reshape(-1, target.dim)).reshape(2, len(axes), draws, target.dim)
        return (after - before) / (2.0 * step)

    near = differences()
    error = np.nanmax(np.abs(near - found)) / np.nanmax(np.abs(found))
    ratio = seconds(lambda: target.products(rows, axes)) / seconds(differences)
    return f"| {name} | {target.dim} | {draws} | {ratio:.2f} | {1e3 * staging:.0f} ms | {error:.0e} |"


def wide(groups: int) -> str:
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(groups), 8)
    data = {"N": len(g), "K": groups, "g": g, "y": rng.normal(1, 0.7, groups)[g] + rng.normal(size=len(g))}
    program = ppl.parse(GROUPS)
    start = time.perf_counter()
    found = program.fit(data, guide="mean_field", progress=False)
    taken = time.perf_counter() - start
    start = time.perf_counter()
    exact = program.fit(data, progress=False)
    other = time.perf_counter() - start
    mu = next(each for each in found.run.corrections if each.name == "mu")
    return (
        f"{groups} groups: mean field {taken:.1f} s, conditional guide {other:.1f} s; sd of mu {mu.raw:.4f}, corrected "
        f"{mu.corrected:.4f}, by the conditional guide {float(exact.sd('mu')):.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--groups", type=int, default=1600)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| model | unknowns | draws | exact / differences | staging | difference |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with np.errstate(all="ignore"):
        for name, bound in models():
            for draws in options.draws:
                line = compare(name, bound, draws)
                if line:
                    print(line, flush=True)
    print(wide(options.groups))


if __name__ == "__main__":
    main()
