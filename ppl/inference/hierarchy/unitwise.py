"""The conditional guide where many local units are not Gaussian given the rest: unit by unit.

Hyperparameters and whatever touches many units are the shared coordinates; their proposal is fitted to the Laplace
marginal density, and every draw of them is weighed by an unbiased estimate of the exact one (`units`).
"""

from __future__ import annotations

import numpy as np

from ppl.inference.hierarchy.conditional import ConditionalTarget
from ppl.inference.hierarchy.hyper import hyper_starts
from ppl.inference.hierarchy.units import UnitsTarget
from ppl.inference.importance.psis import log_ratios
from ppl.inference.importance.sampling import DF, AnyProposal, Proposal, Weighted, adapt, matched
from ppl.inference.work import GRADIENT

DRAWS, PICKS = 3000, 4
"""Draws of the shared coordinates, and full vectors made of each."""
FEWEST_DRAWS = 1000
ROUNDS = 2
"""How often the draws may be weighed exactly, each time from what the time before has shown."""
SECONDS = 8.0
HYPER_SCALE, STEP = 0.5, 0.1
"""The first guess of a hyperparameter's sd, and the step of differences in sds."""
_STEPS = 60
STAGE = "the search for the shared unknowns"


def start_of(split: ConditionalTarget, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shared coordinates of a target split at its hyperparameters, with a point and scales to begin from."""
    starts = hyper_starts(len(split.hyper), rng)
    best = starts[int(np.argmax(split.marginal(starts)))]
    found = split.at(best[None])
    border = split.pattern.border
    corner = found.factor.corner[0]
    spread = np.sqrt(np.sum(np.linalg.inv(corner) ** 2, axis=0)) if len(border) else np.zeros(0)
    shared = np.concatenate([split.hyper, split.rest[border]])
    point = np.concatenate([best, found.modes[0, border]])
    scale = np.concatenate([np.full(len(best), HYPER_SCALE), spread])
    order = np.argsort(shared)
    return shared[order], point[order], scale[order]


def fit_units(target: UnitsTarget, point: np.ndarray, scale: np.ndarray, rng: np.random.Generator) -> Weighted:
    """Weighted full vectors, `PICKS` of which share a draw of the shared coordinates."""
    split, clock = target.split, target.target.clock
    mode, factor = _mode(split, point, scale)
    split.recentre(mode)
    strata = 3 if target.dim <= 8 else 1
    count = _affordable(target, mode)
    first, tried = Proposal(mode, factor, DF), min(count, 400 * target.dim)
    _, proposal = adapt(split.marginal, first, rng, rounds=3, draws=tried, strata=strata, clock=clock)
    best: Weighted | None = None
    count = min(count, FEWEST_DRAWS) if clock.over("the draws") else count
    for _ in range(ROUNDS):
        found, shared = _weigh(target, proposal, rng, count)
        if best is None or (found.good, found.effective) > (best.good, best.effective):
            best = found
        following = matched(shared, strata, ())
        if (found.good and found.effective > 0.5 * count) or following is None or clock.over():
            break
        proposal = following
    assert best is not None
    return best


def _affordable(target: UnitsTarget, mode: np.ndarray) -> int:
    """How many draws fit into `SECONDS` of estimated work."""
    inner, tries = target.target, 20
    before = inner.evaluations
    target.split.at(np.tile(mode, (tries, 1)))
    one = ((inner.evaluations - before) / tries * GRADIENT + target.candidates) * inner.seconds
    return int(np.clip(SECONDS / one, FEWEST_DRAWS, DRAWS)) // 2 * 2


def _weigh(
    target: UnitsTarget, proposal: AnyProposal, rng: np.random.Generator, count: int
) -> tuple[Weighted, Weighted]:
    """Full vectors with their weights, and the shared coordinates with theirs."""
    shared = proposal.draw(rng, count)
    found = target.estimate(shared, PICKS)
    weighed = Weighted.of(shared, log_ratios(found.values, proposal.log_density(shared)))
    each = np.repeat(weighed.log_weights - np.log(PICKS), PICKS)
    full = Weighted(found.rows, each, np.repeat(weighed.log_ratios, PICKS), weighed.khat, PICKS)
    return full, weighed


def _mode(split: ConditionalTarget, point: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mode of the Laplace marginal and a Cholesky factor of its inverse curvature, in batches of differences."""
    from scipy.optimize import minimize

    dim = len(point)
    basis = STEP * np.eye(dim)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        values = split.marginal(point + scale * np.array([x, *(x + basis), *(x - basis)]))
        gradient = (values[1 : dim + 1] - values[dim + 1 :]) / (2.0 * STEP)
        if not np.isfinite(values).all():
            return np.inf, np.zeros(dim)
        return -float(values[0]), -gradient

    found = minimize(
        loss,
        np.zeros(dim),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS, "ftol": 1e-8},
        callback=split.target.clock.stopper(STAGE),
    )
    mode = point + scale * found.x
    split.recentre(mode)
    return mode, scale[:, None] * _inverse_root(split, mode, scale)


def _inverse_root(split: ConditionalTarget, mode: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A Cholesky factor of the inverse of minus the Hessian in units of `scale`, made positive definite."""
    dim = len(mode)
    step = 2.0 * STEP * np.eye(dim)
    pairs = np.array([(i, j) for i in range(dim) for j in range(i)], dtype=int).reshape(-1, 2)
    moves = np.array([np.zeros(dim), *step, *-step, *(step[pairs[:, 0]] + step[pairs[:, 1]])])
    values = split.marginal(mode + scale * moves)
    middle, up, down, both = values[0], values[1 : dim + 1], values[dim + 1 : 2 * dim + 1], values[2 * dim + 1 :]
    size = (2.0 * STEP) ** 2
    hessian = np.diag((up + down - 2.0 * middle) / size)
    mixed = (both - up[pairs[:, 0]] - up[pairs[:, 1]] + middle) / size
    hessian[pairs[:, 0], pairs[:, 1]] = hessian[pairs[:, 1], pairs[:, 0]] = mixed
    hessian = np.where(np.isfinite(hessian), hessian, -np.eye(dim))
    roots, vectors = np.linalg.eigh(-hessian)
    roots = np.clip(np.abs(roots), 0.02, 1e6)
    return np.linalg.cholesky((vectors / roots) @ vectors.T)
