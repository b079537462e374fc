"""The methods of fitting, each from a plan and its data to an `Outcome`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.backends import Backend
from ppl.compiler.hierarchy import HYPER_BLOCK
from ppl.compiler.parameterise import non_centred
from ppl.errors import InferenceError
from ppl.guides import GUIDES, Guide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.conditional import ConditionalTarget, fit_conditional
from ppl.inference.deterministic import affordable_draws, fit_gaussian, respond
from ppl.inference.findings import (
    FAR_TOO_NARROW,
    NARROW,
    ending,
    gaussian_problems,
    mode_notes,
    runaways,
    search_problems,
    too_narrow,
)
from ppl.inference.importance import Proposal, Weighted, restricted, weigh
from ppl.inference.mean_field_fit import LinearResponse, Whitening
from ppl.inference.mode import Mode, find_mode
from ppl.inference.outcome import Outcome
from ppl.inference.progress import Progress
from ppl.inference.psis import psis
from ppl.inference.start import finite_starts, initial_parameters
from ppl.inference.stochastic import AdamOptions, ElboObjective, minimise
from ppl.inference.target import Target
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.objectives.elbo import elbo_draws
from ppl.runtime import Executor, cost_values

STARTS, MANY = 6, 60
CONDITIONAL_DRAWS = 16_000


@dataclass(frozen=True)
class Task:
    """What every method is given."""

    plan: Plan
    data: Mapping[str, Any]
    guide: Guide
    backend: Backend
    seed: int
    draws: int
    bar: Progress
    options: Mapping[str, Any]


Method = Callable[[Task], Outcome]


def exact(task: Task) -> Outcome:
    """For models in which everything latent is enumerated: there is nothing to approximate."""
    target = Target(task.plan, task.data, task.guide, task.backend)
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


def full_gaussian(task: Task) -> Outcome:
    """Whitened mean field with linear response, importance-corrected."""
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend)
    starts = finite_starts(task.plan, task.data, task.guide, rng, STARTS if target.dim <= MANY else 2)
    fit = fit_gaussian(target, starts, rng, task.bar)
    best = fit.weighted if fit.weighted.khat <= fit.plain.khat or fit.weighted.good else fit.plain
    corrected = best.good or best.effective > 0.05 * len(best.rows)
    rows = best.rows if corrected else fit.plain.rows
    mean, covariance = best.moments()
    converged, stopped = ending(fit.modes[0], fit.response)
    return Outcome(
        method="deterministic",
        parameters=_gaussian_parameters(task.guide, fit.gaussian),
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
        faults=runaways(task.guide, mean, np.sqrt(np.diag(covariance))),
        problems=gaussian_problems(fit),
        notes=mode_notes(fit),
    )


def non_centred_gaussian(task: Task) -> Outcome:
    """`full_gaussian` in coordinates in which sites of unknown scale are standardised."""
    plan = non_centred(task.plan)
    outcome = full_gaussian(replace(task, plan=plan, guide=replace(task.guide, plan=plan)))
    return replace(outcome, plan=plan, method="deterministic, non-centred")


def mean_field(task: Task) -> Outcome:
    """Mean field in the model's own coordinates, uncorrected; linear response only says by how much its sds are off."""
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend)
    start = finite_starts(task.plan, task.data, task.guide, rng, 1)[0]
    mode, response = _independent(target, start, rng)
    proposal = Proposal(response.mean, np.diag(response.raw_sd))
    sample = weigh(target.log_density, proposal, rng, max(task.draws, affordable_draws(target)))
    ratio, said = too_narrow(task.guide, response)
    said_as = (said,) if said else ()
    return Outcome(
        method="deterministic",
        parameters=task.guide.parameters.pack({GAUSSIAN: task.guide.gaussian.initial(response.mean, response.raw_sd)}),
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
        faults=runaways(task.guide, response.mean, response.raw_sd) + (said_as if ratio > FAR_TOO_NARROW else ()),
        problems=search_problems(mode, response) + (said_as if NARROW < ratio <= FAR_TOO_NARROW else ()),
        notes=said_as if ratio <= NARROW else (),
    )


def _independent(target: Target, start: np.ndarray, rng: np.random.Generator) -> tuple[Mode, LinearResponse]:
    """Mean field from the mode's scales and from unit scales at the start; the better one.

    The joint mode of a hierarchical model is no place to begin, and often there is none.
    """
    mode = find_mode(target, start)
    precision = np.diag(np.linalg.inv(mode.whitening.factor @ mode.whitening.factor.T))
    begin = [Whitening(start, np.eye(target.dim))]
    if mode.found:
        begin.insert(0, Whitening(mode.vector, np.diag(1.0 / np.sqrt(precision))))
    found = [respond(target, whitening, rng) for whitening in begin]
    return mode, max(found, key=lambda response: response.elbo if np.isfinite(response.elbo) else -np.inf)


def conditional(task: Task) -> Outcome:
    """The guide of hierarchical models: hyperparameters, and the rest given them."""
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend)
    hyper = np.concatenate(
        [np.arange(e.start, e.stop) for e in task.guide.layout.entries if task.plan.sites[e.name].block == HYPER_BLOCK]
    )
    split = ConditionalTarget(target, hyper)
    starts = np.concatenate([np.zeros((1, len(hyper))), rng.uniform(-2.0, 2.0, (7, len(hyper)))])
    fit = fit_conditional(split, starts, rng, CONDITIONAL_DRAWS)
    sample = fit.weighted
    bounds = restricted(sample.log_ratios)
    mean, covariance = sample.moments()
    return Outcome(
        method="conditional",
        parameters=_gaussian_parameters(task.guide, _moment_matched(sample)),
        values=target.values(sample.rows),
        log_weights=sample.log_weights,
        ratios=sample.log_ratios,
        khat=sample.khat,
        effective=sample.effective,
        log_evidence=sample.log_evidence if sample.good else None,
        history=np.array([bounds.mean()]),
        steps=target.evaluations,
        converged=True,
        stopped="the conditional modes were found",
        faults=runaways(task.guide, mean, np.sqrt(np.diag(covariance))),
        bounds=bounds,
        independent=len(sample.rows) // sample.copies,
    )


def _moment_matched(sample: Weighted) -> Proposal:
    """The Gaussian with the moments of a weighted sample."""
    mean, covariance = sample.moments()
    jitter = 1e-9 * np.diag(np.diag(covariance)) + 1e-300 * np.eye(len(mean))
    return Proposal(mean, np.linalg.cholesky(covariance + jitter))


def _gaussian_parameters(guide: Guide, proposal: Proposal) -> np.ndarray:
    """Parameters of the guide's Gaussian nearest to a proposal: its own covariance, or its variances alone."""
    family = guide.gaussian
    if family is GUIDES["full_rank"]:
        gaussian = family.from_cholesky(proposal.mean, proposal.factor)  # type: ignore[attr-defined]
    else:
        gaussian = family.initial(proposal.mean, np.sqrt(np.sum(proposal.factor**2, axis=1)))
    return guide.parameters.pack({GAUSSIAN: gaussian})


def adam(task: Task) -> Outcome:
    """Stochastic gradients of the ELBO, for scored sites and learned parameters or by request."""
    rng = np.random.default_rng(task.seed)
    plain = Executor(task.plan, task.data, NUMPY)
    objective = ElboObjective(Executor(task.plan, task.data, task.backend.xp), task.guide, task.backend)
    start = _around(task, plain, rng)
    found = minimise(objective, task.guide, start, rng, adam_options(task.options), task.bar)
    values, ratios = _drawn(task.guide, plain, found.parameters, rng, task.draws)
    _, khat = psis(ratios)
    return Outcome(
        method="adam",
        parameters=found.parameters,
        values=values,
        log_weights=None,
        ratios=ratios,
        khat=khat,
        effective=float(task.draws),
        log_evidence=None,
        history=found.history,
        steps=len(found.history),
        converged=found.converged,
        stopped=found.stopped,
    )


def adam_options(options: Mapping[str, Any]) -> AdamOptions:
    """Checked options. Raises InferenceError for one that is not known."""
    known = AdamOptions.__dataclass_fields__
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InferenceError.of("E703", None, f"unknown option {', '.join(unknown)}", f"adam takes {', '.join(known)}")
    for name, value in options.items():
        if value <= 0:
            raise InferenceError.of("E703", None, f"{name} is {value}", "it must be positive")
    return AdamOptions(**options)


def check_options(methods: Sequence[Method], options: Mapping[str, Any]) -> None:
    """Only adam takes options. Raises InferenceError for one that would be passed over."""
    if options and adam not in methods:
        found = f"{', '.join(sorted(options))}: a deterministic fit takes no options"
        raise InferenceError.of(
            "E703", None, found, f"method='adam' takes {', '.join(AdamOptions.__dataclass_fields__)}"
        )
    adam_options(options)


def _around(task: Task, plain: Executor, rng: np.random.Generator) -> np.ndarray:
    """Guide parameters around the best of a few finite starting points."""
    mean = finite_starts(task.plan, task.data, task.guide, rng, 1)[0]
    parts = task.guide.parameters.unpack(np, initial_parameters(task.guide, plain, rng))
    parts[GAUSSIAN] = task.guide.gaussian.initial(mean, np.full(len(mean), 0.1))
    return task.guide.parameters.pack(parts)


def _drawn(
    guide: Guide, plain: Executor, parameters: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Values of the latents and log p(x, z) - log q(z), for draws of the guide.

    The entropy in the bounds is minus log q of a draw, but for the noise that made it: (dim - |noise|^2) / 2. Solving
    for that noise again would lose all digits where the Gaussian is narrow in one direction and wide in another.
    """
    noise = guide.noise(rng, parameters, draws)
    with np.errstate(all="ignore"):
        trace = plain.trace(guide, parameters, noise)
        bounds = np.broadcast_to(elbo_draws(NUMPY, trace, cost_values(guide.plan, trace)), (draws,))
    ratios = bounds - 0.5 * np.sum(1.0 - noise.normal**2, axis=1)
    values = {name: np.asarray(record.value) for name, record in trace.records.items() if record.value is not None}
    return values, ratios
