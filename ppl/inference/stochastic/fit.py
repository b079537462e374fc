"""The method of stochastic gradients, for scored sites, factors, learned parameters and objectives of several draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.errors import InferenceError
from ppl.guides import Guide
from ppl.guides.base import GaussianGuide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.importance.psis import log_mean_weight, psis, threshold
from ppl.inference.later import STOCHASTIC_GRADIENTS
from ppl.inference.methods import Method, Task
from ppl.inference.outcome import Outcome
from ppl.inference.start import finite_starts, initial_parameters
from ppl.inference.stochastic.anchors import anchoring, may_anchor
from ppl.inference.stochastic.batches import Batches, step_plan
from ppl.inference.stochastic.checkpoint import checkpoints_for
from ppl.inference.stochastic.descent import Optimised, minimise
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.optimisers import LBFGS
from ppl.inference.stochastic.options import (
    StochasticOptions,
    objective_of,
    options_of_descent,
    stochastic_options,
    without_options,
)
from ppl.inference.stochastic.quasi_newton import minimise_at_fixed_draws
from ppl.inference.stochastic.stages import FEW_ROUNDS
from ppl.inference.stochastic.stopping import PIECES
from ppl.inference.stochastic.whole import drawn
from ppl.numeric import NUMPY
from ppl.runtime import Executor, model_costs

HandedIn = Mapping[str, np.ndarray]
MOST_CHECKED = 100
MOST_ROUNDS = 40
"""Windows, at most, where steps see parts of the data."""
SHRUNK = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""The widths of the first Gaussian that are tried."""
UNCHECKED = (
    "many unknowns of their own in a plate are approximated each by itself, which importance weights cannot check"
)


def stochastic_gradients(task: Task) -> Outcome:
    """Stochastic gradients of an objective."""
    rng = np.random.default_rng(task.seed)
    plan = step_plan(task.plan)
    guide, options = replace(task.guide, plan=plan), _chosen(stochastic_options(task.options), task)
    found, optimiser = _fitted(task, guide, options, rng)
    parameters = found.parameters[: guide.parameters.size]
    sample = drawn(task.guide, task.data, parameters, rng, task.draws)
    smoothed, khat = psis(sample.ratios)
    count = len(next(iter(sample.values.values()))) if sample.values else len(sample.ratios)
    corrected = khat < threshold(len(sample.ratios)) and len(sample.ratios) == count
    own = [s for s in task.plan.factored if task.plan.is_local(s) or task.plan.sites[s.name].amortised]
    return Outcome(
        method=optimiser,
        parameters=parameters,
        values=sample.values,
        log_weights=smoothed if corrected else None,
        ratios=sample.ratios,
        khat=khat,
        effective=float(1.0 / np.sum(np.exp(2.0 * smoothed))) if corrected else float(count),
        unchecked=UNCHECKED if sum(math.prod(site.shape) for site in own) > MOST_CHECKED else "",
        log_evidence=log_mean_weight(sample.ratios) if corrected else None,
        history=found.history,
        steps=len(found.history),
        converged=found.converged,
        stopped=found.stopped,
        notes=found.notes,
        stochastic=True,
    )


def _fitted(task: Task, guide: Guide, options: StochasticOptions, rng: np.random.Generator) -> tuple[Optimised, str]:
    """The parameters that an optimiser finds, and which one did. Where no draws are needed, and nothing is said about
    steps, that is L-BFGS; single steps go on from where it fails.
    """
    plain, differentiable = (Executor(guide.plan, task.data, xp) for xp in (NUMPY, task.backend.xp))
    chosen = objective_of(options)
    objective = StochasticObjective(differentiable, guide, task.backend, chosen, options.baseline)
    first = next(Batches(guide.plan.model.batches, rng))
    start = _around(guide, plain, rng, chosen.spread, first)
    _check_circles(guide, plain, start, rng, first)
    if chosen.closed and guide.predicted and not guide.plan.scored:
        start = _finite(objective, guide, start, rng, first)
    start = objective.start(start, objective.noise(rng, start, 100, first))
    alone = not options_of_descent(task.options) and _is_plain(objective, guide)
    if options.optimiser == LBFGS or alone:
        found = minimise_at_fixed_draws(objective, guide, start, rng, options, task.bar)
        if found.converged or not alone:
            return found, LBFGS
        start = found.parameters
    checkpoints = checkpoints_for(options, guide, task.data, task.seed, task.backend.name)
    anchors = anchoring(task.guide, task.data, task.backend, chosen)
    return minimise(objective, guide, start, rng, options, task.bar, checkpoints, anchoring=anchors), options.optimiser


def _is_plain(objective: StochasticObjective, guide: Guide) -> bool:
    """Whether the objective is a plain function of parameters that a quasi-Newton search suits."""
    plan = guide.plan
    searched = guide.free and not plan.scored and not any(param.network for param in plan.model.params)
    return searched and objective.noiseless and not plan.model.batches


def _finite(
    objective: StochasticObjective, guide: Guide, start: np.ndarray, rng: np.random.Generator, batch: HandedIn
) -> np.ndarray:
    """The start, with a narrower Gaussian where an expectation over it is beyond all numbers (of an exponential)."""
    parts = guide.parameters.unpack(np, start)
    gaussian = guide.vector
    assert isinstance(gaussian, GaussianGuide)
    mean, variance = gaussian.marginals(np, parts[GAUSSIAN])
    for shrunk in SHRUNK:
        packed = guide.parameters.pack({**parts, GAUSSIAN: gaussian.initial(mean, shrunk * np.sqrt(variance))})
        with np.errstate(all="ignore"):
            loss, gradient = objective.value_and_grad(packed, objective.noise(rng, packed, 2, batch))
        if np.isfinite(loss) and np.isfinite(gradient).all():
            return packed
    return start


def _chosen(options: StochasticOptions, task: Task) -> StochasticOptions:
    """What parts of the data in place of all ask for, where nothing else is asked for: windows of whole rounds unless
    anchors take the noise of the rows off, stages that end by the iterates where a window has few rounds, gradients cut
    where they are longer by as much as a step's rows count for more, and fewer draws a step where each row has
    unknowns, whose noise is the smaller.
    """
    changes: dict[str, Any] = {}
    if any(task.plan.is_local(site) for site in task.plan.factored):
        changes["gradient_draws"] = 4 if task.plan.scored else 1
    if task.plan.batches:
        steps = max(math.ceil(batch.total / batch.size) for batch in task.plan.batches)
        rounds = steps * math.ceil(options.window / steps)
        anchored = may_anchor(task.guide, objective_of(options))
        window = options.window if anchored else PIECES * math.ceil(rounds / PIECES)
        scale = max(batch.total / batch.size for batch in task.plan.batches)
        changes |= {"window": window, "steps": max(options.steps, MOST_ROUNDS * window), "clip": options.clip * scale}
        if FEW_ROUNDS * steps > options.window:
            changes["stop"] = "iterates"
    return replace(options, **{name: value for name, value in changes.items() if name not in task.options})


def check_options(methods: Sequence[Method], method: str, options: Mapping[str, Any]) -> None:
    """Only stochastic gradients take options. Raises InferenceError for one that would be passed over."""
    if options and STOCHASTIC_GRADIENTS not in methods:
        raise without_options(", ".join(sorted(options)))
    chosen = stochastic_options(options)
    if method == "adam" and chosen.optimiser != method:
        found = f"method='adam' and optimiser='{chosen.optimiser}'"
        raise InferenceError.of("E703", None, found, "they say different things; use method='stochastic'")


def _around(guide: Guide, plain: Executor, rng: np.random.Generator, spread: float, batch: HandedIn) -> np.ndarray:
    """Guide parameters around the best of a few finite starting points."""
    mean = finite_starts(guide.plan, plain.data, guide, rng, 1, batch)[0]
    parts = guide.parameters.unpack(np, initial_parameters(guide, plain, rng, batch))
    parts[GAUSSIAN] = guide.vector.initial(mean, np.full(len(mean), spread))
    return guide.parameters.pack(parts)


def _check_circles(
    guide: Guide, plain: Executor, parameters: np.ndarray, rng: np.random.Generator, batch: HandedIn
) -> None:
    """The implicit gradient of an angle turns the circle, which is right only where the model is the same at both ends.

    Raises InferenceError where it is not.
    """
    for name, factor in guide.factors.items():
        if factor.family.name != "von_mises" or factor.estimator != "implicit":
            continue
        noise, ends = plain.noise(guide, rng, parameters, 20, batch), []
        for end in (-np.pi, np.pi):
            moved = {**noise.factors, name: np.full_like(noise.factors[name], end)}
            with np.errstate(all="ignore"):
                trace = plain.trace(guide, parameters, replace(noise, factors=moved))
            ends.append(sum(np.broadcast_to(cost.per_draw(np), (20,)) for cost in model_costs(guide.plan, trace)))
        if not np.allclose(ends[0], ends[1], rtol=1e-6, atol=1e-6, equal_nan=True):
            span = guide.plan.model.by_name[name].span
            found = (
                f"the model jumps where the angle `{name}` passes from pi to -pi: its implicit gradient is biased there"
            )
            raise InferenceError.of("E707", span, found, "note it `@score`, or leave it in the Gaussian block")
