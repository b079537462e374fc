"""Minibatches of many rows: time, peak memory and distance to the full-data posterior, beside NumPyro's SVI.

    python tests/benchmarks/streaming.py [--gigabytes 5] [--rows 1000000] [--batch 1000]

Two parts. First a logistic regression with 20 predictors and `--rows` rows, several times, each in a process of its
own: from all rows by the default method, by minibatches of arrays in memory, by minibatches read from a file, and by
NumPyro's SVI with the same batches, where it is installed (the extra `bench`): 10,000 steps of Adam at a rate of 0.01
on its `AutoNormal`, and 20,000 at a rate that falls from 0.005 by half a cosine on `AutoMultivariateNormal`. Distances
are in units of the full-data posterior's standard deviations. Then one with 64 predictors in a file of `--gigabytes`,
against the parameters that made the data. Files go to a temporary folder and are deleted.

Rows are sorted by the outcome within stretches of 200,000. Peak memory is the resident set that the process reached,
less that after the imports; the page cache, which the kernel keeps of any file and gives back when asked, is not in it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
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
Found = dict[str, object]


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


def written(folder: Path, rows: int, width: int) -> int:
    """`write` in a process of its own: a process begins with the peak of the one that started it, which stays small."""
    command = [sys.executable, __file__, "--write", str(folder), "--rows", str(rows), "--width", str(width)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak() -> float:
    """MiB of resident memory at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def ours(folder: Path, how: str, batch: int) -> Found:
    """One fit of the package and what it took."""
    import ppl.inference.fit
    import ppl.program

    before, began = peak(), time.perf_counter()
    note = "" if how == "all" else f"@minibatch({batch})\n"
    paths = {"X": folder / "X.npy", "y": folder / "y.npy"}
    data = ppl.open_data(paths) if how == "file" else {name: np.load(path) for name, path in paths.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ppl.UncertainFitWarning)
        found = ppl.parse(TEXT.format(note=note)).fit(data, seed=1, progress=False)
    return {
        "seconds": time.perf_counter() - began,
        "memory": peak() - before,
        "steps": found.run.steps,
        "said": f"{found.run.stopped}; {found.verdict}",
        "notes": list(found.run.notes),
        "mean": [float(found.mean("a")), *found.mean("b").tolist()],
        "sd": [float(found.sd("a")), *found.sd("b").tolist()],
    }


def numpyros(folder: Path, how: str, batch: int) -> Found:
    """One fit of NumPyro in double precision."""
    import jax
    import numpyro
    import numpyro.distributions as dist
    from jax import numpy as jnp
    from numpyro.infer import SVI, Trace_ELBO
    from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal

    numpyro.enable_x64()
    before, began = peak(), time.perf_counter()
    X, y = (jnp.asarray(np.load(folder / name), float) for name in ("X.npy", "y.npy"))

    def model() -> None:
        a = numpyro.sample("a", dist.Normal(0, 5))
        b = numpyro.sample("b", dist.Normal(0, 5).expand([X.shape[1]]).to_event(1))
        with numpyro.plate("rows", len(X), subsample_size=batch):
            part, outcome = numpyro.subsample(X, 1), numpyro.subsample(y, 0)
            numpyro.sample("y", dist.Bernoulli(logits=a + part @ b), obs=outcome)

    fixed = how == "numpyro"
    steps = 10_000 if fixed else 20_000
    guide = AutoNormal(model) if fixed else AutoMultivariateNormal(model)
    rate = 0.01 if fixed else lambda step: 0.0025 * (1.0 + jnp.cos(jnp.pi * step / steps))
    svi = SVI(model, guide, numpyro.optim.Adam(rate), Trace_ELBO())
    found = svi.run(jax.random.PRNGKey(0), steps, progress_bar=False)
    jax.block_until_ready(found.params)
    seconds, memory = time.perf_counter() - began, peak() - before
    draws = guide.sample_posterior(jax.random.PRNGKey(1), found.params, sample_shape=(20_000,))
    values = np.column_stack([draws["a"], draws["b"]])
    moments = {"mean": values.mean(axis=0).tolist(), "sd": values.std(axis=0).tolist()}
    return {"seconds": seconds, "memory": memory, "steps": steps, "said": "", "notes": [], **moments}


HOW: dict[str, tuple[str, Callable[[Path, str, int], Found]]] = {
    "all": ("all rows, default method", ours),
    "memory": ("minibatches of arrays", ours),
    "file": ("minibatches read from files", ours),
    "numpyro": ("NumPyro, fixed rate", numpyros),
    "numpyro falling": ("NumPyro, falling rate, full covariance", numpyros),
}


def measured(folder: Path, how: str, batch: int) -> Found:
    """A fit in a process of its own."""
    command = [sys.executable, __file__, "--fit", str(folder), "--how", how, "--batch", str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def posterior(rows: int, batch: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = written(folder, rows, 20)
        print(f"{rows:,} rows, 20 predictors, {size / 2**20:.0f} MiB on disk, batches of {batch:,}\n")
        print("| fit | seconds | memory | steps | means off by, sds | sds |\n| --- | --- | --- | --- | --- | --- |")
        reference = measured(folder, "all", batch)
        for how, (label, fitted) in HOW.items():
            if fitted is numpyros and importlib.util.find_spec("numpyro") is None:
                continue
            row(label, reference if how == "all" else measured(folder, how, batch), reference)


def row(label: str, one: Found, reference: Found) -> None:
    mean, sd = np.array(reference["mean"]), np.array(reference["sd"])
    away, ratio = np.abs(np.array(one["mean"]) - mean) / sd, np.array(one["sd"]) / sd
    print(
        f"| {label} | {one['seconds']:.0f} | {one['memory']:.0f} MiB | {one['steps']:,} | {away.max():.3f} | "
        f"{ratio.min():.2f} to {ratio.max():.2f} | {one['said']}",
        flush=True,
    )


def large(gigabytes: float, batch: int) -> None:
    width = 64
    rows = int(gigabytes * 1e9 / (4 * width))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        free = shutil.disk_usage(folder).free
        if free < 1.5e9 * gigabytes:
            raise SystemExit(f"{free / 1e9:.1f} GB of disk are free, {1.5 * gigabytes:.1f} are needed")
        began = time.perf_counter()
        size = written(folder, rows, width)
        print(
            f"\n{rows:,} rows, {width} predictors, {size / 1e9:.2f} GB, written in {time.perf_counter() - began:.0f} s"
        )
        one = measured(folder, "file", batch)
        z = (np.array(one["mean"])[1:] - truth(width)) / np.array(one["sd"])[1:]
        print(
            f"  {one['seconds']:.0f} s, {one['memory']:.0f} MiB, {one['steps']} steps of {batch:,} rows; {one['said']}"
        )
        print(f"  root mean square of (mean - truth) / sd: {np.sqrt(np.mean(z**2)):.2f}")
        print("  " + "\n  ".join(map(str, one["notes"])))  # type: ignore[call-overload]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--fit", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--how", choices=HOW, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--width", type=int, default=20, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write is not None:
        print(write(arguments.write, arguments.rows, arguments.width))
        return
    if arguments.fit is not None:
        fitted = HOW[arguments.how][1]
        print(json.dumps(fitted(arguments.fit, arguments.how, arguments.batch)))
        return
    if arguments.rows:
        posterior(arguments.rows, arguments.batch)
    if arguments.gigabytes:
        large(arguments.gigabytes, arguments.batch)


if __name__ == "__main__":
    main()
