"""A linear regression, or a mixture of counts, of 10³, 10⁵ and 10⁷ rows: what is done once, what a fit then takes, and
peak memory.

    python tests/benchmarks/collapse.py [mixture] [--rows 1000 100000 10000000] [--columns 4] [--untouched 100000]

Each size runs in a process of its own, after a warm-up on a hundred rows, so that neither imports nor another size's
memory count. `bind` checks the data, `plan` compiles, `pass` is the one pass over the data that gives the statistics;
`fit` is everything after it. The gradient is that of 64 draws of the log density, collapsed and, up to `--untouched`
rows, as it stands; the two are compared there.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import ppl
from ppl.backends import get_backend
from ppl.compiler.collapse.statistics import statistics as statistics_of
from ppl.inference.choose import choose_guide
from ppl.inference.fit import run_fit
from ppl.inference.target import Target

REGRESSION = """
data N, D: int
data X: real[N, D]
data y: real[N]
intercept ~ normal(0, 10)
slope[d in D] ~ normal(0, 10)
sigma ~ half_normal(10)
y ~ normal(intercept + X @ slope, sigma)
"""
DRAWS, REPEATS = 64, 21


def made_up(rows: int, columns: int) -> dict[str, Any]:
    rng = np.random.default_rng(rows)
    X = rng.standard_normal((rows, columns))
    y = rng.standard_normal(rows)
    y *= 2.0
    y += X @ np.arange(1.0, columns + 1.0) + 3.0
    return {"N": rows, "D": columns, "X": X, "y": y}


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = function()
    return time.perf_counter() - start, found


MIXTURE = """
data N: int
data y: int(lower=0)[N]
w ~ dirichlet([1, 1])
rate ~ ordered(gamma(2, 0.2), 2)
plate n in N {
  z[n] ~ categorical(w)
  y[n] ~ poisson(rate[z[n]])
}
"""


def counts(rows: int, columns: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    return {"y": rng.poisson(np.where(rng.random(rows) < 0.3, 2.0, 9.0))}


MODELS = {"regression": (REGRESSION, made_up), "mixture": (MIXTURE, counts)}


def memory() -> float:
    """Peak memory of the process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fitted(plan: Any, data: Any) -> Any:
    return run_fit(plan, data, progress=False)


def one_size(model: str, rows: int, columns: int, untouched: bool) -> dict[str, float]:
    """The figures of one size: seconds, MiB and the worst relative difference between the two gradients."""
    text, made = MODELS[model]
    program = ppl.parse(text)
    small = program.bind(made(100, columns))
    fitted(small.plan(), small.data)
    data = made(rows, columns)
    before = memory()
    found: dict[str, float] = {}
    found["bind"], bound = timed(lambda: program.bind(data))
    found["bound"] = memory() - before
    found["plan"], plan = timed(bound.plan)
    found["pass"], _ = timed(lambda: [statistics_of(each, bound.data) for each in plan.collapses.values()])
    found["fit"], result = timed(lambda: fitted(plan, bound.data))
    assert result.verdict.level == "trusted"
    found["fitted"] = memory() - before - found["bound"]
    found["data"] = sum(np.asarray(array).nbytes for array in data.values()) / 2**20
    guide = choose_guide(plan, "auto")
    points = 0.1 * np.random.default_rng(0).standard_normal((DRAWS, guide.layout.size))
    plans = [plan, replace(plan, collapses={}, counted={})] if untouched else [plan]
    gradients = []
    for name, each in zip(("collapsed", "untouched"), plans, strict=False):
        target = Target(each, bound.data, guide, get_backend())
        gradients.append(target.gradient(points))
        found[name] = statistics.median(timed(lambda: target.gradient(points))[0] for _ in range(REPEATS))  # noqa: B023
    found["difference"] = float(np.max(np.abs(gradients[0] - gradients[-1])) / np.max(np.abs(gradients[0])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", choices=MODELS, default="regression")
    parser.add_argument("--rows", type=int, nargs="+", default=[10**3, 10**5, 10**7])
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--untouched", type=int, default=10**5)
    parser.add_argument("--one", action="store_true", help="measure the first size here and print JSON")
    options = parser.parse_args()
    if options.one:
        rows = options.rows[0]
        print(json.dumps(one_size(options.model, rows, options.columns, rows <= options.untouched)))
        return
    print(
        "      rows     bind     plan     pass      fit  gradient: collapsed  untouched   data, +bind, +the rest (MiB)"
    )
    for rows in options.rows:
        arguments = [
            options.model,
            "--rows",
            str(rows),
            "--columns",
            str(options.columns),
            "--untouched",
            str(options.untouched),
        ]
        done = subprocess.run([sys.executable, __file__, "--one", *arguments], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout)
        seconds = "".join(f"{found[name]:8.3f}s" for name in ("bind", "plan", "pass", "fit"))
        beside = f"{1e6 * found['untouched']:8.0f} us" if "untouched" in found else "          -"
        print(f"{rows:10,}{seconds}{1e6 * found['collapsed']:16.0f} us {beside}"
              f"{found['data']:8.0f} {found['bound']:6.0f} {found['fitted']:6.0f}")  # fmt: skip
        if "untouched" in found:
            print(f"{'':10} gradients agree to {found['difference']:.1e}")


if __name__ == "__main__":
    main()
