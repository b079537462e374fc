"""Two rungs above the first fit: learned parameterisations, and chains that correct what no guide gets right."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler.parameterise import adaptable
from ppl.guides import Guide
from ppl.inference.chains.hamiltonian import STARTS, TOGETHER, Chains, run_chains
from ppl.inference.deterministic.mean_field import Whitening
from ppl.inference.deterministic.parameterisation import learn_degrees
from ppl.inference.importance.evidence import bridge
from ppl.inference.importance.psis import psis
from ppl.inference.importance.sampling import Proposal
from ppl.inference.improper import runaways
from ppl.inference.methods import Task, full_gaussian, gaussian_parameters, moment_matched
from ppl.inference.outcome import Outcome
from ppl.inference.start import finite_starts
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT
from ppl.model.plan import Plan

LEARNED, HAMILTONIAN = "learned parameterisation", "hamiltonian"
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
    learned = learn_degrees(task.plan, task.data, task.guide, task.backend, rng)
    outcome = full_gaussian(replace(task, plan=learned.plan, guide=learned.guide, start=learned))
    spent = outcome.spent + learned.spent
    return replace(outcome, plan=learned.plan, method=LEARNED, steps=outcome.steps + learned.gradients, spent=spent)


@dataclass(frozen=True)
class _Basis:
    """Where chains begin: coordinates, points (starts, dim) and a whitening."""

    plan: Plan
    rows: np.ndarray
    whitening: Whitening
    spent: float = 0.0


def hamiltonian(task: Task) -> Outcome:
    """Chains of Hamiltonian Monte Carlo, started from the draws of the fits before and checked to agree."""
    task.bar.say("chains")
    rng = np.random.default_rng(task.seed)
    basis = _basis(task, rng)
    guide = replace(task.guide, plan=basis.plan)
    target = Target(basis.plan, task.data, guide, task.backend)
    count = STARTS * TOGETHER
    batch = count * (1.0 + GRADIENT) * target.seconds + OVERHEAD
    budget = max(FEWEST_BATCHES, int((task.seconds - basis.spent) / batch))
    chains = run_chains(target.log_density, target.gradient, basis.rows, basis.whitening, rng, budget, ENOUGH)
    return _outcome(task, target, guide, chains, rng, basis)


def _outcome(
    task: Task, target: Target, guide: Guide, chains: Chains, rng: np.random.Generator, basis: _Basis
) -> Outcome:
    rows = chains.rows.reshape(-1, target.dim)
    rows = rows[:: math.ceil(len(rows) / MOST_DRAWS)]
    half = chains.rows.shape[1] // 2
    gaussian = moment_matched(chains.rows[:, :half].reshape(-1, target.dim))
    others = chains.rows[:, half:].reshape(-1, target.dim)
    others = others[:: math.ceil(len(others) / BOUND_DRAWS)]
    drawn = gaussian.draw(rng, BOUND_DRAWS)
    ratios = target.log_density(drawn) - gaussian.log_density(drawn)
    ratios = np.where(np.isnan(ratios), -np.inf, ratios)
    evidence, error = bridge(target.log_density(others) - gaussian.log_density(others), ratios, 0.5 * chains.effective)
    problems = () if chains.acceptance > 0.5 else (f"the chains accept only {chains.acceptance:.0%} of their moves",)
    return Outcome(
        method=HAMILTONIAN,
        parameters=gaussian_parameters(task.guide, gaussian),
        values=target.values(rows),
        log_weights=None,
        ratios=ratios,
        khat=psis(ratios)[1],
        effective=min(chains.effective, float(len(rows))),
        log_evidence=evidence if error < 0.1 and target.dim <= BRIDGED else None,
        history=np.array([ratios.mean()]),
        steps=target.evaluations,
        converged=True,
        stopped="the chains agree" if chains.agree else "the budget was spent",
        plan=basis.plan,
        faults=runaways(guide, rows.mean(axis=0), rows.std(axis=0)),
        problems=problems,
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
        start = learn_degrees(task.plan, task.data, task.guide, task.backend, rng)
        rows = start.mean + start.sd * rng.standard_normal((STARTS, len(start.mean)))
        return _Basis(start.plan, rows, Whitening(start.mean, np.diag(start.sd)), start.spent)
    rows = finite_starts(task.plan, task.data, task.guide, rng, STARTS)
    rows = rows[rng.integers(len(rows), size=STARTS)]
    return _Basis(task.plan, rows, Whitening(rows.mean(axis=0), np.eye(rows.shape[1])))


def _from_draws(outcome: Outcome, plan: Plan, rng: np.random.Generator) -> _Basis | None:
    """Starting points drawn by weight, whitened by the covariance; None where the weights rest on few draws."""
    rows = outcome.rows
    assert rows is not None
    if not np.isfinite(rows).all() or outcome.effective < 2 * STARTS:
        return None
    weights = None if outcome.log_weights is None else np.exp(outcome.log_weights)
    start = rows[rng.choice(len(rows), STARTS, p=weights)]
    many = rows[rng.choice(len(rows), len(rows), p=weights)]
    gaussian: Proposal = moment_matched(many)
    return _Basis(outcome.plan or plan, start, Whitening(gaussian.mean, gaussian.factor))
