"""A linear regression from one pass through rows that are not in memory: seconds of each stage and peak memory.

    python tests/benchmarks/one_pass.py [--rows 10000000] [--columns 20]

The rows are read from `.npy` files, come in batches once, or are arrays in memory; each way is a process of its own,
after a fit of few rows so that neither imports nor first calls count. Times are those of the processor: `open` is
`open_data` (which makes the batches and copies them to a file) or loading the arrays, `bind` checks the numbers and
compiles, `pass` gives the statistics, `fit` is all the rest. Peak memory is the resident
set that the process reached, less that after the first fit; the page cache is not in it. How far the posterior means
are from the coefficients that made the data is the root mean square in sds, which should be about 1. Files go to a
temporary folder and are deleted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from streaming import CHUNK, peak, truth

import ppl
from ppl.compiler.collapse.statistics import statistics
from ppl.inference.fit import run_fit

MODEL = """
data N, D: int
data X: real[N, D]
data y: real[N]
a ~ normal(0, 5)
b[d in D] ~ normal(0, 5)
s ~ half_normal(5)
plate n in N {
  y[n] ~ normal(a + X[n] @ b, s)
}
"""
STAGES = ("open", "bind", "pass", "fit")
Paths = dict[str, Path]


def parts(rows: int, columns: int) -> Iterator[dict[str, np.ndarray]]:
    """The data in batches, as they would come from elsewhere: once."""
    rng, b = np.random.default_rng(0), truth(columns)
    for start in range(0, rows, CHUNK):
        X = rng.standard_normal((min(CHUNK, rows - start), columns))
        yield {"X": X, "y": X @ b + rng.standard_normal(len(X))}


def write(folder: Path, rows: int, columns: int) -> int:
    """`X.npy` and `y.npy` in double precision; how many bytes they have."""
    shapes = {"X": (rows, columns), "y": (rows,)}
    files = {n: np.lib.format.open_memmap(folder / f"{n}.npy", "w+", float, shape) for n, shape in shapes.items()}
    start = 0
    for part in parts(rows, columns):
        for name, array in part.items():
            files[name][start : start + len(array)] = array
        start += len(part["y"])
    return sum(file.nbytes for file in files.values())


OPENED: dict[str, Callable[[Paths, int, int], Mapping[str, Any]]] = {
    "rows read from files": lambda paths, rows, columns: ppl.open_data(paths),
    "batches that come once": lambda paths, rows, columns: ppl.open_data(parts(rows, columns)),
    "arrays in memory": lambda paths, rows, columns: {name: np.load(path) for name, path in paths.items()},
}


def measured(folder: Path, how: str, rows: int, columns: int) -> dict[str, float]:
    """What each stage of one fit took."""
    program, rng = ppl.parse(MODEL), np.random.default_rng(1)
    small = program.bind(ppl.open_data({"X": rng.standard_normal((200, 20)), "y": rng.standard_normal(200)}))
    run_fit(small.plan(), small.data, progress=False)
    before, laps = peak(), [time.process_time()]
    data = OPENED[how]({"X": folder / "X.npy", "y": folder / "y.npy"}, rows, columns)
    laps.append(time.process_time())
    bound = program.bind(data)
    plan = bound.plan()
    laps.append(time.process_time())
    for each in plan.collapses.values():
        statistics(each, bound.data)
    laps.append(time.process_time())
    result = run_fit(plan, bound.data, progress=False)
    laps.append(time.process_time())
    assert result.verdict.level == "trusted"
    draws, weights = result.values["b"], np.exp(result.log_weights)
    mean = np.average(draws, axis=0, weights=weights)
    sd = np.sqrt(np.average((draws - mean) ** 2, axis=0, weights=weights))
    away = float(np.sqrt(np.mean(((mean - truth(len(mean))) / sd) ** 2)))
    return {**dict(zip(STAGES, np.diff(laps).tolist(), strict=True)), "memory": peak() - before, "away": away}


def apart(*arguments: str) -> str:
    """What this script prints in a process of its own: one begins with the peak of the one that started it."""
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10**7)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--how", choices=OPENED, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write is not None:
        print(write(options.write, options.rows, options.columns))
        return
    if options.fit is not None:
        print(json.dumps(measured(options.fit, options.how, options.rows, options.columns)))
        return
    with tempfile.TemporaryDirectory() as folder:
        sizes = ["--rows", str(options.rows), "--columns", str(options.columns)]
        size = int(apart("--write", folder, *sizes))
        print(f"{options.rows:,} rows, {options.columns} columns, {size / 2**20:.0f} MiB on disk\n")
        print("| rows | open | bind | the pass | fit | memory | off by |\n| --- | --- | --- | --- | --- | --- | --- |")
        for how in OPENED:
            one = json.loads(apart("--fit", folder, "--how", how, *sizes))
            times = " | ".join(f"{one[stage]:.2f} s" for stage in STAGES)
            print(f"| {how} | {times} | {one['memory']:.0f} MiB | {one['away']:.2f} sd |", flush=True)


if __name__ == "__main__":
    main()
