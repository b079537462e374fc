"""Rungs of a fit, tried in order until one is trusted, there are no more, or the time is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ppl.compiler.hierarchy import is_hierarchical
from ppl.inference.methods import Method, Task
from ppl.inference.outcome import Outcome
from ppl.inference.result import LEVELS, Rung
from ppl.inference.verdict import judge
from ppl.model.plan import Plan


def climb(task: Task, methods: Sequence[Method]) -> tuple[Outcome, tuple[Rung, ...]]:
    """The best outcome of the methods, and a record of all that were run.

    No method is begun once the estimated work of those before exceeds the task's seconds; nor after one that found the
    posterior improper, which no method helps. A method that does not suit has no outcome and no record.
    """
    found: list[Outcome] = []
    rungs: list[Rung] = []
    spent = 0.0
    for method in methods:
        began = time.perf_counter()
        last = not found and method is methods[-1]
        outcome = method(replace(task, previous=tuple(found), seconds=task.seconds - spent, last=last))
        if outcome is None:
            continue
        level = judge(task.plan, outcome)[0].level
        found.append(outcome)
        rungs.append(_record(outcome, level, time.perf_counter() - began))
        spent += outcome.spent
        if level == "trusted" or spent > task.seconds or _hopeless(task.plan, outcome):
            break
    best = min(range(len(found)), key=lambda k: _rank(found[k], rungs[k]))
    return found[best], tuple(rungs)


def _hopeless(plan: Plan, outcome: Outcome) -> bool:
    """Whether the posterior is improper, as far as one can tell: it runs off, or has no mode and an improper prior."""
    proper = all(site.distribution.family.proper for site in plan.model.latents)
    return bool(outcome.faults) or not (proper or outcome.converged or is_hierarchical(plan))


def _record(outcome: Outcome, level: str, seconds: float) -> Rung:
    bounds = outcome.ratios if outcome.bounds is None else outcome.bounds
    return Rung(
        outcome.method, float(np.mean(bounds)), float(outcome.khat), float(outcome.effective), seconds, level,
        outcome.rhat,
    )  # fmt: skip


AGREEING = 1.1
"""Chains whose R-hat is below this are better than weights whose k-hat is beyond use."""


def _rank(outcome: Outcome, rung: Rung) -> tuple[int, int, float]:
    """What sorts outcomes, the best first: verdict, whether there was a maximum, quality of the draws."""
    quality = outcome.khat if outcome.rhat is None else (0.7 if outcome.rhat < AGREEING else np.inf)
    return LEVELS.index(rung.level), 0 if outcome.converged else 1, float(quality)
