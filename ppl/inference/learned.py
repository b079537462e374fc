"""Rungs above the first fit: learned parameterisations, and chains that correct what no guide gets right."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ppl.compiler.parameterise import adaptable
from ppl.inference.chains.hamiltonian import BLOCK, STAGES, STARTS, TOGETHER, Chains, run_chains
from ppl.inference.clock import OVERTIME
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.parameterisation import learn_degrees
from ppl.inference.hierarchy.chains import run_conditional_chains, sweeps_within
from ppl.inference.hierarchy.conditional import ConditionalTarget
from ppl.inference.hierarchy.hyper import fit_hyper
from ppl.inference.importance.evidence import bridge
from ppl.inference.importance.psis import psis
from ppl.inference.importance.sampling import Proposal, restricted, weigh
from ppl.inference.improper import runaways
from ppl.inference.methods import (
    CONDITIONAL_DRAWS,
    Task,
    conditional_starts,
    full_gaussian,
    gaussian_parameters,
    hyperparameters,
    moment_matched,
)
from ppl.inference.outcome import Outcome
from ppl.inference.start import finite_starts
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT
from ppl.model.plan import Plan

LEARNED, CONDITIONAL_CHAINS, HAMILTONIAN = "learned parameterisation", "conditional chains", "hamiltonian"
ENOUGH = 2000.0
"""Effective draws at which chains stop."""
OVERHEAD = 2e-4
"""Seconds that a batch of gradients takes beyond its arithmetic."""
FEWEST_BATCHES = 4000
MOST_DRAWS = 16_000
BOUND_DRAWS = 4000
BRIDGED = 60
"""Above this many unknowns a Gaussian is too far from most posteriors for an estimate of the evidence."""


def learned_gaussian(task: Task) -> Outcome:
    """`full_gaussian` in coordinates whose degrees of centring have been learned."""
    task.bar.say("parameterisation")
    rng = np.random.default_rng(task.seed)
    learned = learn_degrees(task.plan, task.data, task.guide, task.backend, rng, task.clock)
    outcome = full_gaussian(replace(task, plan=learned.plan, guide=learned.guide, start=learned))
    spent = outcome.spent + learned.spent
    return replace(outcome, plan=learned.plan, method=LEARNED, steps=outcome.steps + learned.gradients, spent=spent)


def conditional_chains(task: Task) -> Outcome | None:
    """Chains in the coordinates of the conditional guide: for hierarchies on which its weights are too uneven.

    None where that guide had no outcome, where there are other modes, to which no chain would find, or too few seconds.
    """
    if not task.previous:
        return None
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend, task.clock)
    split = ConditionalTarget(target, hyperparameters(task))
    task.bar.say("conditional chains")
    hyper = fit_hyper(split, rng, CONDITIONAL_DRAWS, conditional_starts(task, target, rng))
    sweeps = sweeps_within(task.seconds - target.spent, split, hyper)
    if not sweeps or len(hyper.modes) > 1:
        return None
    found = run_conditional_chains(split, hyper, rng, sweeps, ENOUGH, task.clock)
    chains, guide = found.chains, moment_matched(_flat(found.chains, MOST_DRAWS))
    weights = _Weights(found.guide_ratios, *bridge(found.ratios.ravel(), found.guide_ratios, chains.effective))
    outcome = _outcome(task, target, chains, guide, weights, _Basis(task.plan))
    return replace(outcome, method=CONDITIONAL_CHAINS, bounds=restricted(found.guide_ratios))


@dataclass(frozen=True)
class _Basis:
    """Where chains begin: coordinates, points (starts, dim) and a whitening, where these are needed."""

    plan: Plan
    rows: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    whitening: Whitening = field(default_factory=lambda: Whitening(np.empty(0), np.empty((0, 0))))
    spent: float = 0.0


@dataclass(frozen=True)
class _Weights:
    """log p(x, z) - log q(z) at draws of a guide near the chains, the log evidence and its relative error."""

    ratios: np.ndarray
    evidence: float
    error: float


def hamiltonian(task: Task) -> Outcome | None:
    """Chains of Hamiltonian Monte Carlo, started from the draws of the fits before and checked to agree.

    None where even chains that need one gradient for a step would not get anywhere in the time left.
    """
    task.bar.say("chains")
    rng = np.random.default_rng(task.seed)
    basis = _basis(task, rng)
    guide = replace(task.guide, plan=basis.plan)
    target = Target(basis.plan, task.data, guide, task.backend, task.clock)
    count = STARTS * TOGETHER
    batch = count * (1.0 + GRADIENT) * target.seconds + OVERHEAD
    if task.previous and (sum(STAGES) + BLOCK) * batch > task.seconds - basis.spent:
        task.clock.lacks("chains")
        return None
    # chains that have begun go on while they do not agree: what is estimated is more than most machines take
    budget = max(FEWEST_BATCHES, int((OVERTIME * task.seconds - basis.spent) / batch))
    chains = run_chains(
        target.log_density, target.gradient, basis.rows, basis.whitening, rng, budget, ENOUGH, task.clock
    )
    half = chains.rows.shape[1] // 2
    gaussian = _gaussian(chains.rows[:, :half].reshape(-1, target.dim), basis.whitening)
    weights = _weights_of(gaussian, target, replace(chains, rows=chains.rows[:, half:]), rng)
    outcome = _outcome(task, target, chains, gaussian, weights, basis)
    rate = f"the chains accept only {chains.acceptance:.0%} of their moves"
    return outcome if chains.acceptance > 0.5 else replace(outcome, problems=(rate,))


def _flat(chains: Chains, most: int) -> np.ndarray:
    """At most so many of the draws: (draws, dim)."""
    rows = chains.rows.reshape(-1, chains.rows.shape[2])
    return rows[:: math.ceil(len(rows) / most)]


def _weights_of(gaussian: Proposal, target: Target, chains: Chains, rng: np.random.Generator) -> _Weights:
    """Of a Gaussian that other chains were matched with; no evidence where it is too far from most posteriors."""
    others = _flat(chains, BOUND_DRAWS)
    ratios = weigh(target.log_density, gaussian, rng, BOUND_DRAWS).log_ratios
    evidence, error = bridge(target.log_density(others) - gaussian.log_density(others), ratios, 0.5 * chains.effective)
    return _Weights(ratios, evidence, error if target.dim <= BRIDGED else math.inf)


def _outcome(
    task: Task, target: Target, chains: Chains, gaussian: Proposal, weights: _Weights, basis: _Basis
) -> Outcome:
    rows = _flat(chains, MOST_DRAWS)
    return Outcome(
        method=HAMILTONIAN,
        parameters=gaussian_parameters(task.guide, gaussian),
        values=target.values(rows),
        log_weights=None,
        ratios=weights.ratios,
        khat=psis(weights.ratios)[1],
        effective=min(chains.effective, float(len(rows))),
        log_evidence=weights.evidence if weights.error < 0.1 else None,
        history=np.array([weights.ratios.mean()]),
        steps=target.evaluations,
        converged=True,
        stopped="the chains agree" if chains.agree else "the budget was spent",
        plan=basis.plan,
        faults=runaways(replace(task.guide, plan=basis.plan), rows.mean(axis=0), rows.std(axis=0)),
        rows=rows,
        rhat=chains.rhat,
        spent=basis.spent + target.spent,
    )


def _basis(task: Task, rng: np.random.Generator) -> _Basis:
    """The learned coordinates where there are any, and the best draws known in them."""
    learned = [outcome for outcome in task.previous if outcome.method == LEARNED]
    known = learned or [outcome for outcome in task.previous if outcome.rows is not None]
    if known and not (adaptable(task.plan) and not learned):
        found = _from_draws(known[-1], task.plan, rng)
        if found is not None:
            return found
    if adaptable(task.plan):
        start = learn_degrees(task.plan, task.data, task.guide, task.backend, rng, task.clock)
        rows = start.mean + start.sd * rng.standard_normal((STARTS, len(start.mean)))
        return _Basis(start.plan, rows, Whitening(start.mean, np.diag(start.sd)), start.spent)
    rows = finite_starts(task.plan, task.data, task.guide, rng, STARTS)
    rows = rows[rng.integers(len(rows), size=STARTS)]
    return _Basis(task.plan, rows, Whitening(rows.mean(axis=0), np.eye(rows.shape[1])))


def _from_draws(outcome: Outcome, plan: Plan, rng: np.random.Generator) -> _Basis | None:
    """Starting points drawn by weight, or all alike where the weights rest on few draws, whitened by the covariance."""
    rows = outcome.rows
    assert rows is not None
    if not np.isfinite(rows).all():
        return None
    logs = outcome.log_weights if outcome.effective >= 2 * STARTS else None
    weights = None if logs is None else np.exp(logs)
    start = rows[rng.choice(len(rows), STARTS, p=weights)]
    many = rows[rng.choice(len(rows), len(rows), p=weights)]
    known = outcome.modes[0] if outcome.modes else None
    gaussian = moment_matched(many) if known is None or not _few(many) else known
    return _Basis(outcome.plan or plan, start, Whitening(gaussian.mean, gaussian.factor))


def _few(rows: np.ndarray) -> bool:
    """Whether rows (draws, dim) tell less of a covariance than a guide does."""
    return len(rows) < 10 * rows.shape[1]


def _gaussian(rows: np.ndarray, known: Whitening) -> Proposal:
    """With the moments of the rows, or where these are few with a covariance that was known before."""
    if not _few(rows) or known.factor.ndim < 2:
        return moment_matched(rows)
    return Proposal(rows.mean(axis=0), np.linalg.cholesky(known.factor @ known.factor.T))
