"""Data larger than memory: time, peak memory and distance to the full-data posterior of a fit that reads rows.

    python tests/benchmarks/streaming.py [--gigabytes 5] [--rows 1000000] [--batch 1000]

Two parts. First a logistic regression with 10 predictors and `--rows` rows, three times, each in a process of its own:
from all rows by the default method, by minibatches of arrays in memory, and by minibatches read from a file. Distances
are in units of the full-data posterior's standard deviations. Then one with 64 predictors in a file of `--gigabytes`,
against the parameters that made the data. Files go to a temporary folder and are deleted.

Peak memory is the resident set that the process reached, less that after `import ppl.program`; the page cache, which
the kernel keeps of any file and gives back when asked, is not in it: rows are read, not mapped.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

TEXT = """
data N, D: int
data X: real[N, D]
data y: bool[N]
a ~ normal(0, 5)
b[d in D] ~ normal(0, 5)
{note}plate n in N {{
  y[n] ~ bernoulli(logits = a + X[n] @ b)
}}
"""
TRUTH_SEED, CHUNK = 7, 200_000


def truth(width: int) -> np.ndarray:
    """The coefficients that make the data."""
    return 0.4 * np.random.default_rng(TRUTH_SEED).standard_normal(width)


def write(folder: Path, rows: int, width: int) -> int:
    """`X.npy` in single precision and `y.npy`, sorted by the outcome in stretches; how many bytes they have."""
    rng, b = np.random.default_rng(0), truth(width)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, width))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.uint8, (rows,))
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        part = rng.standard_normal((count, width), np.float32)
        outcome = rng.random(count) < 1.0 / (1.0 + np.exp(-(part @ b + 0.3)))
        order = np.argsort(outcome, kind="stable")
        X[start : start + count], y[start : start + count] = part[order], outcome[order]
        X.flush()
    return X.nbytes + y.nbytes


def peak() -> float:
    """MiB of resident memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def fit(folder: Path, how: str, batch: int, draws: int) -> dict[str, object]:
    """One fit and what it took."""
    import ppl.inference.fit
    import ppl.program

    before, began = peak(), time.perf_counter()
    note = "" if how == "all" else f"@minibatch({batch})\n"
    paths = {"X": folder / "X.npy", "y": folder / "y.npy"}
    data = ppl.open_data(paths) if how == "file" else {name: np.load(path) for name, path in paths.items()}
    options = {} if how == "all" else {"gradient_draws": draws}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        found = ppl.parse(TEXT.format(note=note)).fit(data, seed=1, progress=False, **options)
    return {
        "seconds": time.perf_counter() - began,
        "memory": peak() - before,
        "steps": found.run.steps,
        "stopped": found.run.stopped,
        "verdict": str(found.verdict),
        "notes": list(found.run.notes),
        "mean": found.mean("b").tolist(),
        "sd": found.sd("b").tolist(),
    }


def measured(folder: Path, how: str, batch: int, draws: int = 10) -> dict[str, object]:
    """`fit` in a process of its own."""
    command = [sys.executable, __file__, "--fit", str(folder), "--how", how, "--batch", str(batch)]
    command += ["--draws", str(draws)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def posterior(rows: int, batch: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write(folder, rows, 10)
        print(f"{rows:,} rows, 10 predictors, {size / 2**20:.0f} MiB on disk, batches of {batch:,}")
        found = {how: measured(folder, how, batch) for how in ("all", "memory", "file")}
        mean, sd = np.array(found["all"]["mean"]), np.array(found["all"]["sd"])
        for how, one in found.items():
            away = np.abs(np.array(one["mean"]) - mean) / sd
            ratio = np.array(one["sd"]) / sd
            print(
                f"  {how:6} {one['seconds']:6.1f} s  {one['memory']:6.0f} MiB  {one['steps']:6} steps  means at most "
                f"{away.max():.3f} sd away, sds {ratio.min():.3f} to {ratio.max():.3f} of it; {one['verdict']}"
            )


def large(gigabytes: float, batch: int, draws: int) -> None:
    width = 64
    rows = int(gigabytes * 1e9 / (4 * width))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free
        if free < 1.5e9 * gigabytes:
            raise SystemExit(f"{free / 1e9:.1f} GB of disk are free, {1.5 * gigabytes:.1f} are needed")
        began = time.perf_counter()
        size = write(folder, rows, width)
        print(f"{rows:,} rows, {width} predictors, {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s")
        one = measured(folder, "file", batch, draws)
        z = (np.array(one["mean"]) - truth(width)) / np.array(one["sd"])
        print(f"  {one['seconds']:.0f} s, {one['memory']:.0f} MiB, {one['steps']} steps ({one['stopped']})")
        print(f"  root mean square of (mean - truth) / sd: {np.sqrt(np.mean(z**2)):.2f}; {one['verdict']}")
        print("  " + "\n  ".join(one["notes"]))  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--large-batch", type=int, default=20_000)
    parser.add_argument("--draws", type=int, default=2, help="a step, of the second part")
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--how", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.fit is not None:
        print(json.dumps(fit(arguments.fit, arguments.how, arguments.batch, arguments.draws)))
        return
    if arguments.rows:
        posterior(arguments.rows, arguments.batch)
    if arguments.gigabytes:
        large(arguments.gigabytes, arguments.large_batch, arguments.draws)


if __name__ == "__main__":
    main()
