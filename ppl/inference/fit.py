"""One fit, top to bottom: choose guide and method, run it, draw the enumerated sites, judge."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.backends import get_backend
from ppl.errors import InferenceError
from ppl.inference import clock
from ppl.inference.choose import COORDINATE, choose_guide, choose_methods, family_options
from ppl.inference.clock import OVERTIME, SECONDS, Clock
from ppl.inference.discrete import draw_enumerated, is_drawn, kept_rows
from ppl.inference.ladder import Climbed, climb
from ppl.inference.later import STOCHASTIC_GRADIENTS
from ppl.inference.marginal import draw_marginalised
from ppl.inference.methods import Method, Task
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress
from ppl.inference.reading import read_rows
from ppl.inference.relabelling import kept_orders
from ppl.inference.result import InferenceResult
from ppl.model.plan import Plan
from ppl.model.streamed import streamed_axis
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
    backend: str = "autograd",
) -> InferenceResult:
    """Fit a plan to its data; see `ppl.program.Program.fit`.

    Where several methods apply they are tried in order until one is trusted; the best is kept. The option `seconds`
    says how much work may be spent before no further one is begun, told from the size of the model, and the clock ends
    everything by then; without the option, at `OVERTIME` times what it is by default, or never where there is but one
    method.
    """
    began = clock.now()
    options = dict(options or {})
    shown = "mean_field" if method in COORDINATE and guide == "auto" else guide
    chosen = choose_guide(plan, shown, family_options(shown, options))
    plan = chosen.plan
    if method == "auto" and "objective" in options:
        method = "stochastic"
    methods = choose_methods(plan, guide, method)
    limit = _limit(options, len(methods) > 1)
    seconds = _seconds(options.pop("seconds", SECONDS))
    if method == "adam":
        options.setdefault("optimiser", method)
    _check_options(methods, method, options)
    with Progress(progress) as bar:
        arrived = clock.now()
        read_rows(plan, data, bar)
        until = Clock(began + clock.now() - arrived + limit * seconds)
        task = Task(plan, data, chosen, get_backend(backend), seed, draws, bar, options, seconds, until)
        climbed = climb(task, methods)
    return _result(task, climbed, began)


def _result(task: Task, climbed: Climbed, began: float) -> InferenceResult:
    """What the climb that `began` then found, with the unknowns that were integrated or summed out drawn."""
    plan, data, chosen, seed, best = task.plan, task.data, task.guide, task.seed, climbed.best
    if best.plan is not None or best.guide is not None:
        plan = best.plan or plan
        chosen = replace(best.guide or chosen, plan=plan)
    parts = chosen.parameters.unpack(np, best.parameters)
    points = {name: np.asarray(value) for name, value in Executor(plan, data, NUMPY).points(parts).items()}
    known = {**best.values, **points}
    integrated = draw_marginalised(plan, data, np.random.default_rng([seed, 2]), known, best.count)
    values = {**best.values, **integrated}
    notes = best.notes if best.modes[1:] else (*best.notes, *kept_orders(plan, data, values))
    rows, log_weights = _kept(plan, best, task)
    taken = slice(None) if len(rows) == best.count else rows  # as they are where all are kept
    values = {name: array[taken] for name, array in values.items()}
    corrected = best.corrected and {name: array[taken] for name, array in best.corrected.items()}
    bounds = best.ratios if best.bounds is None else best.bounds
    finite = bounds[np.isfinite(bounds)]
    return InferenceResult(
        plan=plan,
        guide=chosen,
        parameters=best.parameters,
        method=best.method,
        values=values | _discrete(plan, data, seed, {**values, **points}, len(rows)),
        log_weights=log_weights,
        points=points,
        elbo=float(bounds.mean()),
        elbo_mcse=float(finite.std() / np.sqrt(len(finite))) if len(finite) else math.inf,
        log_evidence=climbed.log_evidence,
        history=best.history,
        steps=best.steps,
        seconds=clock.now() - began,
        converged=best.converged,
        stopped=best.stopped,
        verdict=climbed.verdict,
        seed=seed,
        draws=task.draws,
        notes=notes,
        rungs=climbed.rungs,
        corrections=best.corrections,
        corrected=corrected and corrected | _discrete(plan, data, seed, corrected, len(rows)),
    )


def _kept(plan: Plan, best: Outcome, task: Task) -> tuple[np.ndarray, np.ndarray | None]:
    """Which draws a fit has, and their log weights: all with a weight, since without one a quantity need not be finite,
    or as many as a user gets where discrete unknowns leave no room for more.
    """
    rows = kept_rows(plan, best.log_weights, best.count, task.draws, task.seed)
    if rows is not None:
        return rows, None
    if best.log_weights is None:
        return np.arange(best.count), None
    rows = np.flatnonzero(np.exp(best.log_weights - best.log_weights.max()))
    return rows, best.log_weights[rows]


def _discrete(
    plan: Plan, data: Mapping[str, Any], seed: int, values: Mapping[str, Any], draws: int
) -> dict[str, np.ndarray]:
    """Draws of the enumerated sites; none where data are read row by row, or where they are too many."""
    if streamed_axis(plan.model) is not None or not is_drawn(plan, draws):
        return {}
    return draw_enumerated(plan, data, np.random.default_rng([seed, 1]), values, draws)


def _check_options(methods: Sequence[Method], method: str, options: Mapping[str, Any]) -> None:
    """Raises InferenceError for options that no method takes. What is asked for decides what is imported."""
    if method in COORDINATE:
        from ppl.inference.coordinate.methods import COORDINATE as METHODS

        METHODS[method].options(options)
    elif options or STOCHASTIC_GRADIENTS in methods:
        from ppl.inference.stochastic.fit import check_options

        check_options(methods, method, options)


def _limit(options: Mapping[str, Any], several: bool) -> float:
    """Times the seconds after which the clock ends a fit."""
    return 1.0 if "seconds" in options else OVERTIME if several else math.inf


def _seconds(value: Any) -> float:
    """Raises InferenceError for what is no positive number."""
    if not isinstance(value, int | float) or not value > 0:
        raise InferenceError.of("E703", None, f"seconds is {value!r}", "it must be a positive number")
    return float(value)
