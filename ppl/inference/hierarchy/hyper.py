"""The hyperparameters of the conditional guide: the mode of their Laplace marginal, and a proposal fitted to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.clock import Clock, TimeSpent
from ppl.inference.hierarchy.conditional import DIP, ConditionalTarget
from ppl.inference.importance.sampling import DF, AnyProposal, Proposal, adapt
from ppl.inference.work import GRADIENT

FEWEST_COPIES, FEWEST_CONDITIONALS = 4, 250
"""Draws of the rest for each of h, and draws of h."""
MANY = 8
"""With more hyperparameters than this, more of their draws and fewer of the rest are made."""
EXPLORATIONS = 3
"""How often the hyperparameters are looked for anew, from a better mode of the rest."""
SECONDS = 3.0
"""Of estimated work for the conditional Gaussians at draws of h."""
NEWTON = 4.0
"""A Newton iteration, with its line search and its factors, against its gradients."""
_NEWTON_STEPS = 60
STAGE, SEARCHED = "the search for the hyperparameters", 0.75
"""What it is called, and its share of the time left; the rest is for the draws."""
GUESS = 0.5
"""The first guess of a hyperparameter's sd."""


@dataclass(frozen=True)
class HyperFit:
    """q(h): a proposal, about the covariance of h, and how many of its draws are affordable.

    `seconds` is about what one conditional Gaussian takes; `modes` (modes, dim) are the separate ones that the rest has
    at the mode of h, as far as they were looked for.
    """

    proposal: AnyProposal
    covariance: np.ndarray
    count: int
    seconds: float
    modes: np.ndarray


def hyper_starts(dim: int, rng: np.random.Generator) -> np.ndarray:
    """Points at which a search over hyperparameters may begin: the middle, and some around it."""
    return np.concatenate([np.zeros((1, dim)), rng.uniform(-2.0, 2.0, (7, dim))])


def fit_hyper(
    conditional: ConditionalTarget, rng: np.random.Generator, draws: int, starts: np.ndarray | None = None
) -> HyperFit:
    """Fit q(h) to the Laplace marginal by adaptive importance sampling, from its mode on.

    `starts` (starts, dim) are full vectors from which other modes of the rest are looked for. It takes a share of the
    time left at most.
    """
    clock = conditional.target.clock.share(SEARCHED)
    mode, factor, modes = _best_mode(conditional, rng, starts, clock)
    first = Proposal(mode, factor, DF)
    seconds = _seconds(conditional, first, rng)
    count = _affordable(conditional, seconds, draws // (FEWEST_COPIES if len(mode) <= MANY else 2))
    strata, tried = 3 if len(mode) <= MANY else 1, min(count, 1000 * len(mode))
    try:
        sample, proposal = adapt(
            lambda h: conditional.marginal(h, clock), first, rng, rounds=4, draws=tried, strata=strata, clock=clock
        )
    except TimeSpent:
        clock.over(STAGE)
        return HyperFit(first, factor @ factor.T, count, seconds, modes)
    return HyperFit(proposal, sample.moments()[1], count, seconds, modes)


def _best_mode(
    conditional: ConditionalTarget, rng: np.random.Generator, starts: np.ndarray | None, clock: Clock
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mode of h with its factor, where the rest is at the best of its modes; and all of those: (modes, dim)."""
    from_here, modes, best = hyper_starts(len(conditional.hyper), rng), np.empty((0, 0)), -np.inf
    for _ in range(EXPLORATIONS):
        mode, factor = _hyper_mode(conditional, from_here, clock)
        conditional.recentre(mode)
        if starts is None or clock.over(STAGE):
            break
        found_at = conditional.explore(mode, starts[:, conditional.rest])
        modes = conditional.rows(np.tile(mode, (len(found_at), 1)), found_at)
        found = float(conditional.marginal(mode[None])[0])
        if found < best + DIP:
            break
        from_here, best = mode[None], found
    return mode, factor, modes


def _seconds(conditional: ConditionalTarget, proposal: Proposal, rng: np.random.Generator) -> float:
    """What one conditional Gaussian takes, roughly.

    Told from the gradients that a few of them take, not by a clock: equal seeds give equal results.
    """
    target, tries = conditional.target, 20
    before = target.evaluations
    conditional.at(proposal.draw(rng, tries))
    gradients = (target.evaluations - before) / tries
    return gradients * NEWTON * GRADIENT * target.seconds


def _affordable(conditional: ConditionalTarget, seconds: float, most: int) -> int:
    """How many conditional Gaussians of so many seconds can be found in `SECONDS`: a power of two times the fewest."""
    possible = SECONDS / seconds
    count = max(FEWEST_CONDITIONALS, 40 * len(conditional.hyper))
    while 2 * count <= min(possible, most):
        count *= 2
    return count


def _hyper_mode(conditional: ConditionalTarget, starts: np.ndarray, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """The mode of the Laplace marginal and a Cholesky factor of its inverse curvature, the best that time allows.

    Newton's method with derivatives from differences, all points of an iteration in one batch, the step lengths too.
    """
    values = conditional.marginal(starts)
    mode, best, factor = starts[int(np.argmax(values))], float(values.max()), GUESS * np.eye(starts.shape[1])
    try:
        for _ in range(_NEWTON_STEPS):
            conditional.recentre(mode)
            gradient, factor = _derivatives(conditional, mode, clock)
            step = factor @ (factor.T @ gradient)
            step *= min(1.0, _LONGEST / (float(np.linalg.norm(step)) + 1e-300))
            trials = mode + _LENGTHS[:, None] * step
            found = conditional.marginal(trials, clock)
            longest = int(np.argmax(found))
            gained = float(found[longest]) - best
            if gained > 0.0:
                mode, best = trials[longest], float(found[longest])
            if not gained > 1e-4:
                break
        return mode, _derivatives(conditional, mode, clock)[1]
    except TimeSpent:
        clock.over(STAGE)
        return mode, factor


_LENGTHS = 2.0 ** np.arange(1, -8, -1)
_LONGEST, _DIFFERENCE = 2.0, 0.05
"""The longest Newton step and the distance of the differences, in unconstrained units of a hyperparameter."""


def _derivatives(conditional: ConditionalTarget, at: np.ndarray, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the Laplace marginal and a Cholesky factor of minus its inverse Hessian, made positive definite."""
    dim = len(at)
    i, j = np.tril_indices(dim, -1)
    basis = _DIFFERENCE * np.eye(dim)
    both = basis[i] + basis[j]
    values = conditional.marginal(np.concatenate([at[None], at + basis, at - basis, at + both, at - both]), clock)
    up, down = values[1 : dim + 1], values[dim + 1 : 2 * dim + 1]
    gradient = (up - down) / (2.0 * _DIFFERENCE)
    bend = up + down - 2.0 * values[0]
    hessian = np.diag(bend / _DIFFERENCE**2)
    corners = values[2 * dim + 1 :].reshape(2, -1).sum(axis=0) - 2.0 * values[0]
    hessian[i, j] = hessian[j, i] = (corners - bend[i] - bend[j]) / (2.0 * _DIFFERENCE**2)
    hessian = np.where(np.isfinite(hessian), hessian, -np.eye(dim))
    roots, vectors = np.linalg.eigh(-hessian)
    roots = np.clip(np.abs(roots), 0.05, 1e8)  # a hyperparameter's sd in unconstrained space is a few units at most
    return np.where(np.isfinite(gradient), gradient, 0.0), np.linalg.cholesky((vectors / roots) @ vectors.T)
