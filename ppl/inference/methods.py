"""The methods of fitting, each from a plan and its data to an `Outcome`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ppl.backends import Backend
from ppl.compiler.hierarchy import HYPER_BLOCK
from ppl.guides import Guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.deterministic.corrections import NO_RESPONSE, corrected_rows, corrections
from ppl.inference.deterministic.findings import (
    FAR_TOO_NARROW,
    NARROW,
    conditional_modes,
    ending,
    gaussian_problems,
    merged,
    mode_findings,
    search_problems,
    too_narrow,
)
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.gaussian import affordable_draws, curvature_alone, fit_gaussian, respond
from ppl.inference.deterministic.large import LARGE
from ppl.inference.deterministic.mean_field import LinearResponse
from ppl.inference.deterministic.mode import Mode, find_mode
from ppl.inference.deterministic.parameterisation import Learned
from ppl.inference.hierarchy.conditional import ConditionalTarget
from ppl.inference.hierarchy.fit import fit_conditional
from ppl.inference.hierarchy.hyper import fit_hyper
from ppl.inference.hierarchy.units import FEW, UnitsTarget
from ppl.inference.hierarchy.unitwise import fit_units, start_of
from ppl.inference.importance.sampling import Proposal, Weighted, restricted, weigh
from ppl.inference.improper import boundless, runaways
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress
from ppl.inference.start import finite_starts, varied_starts
from ppl.inference.target import Target
from ppl.inference.verdict import FEW_EFFECTIVE
from ppl.model.plan import Plan

if TYPE_CHECKING:
    from ppl.inference.deterministic.expectations import ByExpectations
    from ppl.inference.deterministic.wide import WideResponse

STARTS, MANY = 8, 60
CONDITIONAL_DRAWS = 16_000
MOST_SHARED = 20
"""Unknowns that local units may share for those to be integrated out: in more dimensions weights are too uneven."""


@dataclass(frozen=True)
class Task:
    """What every method is given.

    `seconds` of estimated work are left; what goes on in steps ends with the `clock`. `previous` are the outcomes of
    the methods before, the latest last; `start` is a mean-field guide to begin from, where there is one. The `last`
    method must have an outcome.
    """

    plan: Plan
    data: Mapping[str, Any]
    guide: Guide
    backend: Backend
    seed: int
    draws: int
    bar: Progress
    options: Mapping[str, Any]
    seconds: float = math.inf
    clock: Clock = ENDLESS
    previous: tuple[Outcome, ...] = ()
    start: Learned | None = None
    last: bool = True


Method = Callable[[Task], Outcome | None]


def exact(task: Task) -> Outcome:
    """For models in which everything latent is enumerated: there is nothing to approximate."""
    target = Target(task.plan, task.data, task.guide, task.backend, task.clock)
    evidence = float(target.log_density(np.zeros((1, 0)))[0])
    return Outcome(
        method="exact",
        parameters=np.zeros(task.guide.parameters.size),
        values={},
        log_weights=None,
        ratios=np.full(task.draws, evidence),
        khat=-np.inf,
        effective=float(task.draws),
        log_evidence=evidence,
        history=np.array([evidence]),
        steps=1,
        converged=True,
        stopped="enumeration is exact",
    )


def _starts(task: Task, target: Target, rng: np.random.Generator) -> np.ndarray:
    """Where to look for modes. Far from the best places only where one density is quick: not step after step."""
    if target.dim > MANY:
        return finite_starts(task.plan, task.data, task.guide, rng, 2 if target.dim <= LARGE else 1)
    if target.stepwise:
        return finite_starts(task.plan, task.data, task.guide, rng, 3)
    return varied_starts(task.plan, task.data, task.guide, rng, STARTS)


def conditional_starts(task: Task, target: Target, rng: np.random.Generator) -> np.ndarray | None:
    """Where to look for other modes of what is given the hyperparameters; None where there is too much of it."""
    return None if target.dim > MANY else _starts(task, target, rng)


def full_gaussian(task: Task) -> Outcome:
    """Whitened mean field with linear response, importance-corrected."""
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend, task.clock)
    starts = _starts(task, target, rng)
    fit = fit_gaussian(target, starts, rng, task.bar, task.start)
    best = fit.weighted if fit.weighted.khat <= fit.plain.khat or fit.weighted.good else fit.plain
    corrected = best.good or best.effective > 0.05 * len(best.rows)
    rows = best.rows if corrected else fit.plain.rows
    mean, covariance = best.moments()
    converged, stopped = ending(fit.modes[0], fit.response)
    if task.clock.cut and not converged:
        converged, stopped = best.good, "the time allowed was spent"
    problems, notes = mode_findings(fit, target)
    return Outcome(
        method="deterministic",
        parameters=gaussian_parameters(task.guide, fit.gaussian),
        values=target.values(rows),
        log_weights=best.log_weights if corrected else None,
        ratios=fit.plain.log_ratios,
        khat=best.khat,
        effective=best.effective if corrected else float(len(rows)),
        log_evidence=best.log_evidence if best.good else None,
        history=fit.response.history,
        steps=target.evaluations,
        converged=converged,
        stopped=stopped,
        faults=merged(fit.faults, runaways(task.guide, mean, np.sqrt(np.diag(covariance)))),
        problems=merged(() if task.clock.cut else gaussian_problems(fit), problems),
        notes=notes,
        modes=fit.proposals,
        rows=rows,
        spent=target.spent,
    )


def mean_field(task: Task) -> Outcome:
    """Mean field in the model's own coordinates, uncorrected; linear response says by how much its sds are off, and
    corrects a copy of its draws.
    """
    from ppl.inference.deterministic.expectations import by_expectations

    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend, task.clock)
    start = finite_starts(task.plan, task.data, task.guide, rng, 1)[0]
    expected = by_expectations(target, task.data, task.backend)
    mode, response, improper = _independent(target, expected, start, rng)
    proposal = Proposal(response.mean, np.diag(response.raw_sd))
    sample = weigh(target.log_density, proposal, rng, max(task.draws, affordable_draws(target)))
    outcome = uncorrected(task, target, response, sample, *too_narrow(task.guide, response))
    outcome = outcome if expected is None else expected.computed(outcome, response)
    rows = corrected_rows(response, sample.rows)
    return replace(
        outcome,
        faults=merged(improper, outcome.faults),
        problems=merged(() if task.clock.cut else search_problems(mode, response), outcome.problems),
        notes=merged(outcome.notes, (NO_RESPONSE,) if rows is None else ()),
        corrections=corrections(target, response),
        corrected=None if rows is None else target.values(rows),
    )


def uncorrected(
    task: Task, target: Target, response: LinearResponse | WideResponse, sample: Weighted, ratio: float, said: str
) -> Outcome:
    """The draws of mean field as they are; `ratio` is by how much its sds are too small, `said` where, in words."""
    words = (said,) if said else ()
    return Outcome(
        method="deterministic",
        parameters=task.guide.parameters.pack({GAUSSIAN: task.guide.vector.initial(response.mean, response.raw_sd)}),
        values=target.values(sample.rows),
        log_weights=None,
        ratios=sample.log_ratios,
        khat=sample.khat,
        effective=float(len(sample.rows)),
        log_evidence=sample.log_evidence if sample.good else None,
        history=response.history,
        steps=target.evaluations,
        converged=response.sound,
        stopped="the gradient vanished" if response.sound else "no maximum was found",
        faults=merged(runaways(task.guide, response.mean, response.raw_sd), words if ratio > FAR_TOO_NARROW else ()),
        problems=words if NARROW < ratio <= FAR_TOO_NARROW else (),
        notes=words if ratio <= NARROW else (),
        rows=sample.rows,
        spent=target.spent,
    )


def _independent(
    target: Target, expected: ByExpectations | None, start: np.ndarray, rng: np.random.Generator
) -> tuple[Mode, LinearResponse, tuple[str, ...]]:
    """Mean field from the mode's scales and from unit scales at the start; the better one. Faults where it is improper.

    The joint mode of a hierarchical model is no place to begin, and often there is none. What needs no draws has no
    unknown scales, and is begun at the mode alone.
    """
    mode = find_mode(target, start)
    faults = boundless(target, mode)
    if faults:
        return mode, curvature_alone(mode, sound=False), faults
    precision = np.diag(np.linalg.inv(mode.whitening.factor @ mode.whitening.factor.T))
    begin = [Whitening(start, np.eye(target.dim))]
    if mode.found:
        begin.insert(0, Whitening(mode.vector, np.diag(1.0 / np.sqrt(precision))))
    found: list[LinearResponse] = []
    for whitening in begin:
        found.append(respond(target, whitening, rng) if expected is None else expected.respond(whitening, rng))
        if expected is not None and expected.noiseless and found[0].sound:
            break
    return mode, max(found, key=lambda response: response.elbo if np.isfinite(response.elbo) else -np.inf), ()


def conditional(task: Task) -> Outcome | None:
    """The guide of hierarchical models: hyperparameters, and the rest given them.

    Where the rest has many local units that are not Gaussian, each of those is integrated out by itself; where it has
    few, only if the weights of all together are worth little. Where many units share too many unknowns for that, there
    is no outcome unless this is the last method.
    """
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend, task.clock)
    split = ConditionalTarget(target, hyperparameters(task))
    apart, modes, starts = None, np.empty((0, target.dim)), None
    gaussian_rest = split.is_gaussian(np.zeros(len(split.hyper)))
    if not gaussian_rest:
        starts = conditional_starts(task, target, rng)
        shared, point, scale = start_of(split, rng)
        apart = UnitsTarget.of(target, shared, task.plan, task.data, rng)
    if apart is not None and len(shared) > MOST_SHARED:
        if not task.last:
            return None
        apart = None
    if apart is None:
        hyper = fit_hyper(split, rng, CONDITIONAL_DRAWS, starts)
        modes = hyper.modes
        sample = fit_conditional(split, hyper, rng, CONDITIONAL_DRAWS)
        weak = not sample.good or sample.effective < FEW_EFFECTIVE
        if weak and not gaussian_rest and len(shared) <= MOST_SHARED and not task.clock.over():
            apart = UnitsTarget.of(target, shared, task.plan, task.data, rng, FEW)
            found = sample if apart is None else fit_units(apart, point, scale, rng)
            better = found.effective / found.copies > sample.effective if found.good else found.khat < sample.khat
            apart, sample = (apart, found) if better else (None, sample)
    else:
        sample = fit_units(apart, point, scale, rng)
    effective = sample.effective / (1 if apart is None else sample.copies)
    bounds = restricted(sample.log_ratios)
    mean, covariance = sample.moments()
    gaussian = moment_matched(sample.rows, np.exp(sample.log_weights))
    return Outcome(
        method="conditional" if apart is None else "conditional, unit by unit",
        parameters=gaussian_parameters(task.guide, gaussian),
        values=target.values(sample.rows),
        log_weights=sample.log_weights,
        ratios=sample.log_ratios,
        khat=sample.khat,
        effective=effective,
        log_evidence=sample.log_evidence if sample.good else None,
        history=np.array([bounds.mean()]),
        steps=target.evaluations,
        converged=True,
        stopped="the conditional modes were found",
        faults=runaways(task.guide, mean, np.sqrt(np.diag(covariance))),
        problems=conditional_modes(len(modes)),
        modes=tuple(replace(gaussian, mean=row) for row in modes),
        bounds=bounds,
        independent=len(sample.rows) // sample.copies,
        rows=sample.rows,
        spent=target.spent,
    )


def hyperparameters(task: Task) -> np.ndarray:
    """The places of the hyperparameters in the unconstrained vector."""
    entries = [entry for entry in task.guide.layout.entries if task.plan.sites[entry.name].block == HYPER_BLOCK]
    return np.concatenate([np.arange(entry.start, entry.stop) for entry in entries])


def moment_matched(rows: np.ndarray, weights: np.ndarray | None = None) -> Proposal:
    """The Gaussian with the moments of rows (draws, dim), by their weights where there are any."""
    mean, covariance = np.average(rows, axis=0, weights=weights), np.cov(rows.T, aweights=weights, ddof=0)
    covariance = covariance.reshape(len(mean), len(mean))
    jitter = 1e-9 * np.diag(np.diag(covariance)) + 1e-300 * np.eye(len(mean))
    return Proposal(mean, np.linalg.cholesky(covariance + jitter))


def gaussian_parameters(guide: Guide, proposal: Proposal) -> np.ndarray:
    """The guide's parameters nearest to a proposal."""
    return guide.parameters.pack({GAUSSIAN: guide.vector.near(proposal.mean, proposal.factor)})
