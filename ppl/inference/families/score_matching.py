"""Full-rank Gaussians by matching scores: batch and match (Cai et al. 2024, ICML).

Every step has a closed form, from draws of the last Gaussian and the posterior's gradients at them. A step that is not
finite, not positive definite or out of proportion is not taken, and what is returned is the mean over the last steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.importance.sampling import Proposal
from ppl.inference.target import Target

STAGE = "score matching"
BATCH, STEPS, WINDOW = 32, 400, 50
SETTLED = 0.05
"""Change of means in sds, and of log sds, from one window to the next, below which they have settled."""
LEAP = 20.0
"""A step further than this many sds, or that changes a variance more than that many times over squared, is refused."""


@dataclass(frozen=True)
class Matched:
    """The Gaussian, whether it has settled, and how many steps that took."""

    gaussian: Proposal
    converged: bool
    steps: int


def fit_score_matching(target: Target, start: Proposal, rng: np.random.Generator, clock: Clock = ENDLESS) -> Matched:
    """Batch and match from a Gaussian, in the coordinates in which that is standard."""
    dim = target.dim
    batch = max(BATCH, min(2 * dim, 256))
    mean, covariance = np.zeros(dim), np.eye(dim)
    means, covariances, before, step = [], [], None, 0
    for step in range(1, STEPS + 1):
        if before is not None and clock.over(STAGE):
            break
        factor = np.linalg.cholesky(covariance)
        rows = mean + rng.standard_normal((batch, dim)) @ factor.T
        scores = target.gradient(start.mean + rows @ start.factor.T) @ start.factor
        usable = np.all(np.isfinite(scores), axis=1)
        if usable.sum() > batch // 2:
            found = matched(mean, covariance, rows[usable], scores[usable], batch * dim / step)
            if found is not None and _in_proportion(mean, covariance, *found):
                mean, covariance = found
        means.append(mean)
        covariances.append(covariance)
        if step % WINDOW == 0:
            now = np.mean(means, axis=0), np.mean(covariances, axis=0)
            means, covariances = [], []
            if before is not None and _settled(before, now):
                return Matched(_moved(start, *now), True, step)
            before = now
    assert before is not None
    return Matched(_moved(start, *before), False, step)


def matched(
    mean: np.ndarray, covariance: np.ndarray, rows: np.ndarray, scores: np.ndarray, rate: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """The Gaussian that matches the scores at these rows best, less its divergence from the last one over `rate`.

    None where it is not finite or not positive definite.
    """
    share = rate / (1.0 + rate)
    row, score = rows.mean(axis=0), scores.mean(axis=0)
    spread, gradients = (np.cov(part.T, ddof=0).reshape(covariance.shape) for part in (rows, scores))
    curvature = rate * gradients + share * np.outer(score, score)
    wanted = covariance + rate * spread + share * np.outer(mean - row, mean - row)
    try:
        factor = np.linalg.cholesky(wanted)
        values, vectors = np.linalg.eigh(np.eye(len(mean)) + 4.0 * factor.T @ curvature @ factor)
        turned = factor @ vectors / np.sqrt(0.5 * (1.0 + np.sqrt(values)))
        covariance = turned @ turned.T
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None
    return mean / (1.0 + rate) + share * (covariance @ score + row), covariance


def _in_proportion(mean: np.ndarray, covariance: np.ndarray, next_mean: np.ndarray, following: np.ndarray) -> bool:
    sd = np.sqrt(np.diag(covariance))
    change = np.abs(np.log(np.diag(following) / np.diag(covariance)))
    return bool(np.all(np.abs(next_mean - mean) < LEAP * sd) and np.all(change < 2.0 * np.log(LEAP)))


def _settled(before: tuple[np.ndarray, np.ndarray], now: tuple[np.ndarray, np.ndarray]) -> bool:
    sd, last = np.sqrt(np.diag(now[1])), np.sqrt(np.diag(before[1]))
    return bool(np.all(np.abs(now[0] - before[0]) < SETTLED * sd) and np.all(np.abs(np.log(sd / last)) < SETTLED))


def _moved(start: Proposal, mean: np.ndarray, covariance: np.ndarray) -> Proposal:
    """Back in the target's coordinates."""
    sd = np.sqrt(np.diag(covariance))
    ridge = 1e-10 * np.eye(len(sd))  # the mean of positive definite matrices may have lost that to rounding
    root = sd[:, None] * np.linalg.cholesky(covariance / np.outer(sd, sd) + ridge)
    upper = np.asarray(np.linalg.qr((start.factor @ root).T)[1])
    signs = np.where(np.diag(upper) < 0.0, -1.0, 1.0)
    return Proposal(start.mean + start.factor @ mean, upper.T * signs)
