"""Weighted draws of the conditional guide: hyperparameters from q(h), then some of the rest for each."""

from __future__ import annotations

import math

import numpy as np

from ppl.inference.hierarchy.conditional import HALF_LOG_TWO_PI, ConditionalTarget
from ppl.inference.hierarchy.hyper import HyperFit
from ppl.inference.importance.psis import log_ratios, psis
from ppl.inference.importance.sampling import DF, Weighted, exact_moments, student_constant

STAGE, FEWEST = "the draws", 64
"""Draws of h that are made however late it is."""
HEAVY_SHARE = 0.25
"""Of the pairs of draws of the rest those with the tails of a Student-t."""


def fit_conditional(conditional: ConditionalTarget, hyper: HyperFit, rng: np.random.Generator, draws: int) -> Weighted:
    """Draw h from q(h) and then some u for each, weigh by the exact joint density: weighted full vectors.

    Fewer where the time is spent before.
    """
    copies = 2 * max(1, draws // (2 * hyper.count))
    h = hyper.proposal.draw(rng, hyper.count)
    log_q_h = hyper.proposal.log_density(h)
    rows, log_q = _draw_rest(conditional, h, log_q_h, rng, copies)
    return _weighted_in_copies(rows, log_ratios(conditional.target.log_density(rows), log_q), copies)


def _weighted_in_copies(rows: np.ndarray, ratios: np.ndarray, copies: int) -> Weighted:
    """Weights of rows that share a draw of h: the tail is judged by the mean ratio of each h, its independent unit."""
    groups = np.logaddexp.reduce(ratios.reshape(-1, copies), axis=1) - np.log(copies)
    smoothed, khat = psis(groups)
    with np.errstate(invalid="ignore"):
        within = ratios.reshape(-1, copies) - groups[:, None] - np.log(copies)
    within = np.where(np.isfinite(within), within, -np.inf)
    return Weighted(rows, (smoothed[:, None] + within).ravel(), ratios, khat, copies)


def _draw_rest(
    conditional: ConditionalTarget, h: np.ndarray, log_q_h: np.ndarray, rng: np.random.Generator, copies: int
) -> tuple[np.ndarray, np.ndarray]:
    """Antithetic draws of u given each h: full vectors (len(h) * copies, dim) and their log densities under the guide.

    One pair in four is a Student-t's, and the density is the mixture's: it bounds the weights where the conditional
    has heavier tails than a Gaussian.
    """
    du, pairs = len(conditional.rest), copies // 2
    noise = exact_moments(rng.standard_normal((len(h) * pairs, du))).reshape(len(h), pairs, du)
    heavy = rng.random((len(h), pairs)) < HEAVY_SHARE
    mixing = np.where(heavy, rng.chisquare(DF, (len(h), pairs)) / DF, 1.0)
    noise = noise / np.sqrt(mixing)[..., None]
    density = _mixture_density(np.sum(noise**2, axis=2), du)
    rows, log_q = np.empty((len(h), copies, conditional.target.dim)), np.empty((len(h), copies))
    done = np.zeros(len(h), dtype=bool)
    parts = len(conditional.blocks(h, conditional.quick))
    for start in range(parts):
        if done.sum() >= FEWEST and conditional.target.clock.over(STAGE):
            break
        mine = slice(start, None, parts)  # spread over the strata of q(h), so that those done are draws of it too
        found = conditional.at(h[mine])
        moves = [found.factor.backward(noise[mine, pair]) for pair in range(pairs)]
        u = np.stack([found.modes + sign * move for sign in (1, -1) for move in moves], axis=1)
        full = conditional.rows(np.repeat(h[mine], copies, axis=0), u.reshape(-1, du))
        rows[mine] = full.reshape(-1, copies, conditional.target.dim)
        log_q[mine] = 0.5 * found.factor.log_det[:, None] + np.tile(density[mine], 2) + log_q_h[mine, None]
        done[mine] = True
    return rows[done].reshape(-1, conditional.target.dim), log_q[done].ravel()


def _mixture_density(square: np.ndarray, dim: int) -> np.ndarray:
    """Log density of the standard normal and Student-t mixture in `dim` dimensions, at points of this squared
    length.
    """
    student = student_constant(dim, DF) - 0.5 * (DF + dim) * np.log1p(square / DF)
    normal = -0.5 * square - dim * HALF_LOG_TWO_PI
    return np.logaddexp(math.log(1.0 - HEAVY_SHARE) + normal, math.log(HEAVY_SHARE) + student)
