"""Cold start: from process start to `import ppl`, and to a fitted eight schools, as ratios.

    python tests/benchmarks/cold_start.py [--rounds 7]

Each round starts every process once, in turn, so that a slow spell of the machine hits all of them; the figures are
medians over the rounds. One round before them warms the file cache and is not counted. At the end stand the packages
that take longest to import in a fit, each without those that it imports.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
FIT = f"""
from ppl.cli import main
main(["fit", {str(EXAMPLES / "eight_schools.ppl")!r}, "--data", {str(EXAMPLES / "eight_schools.json")!r}])
"""
PROCESSES = {
    "import numpy": "import numpy",
    "import ppl": "import ppl",
    "import scipy.optimize": "import scipy.optimize",
    "ppl fit eight_schools": FIT,
}
RATIOS = (  # of what, against what, at most
    ("import ppl", "import numpy", 1.5),
    ("ppl fit eight_schools", "import scipy.optimize", 2.0),
)


ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
"""With the compiled files that an installed package has."""


def seconds(code: str) -> float:
    """Wall time of a fresh Python process that runs `code`."""
    start = time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    subprocess.run([sys.executable, "-c", code], check=True, env=ENVIRONMENT, **quiet)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in PROCESSES}
    for counted in [False] + [True] * rounds:
        for name, code in PROCESSES.items():
            elapsed = seconds(code)
            if counted:
                times[name].append(elapsed)
    return {name: statistics.median(values) for name, values in times.items()}


def slowest_imports(code: str, most: int = 5) -> list[tuple[str, float]]:
    """Packages by the seconds that importing their own modules takes in a process that runs `code`."""
    command = [sys.executable, "-X", "importtime", "-c", code]
    log = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stderr
    totals: dict[str, float] = {}
    for line in log.splitlines():
        own, _, name = line.removeprefix("import time:").split("|") if line.count("|") == 2 else ("", "", "")
        if own.strip().isdigit():
            parts = name.strip().split(".")
            package = ".".join(parts[:2]) if parts[0] in ("scipy", "ppl", "numpy") else parts[0]
            totals[package] = totals.get(package, 0.0) + 1e-6 * int(own)
    return sorted(totals.items(), key=lambda item: -item[1])[:most]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    medians = measure(parser.parse_args().rounds)
    for name, median in medians.items():
        print(f"{name:24} {1e3 * median:8.0f} ms")
    within = True
    for name, against, limit in RATIOS:
        ratio = medians[name] / medians[against]
        within = within and ratio <= limit
        print(f"{name} / {against}: {ratio:.2f} (at most {limit})")
    slowest = ", ".join(f"{name} {1e3 * spent:.0f} ms" for name, spent in slowest_imports(FIT))
    print(f"slowest imports of a fit: {slowest}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
