"""Accuracy: fits of the reference posteriors by the command line, beside their references, as a Markdown table.

    python tests/benchmarks/accuracy.py [POSTERIOR…] [--out TABLE.md] [--guide G] [--seed 0]

The environment variable PPL_POSTERIORDB names the folder of references; without POSTERIOR every one with a model under
`examples/posteriordb` is fitted. Each fit is a process of its own and is timed from its start. Errors of means
are in reference standard deviations; the verdict is what the fit says of itself.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

MODELS = Path(__file__).parents[2] / "examples" / "posteriordb"
RUN = "import sys; from ppl.cli import main; sys.exit(main())"
VERDICTS = ("Trusted", "Usable with care", "Not trusted")
HEAD = (
    "| posterior | worst mean error / sd | sd ratio | k-hat | verdict | seconds |",
    "| --- | ---: | ---: | ---: | --- | ---: |",
)


@dataclass(frozen=True)
class Row:
    """One fit: `trouble` says why there is none."""

    posterior: str
    seconds: float
    trouble: str = ""
    worst: float = 0.0
    where: str = ""
    low: float = 0.0
    high: float = 0.0
    khat: str = "-"
    verdict: str = "-"

    def __str__(self) -> str:
        if self.trouble:
            return f"| {self.posterior} | {self.trouble} | | | | {self.seconds:.1f} |"
        figures = f"{self.worst:.3f} ({self.where}) | {self.low:.2f}–{self.high:.2f} | {self.khat} | {self.verdict}"
        return f"| {self.posterior} | {figures} | {self.seconds:.1f} |"


def measure(posterior: str, folder: Path, options: list[str], limit: float) -> Row:
    """Fit one posterior in a process of its own and compare."""
    with tempfile.TemporaryDirectory() as scratch:
        summary = Path(scratch) / "summary.json"
        model, data = MODELS / f"{posterior}.ppl", folder / posterior / "data.json"
        arguments = ["fit", str(model), "--data", str(data), "--base", "1", "--summary", str(summary), *options]
        start = time.perf_counter()
        try:
            done = subprocess.run(
                [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return Row(posterior, limit, f"no result within {limit:.0f} s")
        seconds = time.perf_counter() - start
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            codes = re.findall(r"^([EW]\d{3}) ", done.stderr, re.MULTILINE)
            return Row(posterior, seconds, ", ".join(sorted(set(codes))) or lines[-1].replace("|", "/"))
        found = json.loads(summary.read_text(encoding="utf-8"))
    reference = json.loads((folder / posterior / "reference.json").read_text(encoding="utf-8"))
    return compare(posterior, seconds, found, reference, done.stdout)


def compare(posterior: str, seconds: float, found: dict, reference: dict, printed: str) -> Row:
    names = {name: re.sub(r"\d+(?=[,\]])", lambda index: str(int(index[0]) - 1), name) for name in reference}
    missing = [name for name in names.values() if name not in found]
    if missing:
        return Row(posterior, seconds, f"no `{missing[0]}` in the summary")
    errors, ratios = {}, []
    for name, own in names.items():
        sd = reference[name]["sd"]
        errors[own] = abs(found[own]["mean"] - reference[name]["mean"]) / sd
        ratios.append(found[own]["sd"] / sd)
    where = max(errors, key=errors.__getitem__)
    khat = re.search(r"k-hat\s+(-?[\d.]+\d)", printed)
    rhat = re.search(r"R-hat\s+([\d.]+\d)", printed)
    verdict = next((word for word in VERDICTS if f"\n{word}" in printed), "-")
    return Row(
        posterior, seconds, worst=errors[where], where=where, low=min(ratios), high=max(ratios),
        khat=khat[1] if khat else f"R-hat {rhat[1]}" if rhat else "-", verdict=verdict,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("posteriors", nargs="*", metavar="POSTERIOR", help="a folder name (default: all with a model)")
    parser.add_argument("--out", type=Path, metavar="TABLE.md", help="write the table to a file too")
    parser.add_argument("--guide", default="auto")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds allowed for one fit (default: 300)")
    arguments = parser.parse_args()
    place = os.environ.get("PPL_POSTERIORDB")
    if not place:
        parser.error("set PPL_POSTERIORDB to the folder of reference posteriors")
    folder = Path(place)
    known = sorted(path.parent.name for path in folder.glob("*/reference.json"))
    chosen = arguments.posteriors or [name for name in known if (MODELS / f"{name}.ppl").exists()]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        parser.error(f"no reference for {', '.join(unknown)}")
    options = ["--guide", arguments.guide, "--seed", arguments.seed]
    lines = list(HEAD)
    print("\n".join(lines), flush=True)
    for name in chosen:
        lines.append(str(measure(name, folder, options, arguments.limit)))
        print(lines[-1], flush=True)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
