"""The hyperparameters of the conditional guide: the mode of their Laplace marginal, and a proposal fitted to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.hierarchy.conditional import DIP, ConditionalTarget
from ppl.inference.importance.sampling import DF, AnyProposal, Proposal, Weighted, adapt
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


@dataclass(frozen=True)
class HyperFit:
    """q(h): a proposal, the weighted draws of h it was fitted to, and how many of its draws are affordable.

    `seconds` is about what one conditional Gaussian takes; `modes` (modes, dim) are the separate ones that the rest has
    at the mode of h, as far as they were looked for.
    """

    proposal: AnyProposal
    sample: Weighted
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

    `starts` (starts, dim) are full vectors from which other modes of the rest are looked for.
    """
    mode, factor, modes = _best_mode(conditional, rng, starts)
    first = Proposal(mode, factor, DF)
    seconds = _seconds(conditional, first, rng)
    count = _affordable(conditional, seconds, draws // (FEWEST_COPIES if len(mode) <= MANY else 2))
    sample, proposal = adapt(
        conditional.marginal,
        first,
        rng,
        rounds=4,
        draws=min(count, 1000 * len(mode)),
        strata=3 if len(mode) <= MANY else 1,
    )
    return HyperFit(proposal, sample, count, seconds, modes)


def _best_mode(
    conditional: ConditionalTarget, rng: np.random.Generator, starts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mode of h with its factor, where the rest is at the best of its modes; and all of those: (modes, dim)."""
    from_here, modes, best = hyper_starts(len(conditional.hyper), rng), np.empty((0, 0)), -np.inf
    for _ in range(EXPLORATIONS):
        mode, factor = _hyper_mode(conditional, from_here)
        conditional.recentre(mode)
        if starts is None:
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


def _hyper_mode(conditional: ConditionalTarget, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mode of the Laplace marginal and a Cholesky factor of its inverse curvature.

    Newton's method with derivatives from differences, all points of an iteration in one batch, the step lengths too.
    """
    values = conditional.marginal(starts)
    mode, best = starts[int(np.argmax(values))], float(values.max())
    for _ in range(_NEWTON_STEPS):
        conditional.recentre(mode)
        gradient, factor = _derivatives(conditional, mode)
        step = factor @ (factor.T @ gradient)
        step *= min(1.0, _LONGEST / (float(np.linalg.norm(step)) + 1e-300))
        trials = mode + _LENGTHS[:, None] * step
        found = conditional.marginal(trials)
        longest = int(np.argmax(found))
        gained = float(found[longest]) - best
        if gained > 0.0:
            mode, best = trials[longest], float(found[longest])
        if not gained > 1e-4:
            break
    return mode, _derivatives(conditional, mode)[1]


_LENGTHS = 2.0 ** np.arange(1, -8, -1)
_LONGEST, _DIFFERENCE = 2.0, 0.05
"""The longest Newton step and the distance of the differences, in unconstrained units of a hyperparameter."""


def _derivatives(conditional: ConditionalTarget, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the Laplace marginal and a Cholesky factor of minus its inverse Hessian, made positive definite."""
    dim = len(at)
    pairs = [(i, j) for i in range(dim) for j in range(i)]
    basis = _DIFFERENCE * np.eye(dim)
    corners = [at + a * basis[i] + b * basis[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    values = conditional.marginal(np.array([at, *(at + basis), *(at - basis), *corners]))
    up, down = values[1 : dim + 1], values[dim + 1 : 2 * dim + 1]
    gradient = (up - down) / (2.0 * _DIFFERENCE)
    hessian = np.diag((up + down - 2.0 * values[0]) / _DIFFERENCE**2)
    for (i, j), (pp, pm, mp, mm) in zip(pairs, values[2 * dim + 1 :].reshape(-1, 4), strict=True):
        hessian[i, j] = hessian[j, i] = (pp - pm - mp + mm) / (4.0 * _DIFFERENCE**2)
    hessian = np.where(np.isfinite(hessian), hessian, -np.eye(dim))
    roots, vectors = np.linalg.eigh(-hessian)
    roots = np.clip(np.abs(roots), 0.05, 1e8)  # a hyperparameter's sd in unconstrained space is a few units at most
    return np.where(np.isfinite(gradient), gradient, 0.0), np.linalg.cholesky((vectors / roots) @ vectors.T)
