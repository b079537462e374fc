"""Whole processes from start to answer: `ppl fit` beside NumPyro's SVI and NUTS, and PyMC's ADVI where it is installed.

    python tests/benchmarks/peers.py [--repeats 3] [--rows 100000]

Every candidate is a fresh process that reads the data from a file, fits with its package's defaults, and prints means
and standard deviations. Its time is that of the whole process. Its error is the largest difference of a mean from that
of a long NUTS run, in standard deviations of that run, and the largest relative difference of a standard deviation.
NumPyro runs in double precision; SVI takes 10,000 steps of Adam with a rate of 0.01 on a mean-field guide, NUTS one
chain of 1,000 steps after 1,000 of warm-up. The reference is four chains of 5,000 after 2,000 of warm-up on the
non-centred form of the eight schools, and one of 2,000 after 500 on the logistic regression.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
SCHOOLS = json.loads((ROOT / "examples" / "eight_schools.json").read_text(encoding="utf-8"))
LOGISTIC = """data N, K: int
data X: real[N, K]
data y: boolean[N]
plate k in K { beta[k] ~ normal(0, 1) }
y ~ bernoulli(logits = X @ beta)
"""

NUMPYRO = """
import json, sys
import numpy as np
import jax, numpyro
numpyro.enable_x64()
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS, SVI, Predictive, Trace_ELBO
from numpyro.infer.autoguide import AutoNormal
from numpyro.infer.reparam import LocScaleReparam

data = {name: np.array(value) for name, value in np.load(sys.argv[1]).items()}

def eight_schools():
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("school", len(data["y"])):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, data["sigma"]), obs=data["y"])

def logistic():
    X = data["X"]
    beta = numpyro.sample("beta", dist.Normal(0, 1).expand([X.shape[1]]).to_event(1))
    with numpyro.plate("rows", len(X)):
        numpyro.sample("y", dist.Bernoulli(logits=X @ beta), obs=data["y"])

model, method, key = globals()[sys.argv[2]], sys.argv[3], jax.random.PRNGKey(0)
if method == "svi":
    guide = AutoNormal(model)
    found = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO()).run(key, 10_000, progress_bar=False)
    draws = guide.sample_posterior(key, found.params, sample_shape=(4000,))
else:
    if model is eight_schools and method == "reference":
        model = numpyro.handlers.reparam(model, config={"theta": LocScaleReparam(0)})
    long = (2000, 5000, 4) if sys.argv[2] == "eight_schools" else (500, 2000, 1)
    warmup, kept, chains = long if method == "reference" else (1000, 1000, 1)
    run = MCMC(NUTS(model, target_accept_prob=0.95 if method == "reference" else 0.8), num_warmup=warmup,
               num_samples=kept, num_chains=chains, chain_method="sequential", progress_bar=False)
    run.run(key)
    draws = run.get_samples()
names = {"eight_schools": ("mu", "tau", "theta"), "logistic": ("beta",)}[sys.argv[2]]
print(json.dumps({n: [np.mean(draws[n], 0).tolist(), np.std(draws[n], 0).tolist()] for n in names}))
"""

PYMC = """
import json, sys
import numpy as np
import pymc as pm

data = np.load(sys.argv[1])
with pm.Model():
    if sys.argv[2] == "eight_schools":
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        theta = pm.Normal("theta", mu, tau, shape=len(data["y"]))
        pm.Normal("y", theta, data["sigma"], observed=data["y"])
    else:
        beta = pm.Normal("beta", 0, 1, shape=data["X"].shape[1])
        pm.Bernoulli("y", logit_p=pm.math.dot(data["X"], beta), observed=data["y"])
    draws = pm.fit(10_000, method="advi", random_seed=0, progressbar=False).sample(4000).posterior
names = {"eight_schools": ("mu", "tau", "theta"), "logistic": ("beta",)}[sys.argv[2]]
found = {n: draws[n].values.reshape(-1, *draws[n].shape[2:]) for n in names}
print(json.dumps({n: [found[n].mean(0).tolist(), found[n].std(0).tolist()] for n in names}))
"""

Moments = dict[str, tuple[np.ndarray, np.ndarray]]


def by_package(model: Path, data: Path, *options: str) -> tuple[float, Moments]:
    """The command `ppl fit` in a process of its own: seconds, and the moments of its summary."""
    summary = data.with_suffix(".out.json")
    arguments = ["-m", "ppl.cli", "fit", str(model), "--data", str(data), "--summary", str(summary), *options]
    seconds, _ = timed([sys.executable, *arguments])
    rows: dict[str, list[tuple[float, float]]] = {}
    for name, row in json.loads(summary.read_text(encoding="utf-8")).items():
        rows.setdefault(name.split("[")[0], []).append((row["mean"], row["sd"]))
    return seconds, {name: tuple(np.array(each).T.reshape(2, -1)) for name, each in rows.items()}  # type: ignore[misc]


def by_script(script: str, *arguments: str) -> tuple[float, Moments]:
    """A peer in a process of its own."""
    seconds, printed = timed([sys.executable, "-c", script, *arguments])
    found = json.loads(printed.strip().splitlines()[-1])
    return seconds, {name: (np.ravel(mean), np.ravel(sd)) for name, (mean, sd) in found.items()}


def timed(command: list[str]) -> tuple[float, str]:
    began = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, done.stdout


def errors(found: Moments, reference: Moments) -> tuple[float, float]:
    """The largest error of a mean in standard deviations, and the largest relative one of a standard deviation."""
    of_means, of_sds = [], []
    for name, (mean, sd) in reference.items():
        of_means.append(np.max(np.abs(found[name][0] - mean) / sd))
        of_sds.append(np.max(np.abs(found[name][1] / sd - 1.0)))
    return float(max(of_means)), float(max(of_sds))


def prepared(folder: Path, rows: int) -> dict[str, tuple[Path, Path, Path]]:
    """For each model its text, its data as our command reads them, and as the peers do."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(rows, 20)) / np.sqrt(20)
    y = (rng.logistic(size=rows) < X @ rng.normal(size=20)).astype(int)
    found = {}
    schools = {name: np.array(SCHOOLS[name], float) for name in ("y", "sigma")}
    for name, text, data, arrays in (
        ("eight_schools", (ROOT / "examples" / "eight_schools.ppl").read_text(encoding="utf-8"), SCHOOLS, schools),
        ("logistic", LOGISTIC, {"N": rows, "K": 20, "X": X.tolist(), "y": y.tolist()}, {"X": X, "y": y}),
    ):
        model, ours, theirs = (folder / f"{name}{suffix}" for suffix in (".ppl", ".json", ".npz"))
        model.write_text(text, encoding="utf-8")
        ours.write_text(json.dumps(data), encoding="utf-8")
        np.savez(theirs, **arrays)
        found[name] = model, ours, theirs
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default="", help="models with this in their name")
    arguments = parser.parse_args()
    print("| model | fit | seconds | against ppl | mean, sds | sd |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, (model, ours, theirs) in prepared(Path(folder), arguments.rows).items():
            if arguments.only not in name:
                continue
            _, reference = by_script(NUMPYRO, str(theirs), name, "reference")
            candidates = {
                "`ppl fit`": lambda model=model, ours=ours: by_package(model, ours),
                "`ppl fit --backend jax`": lambda model=model, ours=ours: by_package(model, ours, "--backend", "jax"),
                "NumPyro SVI": lambda theirs=theirs, name=name: by_script(NUMPYRO, str(theirs), name, "svi"),
                "NumPyro NUTS": lambda theirs=theirs, name=name: by_script(NUMPYRO, str(theirs), name, "nuts"),
            }
            if importlib.util.find_spec("pymc") is not None:
                candidates["PyMC ADVI"] = lambda theirs=theirs, name=name: by_script(PYMC, str(theirs), name)
            report(name, candidates, reference, arguments.repeats)


def report(name: str, candidates: dict, reference: Moments, repeats: int) -> None:
    """Every candidate in turn, the medians of their times as lines of a table."""
    times: dict[str, list[float]] = {label: [] for label in candidates}
    moments: dict[str, Moments] = {}
    for _ in range(repeats):
        for label, run in candidates.items():
            seconds, moments[label] = run()
            times[label].append(seconds)
    base = statistics.median(times["`ppl fit`"])
    for label in candidates:
        of_mean, of_sd = errors(moments[label], reference)
        median = statistics.median(times[label])
        cells = (name, label, f"{median:.1f}", f"{median / base:.1f}", f"{of_mean:.3f}", f"{100 * of_sd:.1f} %")
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
