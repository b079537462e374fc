"""Peak memory and time of gradients of large models, each in a process of its own.

    OMP_NUM_THREADS=1 python tests/benchmarks/memory.py [--rows 1000000] [--draws 10]

A logistic regression with 20 columns: the figures are those of the process after it holds the data and the model, and
the most it held while it computed values and gradients of the log joint density for many draws; in blocks of rows, as
the package does, and for all rows at once.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

PROCESS = """
import resource, sys, time
import numpy as np
import ppl
from ppl.backends import get_backend
from ppl.compiler.programs import blocks
from ppl.guides.derived import derive_guide
from ppl.runtime import Executor

rows, draws, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if kind == "whole":
    blocks.LEAST = sys.maxsize
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
rng = np.random.default_rng(0)
X, y = rng.normal(size=(rows, 20)), rng.integers(0, 2, rows)
made = peak()
model = ppl.parse('''
data N, K: int
data X: real[N, K]
data y: int[N]
plate k in K { beta[k] ~ normal(0, 1) }
plate n in N { y[n] ~ bernoulli(logits = dot(X[n], beta)) }
''').bind({"X": X, "y": y})
plan = model.plan()
backend = get_backend()
executor, guide = Executor(plan, model.data, backend.xp), derive_guide(plan, "mean_field")
log_joint = backend.rows(lambda z: executor.log_joint(guide, z), draws)
bound = peak()
times = []
for _ in range(12):
    start = time.perf_counter()
    log_joint.values_and_gradients(0.1 * rng.normal(size=(draws, 20)))
    times.append(time.perf_counter() - start)
print(made, bound, peak(), float(np.median(times[8:])))
"""


def run(rows: int, draws: int, kind: str) -> tuple[float, ...]:
    """Peak MB with the data, with the model bound, at the end, and seconds of one call."""
    command = [sys.executable, "-c", PROCESS, str(rows), str(draws), kind]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return tuple(map(float, found.stdout.split()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    print(f"one array of draws times rows: {8e-6 * options.rows * options.draws:.0f} MB")
    seconds = {}
    for kind in ("blocks", "whole"):
        made, bound, peak, seconds[kind] = run(options.rows, options.draws, kind)
        print(
            f"{kind:6}: data {made:6.0f} MB, bound {bound:6.0f} MB, while it computes {peak:6.0f} MB "
            f"(+{peak - bound:.0f}), {seconds[kind]:.3f} s a gradient of {options.draws} draws"
        )
    print(f"blocks / whole: {seconds['blocks'] / seconds['whole']:.2f} in time")


if __name__ == "__main__":
    main()
