"""Rungs of a fit, tried in order until one is trusted, there are no more, or the time is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler.hierarchy import is_hierarchical
from ppl.inference import clock
from ppl.inference.clock import Clock
from ppl.inference.methods import Method, Task
from ppl.inference.outcome import Outcome
from ppl.inference.result import LEVELS, Rung, Verdict
from ppl.inference.verdict import judge
from ppl.model.plan import Plan


@dataclass(frozen=True)
class Climbed:
    """The best outcome with its verdict and, where it has a meaning, the log evidence; and a record of all rungs."""

    best: Outcome
    verdict: Verdict
    log_evidence: float | None
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class _Climbing:
    """The outcomes so far, the judgement and the record of each, and the estimated work of all of them."""

    outcomes: tuple[Outcome, ...] = ()
    judgements: tuple[tuple[Verdict, float | None], ...] = ()
    rungs: tuple[Rung, ...] = ()
    spent: float = 0.0

    def after(self, task: Task, outcome: Outcome, seconds: float) -> _Climbing:
        judgement = judge(task.plan, outcome, task.seconds)
        rung = _record(outcome, judgement[0].level, seconds)
        return _Climbing(
            (*self.outcomes, outcome),
            (*self.judgements, judgement),
            (*self.rungs, rung),
            self.spent + outcome.spent,
        )

    def ended(self, note: str) -> Climbed:
        """The best, with a note where not every method was tried and none is trusted."""
        place = min(range(len(self.rungs)), key=lambda k: _rank(self.outcomes[k], self.rungs[k]))
        best = self.outcomes[place]
        if note and LEVELS[0] not in {rung.level for rung in self.rungs}:
            best = replace(best, notes=(*best.notes, note))
        return Climbed(best, *self.judgements[place], self.rungs)


def climb(task: Task, methods: Sequence[Method]) -> Climbed:
    """The best outcome of the methods, and a record of all that were run.

    No method is begun once the estimated work of those before, or the clock, exceeds the task's seconds; nor after one
    that found the posterior improper, which no method helps. One that has begun ends, with the best it has, by the
    task's clock. A method that does not suit has no outcome and no record.
    """
    climbed, note, lacking, began = _Climbing(), "", list[str](), clock.now()
    for number, method in enumerate(methods):
        if climbed.outcomes:
            note = _out_of_time(task, climbed, clock.now() - began)
            if note or climbed.rungs[-1].level == "trusted" or _hopeless(task.plan, climbed.outcomes[-1]):
                break
        start, own = clock.now(), Clock(task.clock.until)
        last = not climbed.outcomes and number == len(methods) - 1
        left = task.seconds - climbed.spent
        outcome = method(replace(task, previous=climbed.outcomes, seconds=left, clock=own, last=last))
        if outcome is None:
            lacking += own.cut
        else:
            climbed = climbed.after(task, replace(outcome, cut=tuple(own.cut)), clock.now() - start)
    return climbed.ended(note or _lacking(task, lacking))


def _out_of_time(task: Task, climbed: _Climbing, elapsed: float) -> str:
    """What to say where nothing further may be begun, or nothing."""
    if climbed.spent <= task.seconds and elapsed <= task.seconds:
        return ""
    clocked = "" if climbed.spent > task.seconds else " by the clock, so that another run may get further"
    return f"not every method was tried: the {task.seconds:g} s allowed were spent{clocked}; `seconds=` allows more"


def _lacking(task: Task, stages: list[str]) -> str:
    """What to say of methods that were left out since they would take longer than the time left, or nothing."""
    said = f"{', '.join(stages)} would take longer than what was left of {task.seconds:g} s; `seconds=` allows more"
    return f"not every method was tried: {said}" if stages else ""


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
