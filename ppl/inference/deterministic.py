"""Deterministic fitting: modes, whitening, mean field with linear response, importance correction.

No step size and no tuning; the randomness is a few fixed draws and the importance sample, both from the seed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from ppl.inference.importance import Proposal, Weighted, adapt, weigh
from ppl.inference.mean_field_fit import LinearResponse, fit_mean_field
from ppl.inference.mode import Mode, find_mode
from ppl.inference.progress import Progress
from ppl.inference.target import Target

PAIRS = (16, 64)
ADAPTIVE_LIMIT = 60
"""Above this many dimensions moments from weighted draws are noisier than the linear response."""
SECONDS_A_ROUND = 0.4
MOST_DRAWS, FEWEST_DRAWS = 20_000, 4_000


@dataclass(frozen=True)
class GaussianFit:
    """A whitened mean field with its linear response, and the importance sample that corrects it."""

    modes: tuple[Mode, ...]
    response: LinearResponse
    gaussian: Proposal
    plain: Weighted
    weighted: Weighted


def fit_gaussian(target: Target, starts: np.ndarray, rng: np.random.Generator, bar: Progress) -> GaussianFit:
    """Fit the target from the given starting points (starts, dim), the best first."""
    bar.say("finding modes")
    modes = sorted((find_mode(target, start) for start in starts), key=lambda mode: -_rank(mode))
    bar.say("mean field")
    for pairs in PAIRS:
        response = fit_mean_field(
            target.log_density, target.value_and_gradient, target.hessians, modes[0].whitening, rng, pairs
        )
        if response.sound and response.mean_error < 0.05:
            break
    bar.say("importance weights")
    gaussian = Proposal(response.mean, _factor(response, modes[0]))
    draws = affordable_draws(target, gaussian, rng)
    plain = weigh(target.log_density, gaussian, rng, draws)
    weighted = plain
    if target.dim <= ADAPTIVE_LIMIT:
        weighted, _ = adapt(target.log_density, gaussian, rng, rounds=5, draws=draws)
    return GaussianFit(tuple(modes), response, gaussian, plain, weighted)


def _rank(mode: Mode) -> float:
    return mode.evidence if np.isfinite(mode.evidence) else -np.inf


def _factor(response: LinearResponse, mode: Mode) -> np.ndarray:
    """A Cholesky factor of the linear-response covariance; the whitening's where that is not sound."""
    try:
        return np.linalg.cholesky(response.covariance)
    except np.linalg.LinAlgError:
        return np.linalg.cholesky(mode.whitening.factor @ mode.whitening.factor.T)


def affordable_draws(target: Target, proposal: Proposal, rng: np.random.Generator) -> int:
    """How many log densities fit into `SECONDS_A_ROUND`, within limits; measured, rounded to a power of two times 1000.

    Rounding keeps the number, and so every result, the same on machines of about the same speed.
    """
    rows = proposal.draw(rng, 500)
    target.log_density(rows)
    began = time.perf_counter()
    target.log_density(rows)
    possible = 500 * SECONDS_A_ROUND / max(time.perf_counter() - began, 1e-6)
    draws = FEWEST_DRAWS
    while draws < MOST_DRAWS and 2 * draws <= possible:
        draws *= 2
    return draws
