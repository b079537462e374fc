"""Whole processes from start to answer: `ppl fit` beside NumPyro's SVI and NUTS, and PyMC's ADVI where it is installed.

    python tests/benchmarks/peers.py [--repeats 3] [--only eight]

Every candidate is a fresh process that has or reads the data, fits with its package's defaults, and prints means and
standard deviations. Its time is that of the whole process. Its error is the largest difference of a mean from that of
a long NUTS run, in standard deviations of that run, and the largest relative difference of a standard deviation.
NumPyro runs in double precision; SVI takes 10,000 steps of Adam with a rate of 0.01 on a mean-field or a full-rank
guide, NUTS one chain of 1,000 steps after 1,000 of warm-up. The reference is four chains of 5,000 after 2,000 of
warm-up on the non-centred form of the eight schools, and one of 2,000 after 500 on the others.

Evaluations are counted in a run of their own: gradients of one draw (a product of the Hessian with a vector counts as
one) and, with us, densities of one draw besides, which the importance weights take.
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from peer_models import Case, eight_schools, hierarchical, logistic

ROOT = Path(__file__).parents[2]
CASES: dict[str, Callable[[], Case]] = {f.__name__: f for f in (eight_schools, hierarchical, logistic)}

NUMPYRO = """
import json, sys
import numpy as np
import jax, numpyro
numpyro.enable_x64()
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoMultivariateNormal, AutoNormal
from numpyro.infer.reparam import LocScaleReparam
import peer_models

name, method, key = sys.argv[1], sys.argv[2], jax.random.PRNGKey(0)
model = getattr(peer_models, name)().numpyro()
guides = {"normal": AutoNormal, "full": AutoMultivariateNormal}
if method in guides:
    guide = guides[method](model)
    found = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO()).run(key, 10_000, progress_bar=False)
    draws, gradients = guide.sample_posterior(key, found.params, sample_shape=(4000,)), 10_000
else:
    if name == "eight_schools" and method == "reference":
        model = numpyro.handlers.reparam(model, config={"theta": LocScaleReparam(0)})
    long = (2000, 5000, 4) if name == "eight_schools" else (500, 2000, 1)
    warmup, kept, chains = long if method == "reference" else (1000, 1000, 1)
    run = MCMC(NUTS(model, target_accept_prob=0.95 if method == "reference" else 0.8), num_warmup=warmup,
               num_samples=kept, num_chains=chains, chain_method="sequential", progress_bar=False)
    run.warmup(key, collect_warmup=True, extra_fields=("num_steps",))
    gradients = int(run.get_extra_fields()["num_steps"].sum())
    run.run(key, extra_fields=("num_steps",))
    gradients += int(run.get_extra_fields()["num_steps"].sum())
    draws = run.get_samples()
kept = [n for n in draws if not n.endswith("_decentered")]
moments = {n: [np.mean(draws[n], 0).tolist(), np.std(draws[n], 0).tolist()] for n in kept}
print(json.dumps([moments, gradients]))
"""

PYMC = """
import json, sys
import numpy as np
import pymc as pm
import peer_models

data = peer_models.__dict__[sys.argv[1]]().data
with pm.Model():
    if sys.argv[1] == "eight_schools":
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfCauchy("tau", 5)
        theta = pm.Normal("theta", mu, tau, shape=len(data["y"]))
        pm.Normal("y", theta, data["sigma"], observed=data["y"])
    elif sys.argv[1] == "hierarchical":
        mu, tau = pm.Normal("mu", 0, 5), pm.HalfNormal("tau", 2)
        beta, sigma = pm.Normal("beta", 0, 2), pm.HalfNormal("sigma", 2)
        alpha = pm.Normal("alpha", mu, tau, shape=data["G"])
        pm.Normal("y", alpha[data["group"]] + beta * data["x"], sigma, observed=data["y"])
    else:
        beta = pm.Normal("beta", 0, 1, shape=data["X"].shape[1])
        pm.Bernoulli("y", logit_p=pm.math.dot(data["X"], beta), observed=data["y"])
    draws = pm.fit(10_000, method="advi", random_seed=0, progressbar=False).sample(4000).posterior
found = {n: draws[n].values.reshape(-1, *draws[n].shape[2:]) for n in draws if not n.endswith("__")}
print(json.dumps([{n: [found[n].mean(0).tolist(), found[n].std(0).tolist()] for n in found}, 10_000]))
"""

COUNTED = """
import json, sys
from ppl.inference.target import Target
import peer_models, ppl

targets, begin = [], Target.__init__

def noted(self, *arguments):
    begin(self, *arguments)
    targets.append(self)

Target.__init__ = noted
case = getattr(peer_models, sys.argv[1])()
ppl.parse(case.text).fit(case.data)
print(json.dumps([sum(t.evaluations for t in targets), sum(t.densities for t in targets)]))
"""

Moments = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Answer:
    """Seconds of a process, its moments, and how many gradients it took; 0 where they are counted elsewhere."""

    seconds: float
    moments: Moments
    gradients: int = 0


def by_package(model: Path, data: Path, *options: str) -> Answer:
    """The command `ppl fit` in a process of its own, and the moments of its summary."""
    summary = data.with_suffix(".out.json")
    arguments = ["-m", "ppl.cli", "fit", str(model), "--data", str(data), "--summary", str(summary), *options]
    seconds, _ = timed([sys.executable, *arguments])
    rows: dict[str, list[tuple[float, float]]] = {}
    for name, row in json.loads(summary.read_text(encoding="utf-8")).items():
        rows.setdefault(name.split("[")[0], []).append((row["mean"], row["sd"]))
    return Answer(seconds, {name: tuple(np.array(each).T.reshape(2, -1)) for name, each in rows.items()})  # type: ignore[misc]


def by_script(script: str, *arguments: str) -> Answer:
    """A peer in a process of its own."""
    seconds, printed = timed([sys.executable, "-c", script, *arguments])
    moments, gradients = json.loads(printed.strip().splitlines()[-1])
    return Answer(seconds, {name: (np.ravel(mean), np.ravel(sd)) for name, (mean, sd) in moments.items()}, gradients)


def timed(command: list[str]) -> tuple[float, str]:
    began = time.perf_counter()
    places = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = places
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


def written(case: Case, folder: Path) -> tuple[Path, Path]:
    """The model and its data as files for our command."""
    model, data = folder / "model.ppl", folder / "data.json"
    model.write_text(case.text, encoding="utf-8")
    plain = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in case.data.items()}
    data.write_text(json.dumps(plain), encoding="utf-8")
    return model, data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", help="models with this in their name")
    arguments = parser.parse_args()
    head = ("model", "fit", "seconds", "against ppl", "gradients", "densities", "mean, sds", "sd")
    print(f"| {' | '.join(head)} |\n| {' | '.join(['---'] * len(head))} |")
    for name, build in CASES.items():
        if arguments.only in name:
            with tempfile.TemporaryDirectory() as folder:
                compare(name, *written(build(), Path(folder)), arguments.repeats)


def compare(name: str, model: Path, data: Path, repeats: int) -> None:
    """Every candidate in turn, the medians of their times as lines of a table."""
    reference = by_script(NUMPYRO, name, "reference").moments
    counted = json.loads(timed([sys.executable, "-c", COUNTED, name])[1])
    candidates: dict[str, Callable[[], Answer]] = {
        "`ppl fit`": lambda: by_package(model, data),
        "NumPyro SVI, AutoNormal": lambda: by_script(NUMPYRO, name, "normal"),
        "NumPyro SVI, AutoMultivariateNormal": lambda: by_script(NUMPYRO, name, "full"),
        "NumPyro NUTS": lambda: by_script(NUMPYRO, name, "nuts"),
    }
    if importlib.util.find_spec("pymc") is not None:
        candidates["PyMC ADVI"] = lambda: by_script(PYMC, name)
    answers: dict[str, list[Answer]] = {label: [] for label in candidates}
    for _ in range(repeats):
        for label, run in candidates.items():
            answers[label].append(run())
    medians = {label: statistics.median(answer.seconds for answer in found) for label, found in answers.items()}
    for label, found in answers.items():
        of_mean, of_sd = errors(found[-1].moments, reference)
        gradients, densities = counted if label == "`ppl fit`" else (found[-1].gradients, 0)
        against = medians[label] / medians["`ppl fit`"]
        cells = (name, label, f"{medians[label]:.1f}", f"{against:.1f}", f"{gradients:,}", f"{densities:,}")
        print(f"| {' | '.join((*cells, f'{of_mean:.3f}', f'{100 * of_sd:.1f} %'))} |", flush=True)


if __name__ == "__main__":
    main()
