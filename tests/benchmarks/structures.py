"""Structures the reference posteriors do not cover: `ppl fit` with no options beside long NUTS runs of NumPyro.

    python tests/benchmarks/structures.py [--only NAME…] [--cache FOLDER] [--out TABLE.md]

A structure is two files under `tests/benchmarks/structures/`: NAME.ppl, the program as a user would write it, and
NAME.py with `data(rng)`, which makes the data up, and `peer(data)`, the same model in NumPyro with discrete unknowns
summed out by hand and sites under the same names. The reference is four chains in double precision, 1,000 steps each
after as many of warm-up, run on until R-hat is below 1.01 and the least effective number of draws above 4,000, or for
ten rounds. NUTS is timed by its first round. Every fit and reference is a process of its own, timed from its start;
`--cache` keeps references.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).with_suffix("")
ROOT = Path(__file__).parents[2]
ENOUGH, ROUNDS, STEPS = 4_000, 10, 1_000
VERDICTS = ("Trusted", "Usable with care", "Not trusted")
HEAD = (
    "| structure | unknowns | worst mean error / sd | sd ratio | verdict | seconds | NUTS: seconds | draws | R-hat |",
    "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
)
Moments = dict[str, dict[str, list[float]]]


@dataclass(frozen=True)
class Structure:
    """A model and its made-up data: `peer(data)` is the NumPyro model."""

    name: str
    about: str
    data: dict[str, Any]
    peer: Callable[[dict[str, Any]], None]

    @classmethod
    def read(cls, name: str) -> Structure:
        """Run NAME.py; the data come from a generator seeded by the letters of the name."""
        found = runpy.run_path(str(FOLDER / f"{name}.py"))
        data = found["data"](np.random.default_rng(list(name.encode())))
        return cls(name, found["__doc__"].strip(), data, found["peer"])


def plain(value: Any) -> Any:
    """JSON's form of an array."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def reference(name: str) -> dict[str, Any]:
    """Long chains of NUTS: moments, their effective numbers of draws, R-hat, and the seconds of the first round."""
    began = time.perf_counter()
    import jax
    import numpyro
    from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
    from numpyro.infer import MCMC, NUTS

    numpyro.enable_x64()
    structure = Structure.read(name)
    kernel = NUTS(structure.peer, target_accept_prob=0.9)
    chains = MCMC(
        kernel, num_warmup=STEPS, num_samples=STEPS, num_chains=4, chain_method="sequential", progress_bar=False
    )
    chains.run(jax.random.PRNGKey(0), structure.data)
    seconds = time.perf_counter() - began
    rounds = [chains.get_samples(group_by_chain=True)]
    for _ in range(ROUNDS):
        draws = {site: np.concatenate([np.asarray(each[site]) for each in rounds], axis=1) for site in rounds[0]}
        draws = {site: values.reshape(*values.shape[:2], -1) for site, values in draws.items()}
        with np.errstate(all="ignore"):
            worst = max(float(np.nanmax(split_gelman_rubin(values))) for values in draws.values())
            effective = {
                site: np.nan_to_num(effective_sample_size(values), nan=np.inf) for site, values in draws.items()
            }
        least = float(min(values.min() for values in effective.values()))
        if len(rounds) == ROUNDS or (worst < 1.01 and least > ENOUGH):
            break
        chains.post_warmup_state = chains.last_state
        chains.run(chains.last_state.rng_key, structure.data)
        rounds.append(chains.get_samples(group_by_chain=True))
    moments = {
        site: {"mean": values.mean((0, 1)).tolist(), "sd": values.std((0, 1)).tolist()}
        for site, values in draws.items()
    }
    return {"moments": moments, "seconds": seconds, "effective": least, "rhat": worst}


@dataclass(frozen=True)
class Row:
    """One structure, fitted and compared; `trouble` says why there is no fit."""

    name: str
    seconds: float
    truth: dict[str, Any]
    trouble: str = ""
    unknowns: int = 0
    worst: float = 0.0
    where: str = ""
    low: float = 0.0
    high: float = 0.0
    verdict: str = "-"

    def __str__(self) -> str:
        figures = f"{self.worst:.3f} ({self.where}) | {self.low:.2f}–{self.high:.2f} | {self.verdict}"
        nuts = f"{self.truth['seconds']:.0f} | {self.truth['effective']:,.0f} | {self.truth['rhat']:.3f}"
        return f"| {self.name} | {self.unknowns} | {self.trouble or figures} | {self.seconds:.1f} | {nuts} |"


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPATH": str(ROOT)
    }


def known(name: str, cache: Path) -> dict[str, Any]:
    """The reference of a structure, from the cache or from a process of its own."""
    kept = cache / f"{name}.json"
    if not kept.exists():
        command = [sys.executable, __file__, "--reference", name]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        kept.write_text(done.stdout.strip().splitlines()[-1], encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def measure(name: str, cache: Path) -> Row:
    """Fit one structure by the command line and compare."""
    truth = known(name, cache)
    with tempfile.TemporaryDirectory() as scratch:
        data, summary = Path(scratch) / "data.json", Path(scratch) / "summary.json"
        values = {key: plain(value) for key, value in Structure.read(name).data.items()}
        data.write_text(json.dumps(values), encoding="utf-8")
        model = str(FOLDER / f"{name}.ppl")
        command = [sys.executable, "-m", "ppl.cli", "fit", model, "--data", str(data), "--summary", str(summary)]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
        seconds = time.perf_counter() - began
        (cache / f"{name}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode:
            codes = sorted(set(re.findall(r"^([EW]\d{3}) ", done.stderr, re.MULTILINE)))
            return Row(name, seconds, truth, trouble=f"{', '.join(codes) or done.stderr.strip().splitlines()[-1]} | | ")
        found = json.loads(summary.read_text(encoding="utf-8"))
    verdict = next((word for word in VERDICTS if f"\n{word}" in done.stdout), "-")
    return compare(Row(name, seconds, truth, verdict=verdict), found)


def compare(row: Row, found: dict[str, dict[str, float]]) -> Row:
    """The errors of all sites that both have; elements that are known exactly (of Cholesky factors) are left out."""
    errors: dict[str, float] = {}
    ratios = []
    for site, moments in row.truth["moments"].items():
        names = [name for name in found if name.split("[")[0] == site]
        if not names:
            continue  # NUTS's own, of another parameterisation
        if len(names) != len(moments["sd"]):
            raise SystemExit(f"{row.name}: {len(names)} elements of `{site}`, NUTS has {len(moments['sd'])}")
        for name, mean, sd in zip(names, moments["mean"], moments["sd"], strict=True):
            if sd > 1e-12:
                errors[name] = abs(found[name]["mean"] - mean) / sd
                ratios.append(found[name]["sd"] / sd)
    where = max(errors, key=errors.__getitem__)
    figures = {"worst": errors[where], "where": where, "low": min(ratios), "high": max(ratios), "unknowns": len(errors)}
    return Row(row.name, row.seconds, row.truth, verdict=row.verdict, **figures)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these structures (default: all)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where references and printed fits are kept")
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="write the table to a file too")
    parser.add_argument("--reference", metavar="NAME", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reference:
        print(json.dumps(reference(arguments.reference)))
        return
    lines = list(HEAD)
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        cache = arguments.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        for name in arguments.only or sorted(path.stem for path in FOLDER.glob("*.ppl")):
            lines.append(str(measure(name, cache)))
            print(lines[-1], flush=True)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
