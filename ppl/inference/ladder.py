"""Rungs of a fit, tried in order until one is trusted, there are no more, or the time is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler.hierarchy import is_hierarchical
from ppl.inference.methods import Method, Task
from ppl.inference.outcome import Outcome
from ppl.inference.result import LEVELS, Rung
from ppl.inference.verdict import judge
from ppl.model.plan import Plan

OVERTIME = 2.0
"""Times the seconds of a task, after which methods that go on in small steps end."""


@dataclass(frozen=True)
class _Climbed:
    """The outcomes so far, the record of each, and the estimated work of all of them."""

    outcomes: tuple[Outcome, ...] = ()
    rungs: tuple[Rung, ...] = ()
    spent: float = 0.0

    def after(self, plan: Plan, outcome: Outcome, seconds: float) -> _Climbed:
        rung = _record(outcome, judge(plan, outcome)[0].level, seconds)
        return _Climbed((*self.outcomes, outcome), (*self.rungs, rung), self.spent + outcome.spent)

    @property
    def best(self) -> Outcome:
        return min(zip(self.outcomes, self.rungs, strict=True), key=lambda pair: _rank(*pair))[0]


def climb(task: Task, methods: Sequence[Method]) -> tuple[Outcome, tuple[Rung, ...]]:
    """The best outcome of the methods, and a record of all that were run.

    No method is begun once the estimated work of those before, or the clock, exceeds the task's seconds; nor after one
    that found the posterior improper, which no method helps. A method that does not suit has no outcome and no record.
    """
    began, climbed, note = time.perf_counter(), _Climbed(), ""
    if len(methods) > 1:
        task = replace(task, until=began + OVERTIME * task.seconds)
    for number, method in enumerate(methods):
        if climbed.outcomes:
            note = _out_of_time(task, climbed, time.perf_counter() - began)
            if note or climbed.rungs[-1].level == "trusted" or _hopeless(task.plan, climbed.outcomes[-1]):
                break
        start = time.perf_counter()
        last = not climbed.outcomes and number == len(methods) - 1
        outcome = method(replace(task, previous=climbed.outcomes, seconds=task.seconds - climbed.spent, last=last))
        if outcome is not None:
            climbed = climbed.after(task.plan, outcome, time.perf_counter() - start)
    best = climbed.best
    trusted = LEVELS[0] in {rung.level for rung in climbed.rungs}
    return replace(best, notes=(*best.notes, note)) if note and not trusted else best, climbed.rungs


def _out_of_time(task: Task, climbed: _Climbed, elapsed: float) -> str:
    """What to say where nothing further may be begun, or nothing."""
    if climbed.spent <= task.seconds and elapsed <= task.seconds:
        return ""
    clock = "" if climbed.spent > task.seconds else " by the clock, so that another run may get further"
    return f"not every method was tried: the {task.seconds:g} s allowed were spent{clock}; `seconds=` allows more"


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
