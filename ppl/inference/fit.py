"""One fit, top to bottom: choose guide and method, run it, draw the enumerated sites, judge."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.backends import get_backend
from ppl.inference.choose import choose_guide, choose_methods
from ppl.inference.discrete import draw_enumerated
from ppl.inference.methods import Task, check_options
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress
from ppl.inference.result import InferenceResult
from ppl.inference.verdict import judge
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.runtime import Executor


@np.errstate(all="ignore")
def run_fit(
    plan: Plan,
    data: Mapping[str, Any],
    guide: str = "auto",
    method: str = "auto",
    seed: int = 0,
    draws: int = 4000,
    progress: bool | None = None,
    options: Mapping[str, Any] | None = None,
) -> InferenceResult:
    """Fit a plan to its data; see `ppl.program.Program.fit`.

    Where several methods apply they are tried in order until one can be used; the best is kept.
    """
    began = time.perf_counter()
    chosen = choose_guide(plan, guide)
    methods = choose_methods(plan, guide, method)
    check_options(methods, options or {})
    best: Outcome | None = None
    with Progress(progress) as bar:
        task = Task(plan, data, chosen, get_backend(), seed, draws, bar, dict(options or {}))
        for run in methods:
            outcome = run(task)
            if best is None or _better(outcome, best):
                best = outcome
            if judge(plan, best)[0].level != "not trusted":
                break
    assert best is not None
    if best.plan is not None:
        plan, chosen = best.plan, replace(chosen, plan=best.plan)
    verdict, evidence = judge(plan, best)
    parts = chosen.parameters.unpack(np, best.parameters)
    points = {name: np.asarray(value) for name, value in Executor(plan, data, NUMPY).points(parts).items()}
    discrete = draw_enumerated(plan, data, np.random.default_rng([seed, 1]), {**best.values, **points}, best.count)
    bounds = best.ratios if best.bounds is None else best.bounds
    finite = bounds[np.isfinite(bounds)]
    return InferenceResult(
        plan=plan,
        guide=chosen,
        parameters=best.parameters,
        method=best.method,
        values={**best.values, **discrete},
        log_weights=best.log_weights,
        points=points,
        elbo=float(bounds.mean()),
        elbo_mcse=float(finite.std() / np.sqrt(len(finite))) if len(finite) else math.inf,
        log_evidence=evidence,
        history=best.history,
        steps=best.steps,
        seconds=time.perf_counter() - began,
        converged=best.converged,
        stopped=best.stopped,
        verdict=verdict,
        seed=seed,
        draws=draws,
        notes=best.notes,
    )


def _better(one: Outcome, other: Outcome) -> bool:
    """Lower k-hat, or where both are beyond use the one that converged."""
    if min(one.khat, other.khat) > 1.0:
        return one.converged and not other.converged
    return one.khat < other.khat
