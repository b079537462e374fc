"""Methods of the ladder, each by itself, on posteriors that one Gaussian does not fit. Run it by hand:

    python tests/benchmarks/ladder.py [NAME…]

Verdict, error of the log evidence where that is known, and seconds: the table of `docs/decisions/0008-the-ladder.md`.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np

import ppl
from ppl.backends import get_backend
from ppl.inference import rungs
from ppl.inference.choose import choose_guide
from ppl.inference.learned import hamiltonian
from ppl.inference.methods import Task, full_gaussian
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress
from ppl.inference.verdict import judge

FOUR = "a[k in 2] ~ normal(0, 1)\nb[k in 2] ~ normal(0, 1)\nmu = a[0] * b[0] + a[1] * b[1]\n"
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)
MODELS: dict[str, tuple[str, float | None]] = {
    "bent": ("x ~ normal(1, 1)\nz ~ flat()\nfactor f = -20 * (z - x^2)^2\n", 0.5 * math.log(math.pi / 20.0)),
    "pinched": ("a ~ normal(0, 3)\nb ~ flat()\nfactor f = -0.5 * b^2 * exp(-a) - 0.5 * a\n", HALF_LOG_TWO_PI),
    "products": (FOUR + "factor f = -0.5 * 20 * ((mu - 1) / 0.3)^2\n", None),
    "cauchy": ("x[k in 5] ~ cauchy(0, 1)\n", 0.0),
    "laplace": ("x[k in 20] ~ laplace(0, 1)\n", 0.0),
    "student t": ("x[k in 30] ~ student_t(3, 0, 1)\n", 0.0),
    "skewed": ("x[k in 40] ~ gamma(0.7, 1)\n", 0.0),
}
METHODS: dict[str, Callable[[Task], Outcome | None]] = {
    "Gaussian": full_gaussian, "mixture": rungs.mixture, "chains": hamiltonian, "flow": rungs.flow
}  # fmt: skip


def cell(method: Callable[[Task], Outcome | None], task: Task, known: float | None) -> tuple[str, Outcome | None]:
    """Verdict, error of the evidence and seconds of one method."""
    began = time.perf_counter()
    outcome = method(task)
    seconds = time.perf_counter() - began
    if outcome is None:
        return "-", None
    evidence = outcome.log_evidence
    error = "" if known is None or evidence is None else f", {evidence - known:+.2f}"
    return f"{judge(task.plan, outcome)[0].level}{error}, {seconds:.1f} s", outcome


def row(name: str) -> str:
    source, known = MODELS[name]
    bound = ppl.parse(source).bind({})
    guide = choose_guide(bound.plan())
    task = Task(guide.plan, bound.data, guide, get_backend("autograd"), 0, 4000, Progress(False), {}, 60.0)
    cells, before = [], ()
    rungs.FEW = rungs.MODAL  # how a mixture fares where the ladder does not try it
    for method in METHODS.values():
        text, outcome = cell(method, Task(**{**vars(task), "previous": before}), known)
        cells.append(text)
        before = before or ((outcome,) if outcome is not None else ())
    return f"| {name} ({guide.layout.size}) | {' | '.join(cells)} |"


def main() -> None:
    warnings.simplefilter("ignore", ppl.UncertainFitWarning)
    print(f"| posterior (unknowns) | {' | '.join(METHODS)} |")
    print("|" + " --- |" * (len(METHODS) + 1))
    with np.errstate(all="ignore"):
        for name in sys.argv[1:] or MODELS:
            print(row(name), flush=True)


if __name__ == "__main__":
    main()
