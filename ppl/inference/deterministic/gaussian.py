"""Deterministic fitting: modes, whitening, mean field with linear response, importance correction.

No step size and no tuning; the randomness is a few fixed draws and the importance sample, both from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.large import LARGE, fit_large
from ppl.inference.deterministic.mean_field import STAGE, LinearResponse, fit_mean_field, paired_draws, whiten
from ppl.inference.deterministic.mode import Mode
from ppl.inference.deterministic.multistart import find_modes
from ppl.inference.deterministic.parameterisation import Learned
from ppl.inference.importance.sampling import Mixture, Proposal, Weighted, adapt, nearest_mode, weigh
from ppl.inference.improper import boundless
from ppl.inference.progress import Progress
from ppl.inference.target import Target

PAIRS = (16, 64)
ADAPTIVE_LIMIT = 60
"""Above this many dimensions moments from weighted draws are noisier than the linear response."""
ROUNDS, ALONG = 5, 0.1
"""Of adaptive importance sampling; and the share of its draws that have heavy tails along single coordinates."""
SECONDS_A_ROUND = 0.4
MOST_DRAWS, FEWEST_DRAWS = 20_000, 4_000


@dataclass(frozen=True)
class GaussianFit:
    """A whitened mean field with its linear response, and the importance sample that corrects it.

    `modes` are the separate modes found, the best first; `shares` their weights in the posterior, `proposals` a
    Gaussian for each, the fitted one for the first. Where there are `faults` the posterior is improper, and only the
    curvature at the first mode was looked at.
    """

    modes: tuple[Mode, ...]
    shares: tuple[float, ...]
    proposals: tuple[Proposal, ...]
    response: LinearResponse
    gaussian: Proposal
    plain: Weighted
    weighted: Weighted
    faults: tuple[str, ...] = ()


def fit_gaussian(
    target: Target, starts: np.ndarray, rng: np.random.Generator, bar: Progress, learned: Learned | None = None
) -> GaussianFit:
    """Fit the target from the given starting points (starts, dim), the best first.

    Mean field begins at the best mode, and at a `learned` mean field too where there is one.
    """
    bar.say("finding modes")
    modes = find_modes(target, starts, rng)
    faults = boundless(target, modes[0])
    if faults:
        response = curvature_alone(modes[0], sound=False)
        gaussian = Proposal(response.mean, _factor(response, modes[0]))
        plain = weigh(target.log_density, gaussian, rng, FEWEST_DRAWS)
        return GaussianFit(tuple(modes[:1]), (1.0,), (gaussian,), response, gaussian, plain, plain, faults)
    bar.say("mean field")
    if target.clock.over(STAGE):
        response = curvature_alone(modes[0], sound=modes[0].found)
    else:
        response = respond(target, modes[0].whitening, rng)
    if learned is not None and not target.clock.over(STAGE):
        around = averaged_whitening(target, learned.mean, learned.sd, rng)
        response = max(response, respond(target, around, rng), key=_bound)
    bar.say("importance weights")
    gaussian = Proposal(response.mean, _factor(response, modes[0]))
    draws = affordable_draws(target)
    plain = weigh(target.log_density, gaussian, rng, draws)
    proposals = [gaussian, *(Proposal(mode.vector, _lower(mode.whitening.factor)) for mode in modes[1:])]
    weighted, clock = plain, target.clock
    if len(modes) > 1:
        first = Mixture(tuple(proposals), (1.0 / len(modes),) * len(modes))
        weighted, _ = adapt(target.log_density, first, rng, ROUNDS, draws, modes=proposals, clock=clock, along=ALONG)
    elif target.dim <= ADAPTIVE_LIMIT:
        weighted, _ = adapt(target.log_density, gaussian, rng, ROUNDS, draws, begun=plain, clock=clock, along=ALONG)
    owner = nearest_mode(weighted.rows, proposals)
    shares = [float(np.exp(weighted.log_weights)[owner == k].sum()) for k in range(len(modes))]
    return GaussianFit(tuple(modes), tuple(shares), tuple(proposals), response, gaussian, plain, weighted)


def curvature_alone(mode: Mode, sound: bool) -> LinearResponse:
    """What the curvature at a mode says, where an improper posterior is not worth more or time does not allow it."""
    factor = np.nan_to_num(mode.whitening.factor, posinf=1e9, neginf=-1e9)
    covariance = factor @ factor.T
    sd = np.sqrt(np.diag(covariance))
    error = 0.0 if sound else np.inf
    return LinearResponse(mode.vector, covariance, sd, error, sound, -np.inf, np.array([mode.value]))


def respond(target: Target, whitening: Whitening, rng: np.random.Generator) -> LinearResponse:
    """Mean field in the whitened coordinates; more draws where the first few leave the mean uncertain."""
    for pairs in PAIRS:
        if target.dim > LARGE:
            response = fit_large(target, whitening, rng, pairs)
        else:
            response = fit_mean_field(target, whitening, rng, pairs, target.clock)
        if (response.sound and response.mean_error < 0.05) or target.clock.over(STAGE):
            break
    return response


def averaged_whitening(target: Target, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> Whitening:
    """Coordinates from the Hessian averaged over draws around a mean, where that at one point says little."""
    draws = mean + sd * paired_draws(rng, PAIRS[0], len(mean))
    hessian = target.hessians(draws, 1e-3 * sd).mean(axis=0)
    return whiten(mean, hessian) if np.all(np.isfinite(hessian)) else Whitening(mean, np.diag(sd))


def _bound(response: LinearResponse) -> float:
    """The ELBO, where a maximum was found."""
    return response.elbo if response.sound and np.isfinite(response.elbo) else -np.inf


def _lower(factor: np.ndarray) -> np.ndarray:
    return np.linalg.cholesky(factor @ factor.T)


def _factor(response: LinearResponse, mode: Mode) -> np.ndarray:
    """A Cholesky factor of the linear-response covariance; the whitening's where that is not sound."""
    try:
        return np.linalg.cholesky(response.covariance)
    except np.linalg.LinAlgError:
        return _lower(mode.whitening.factor)


def affordable_draws(target: Target) -> int:
    """How many log densities fit into `SECONDS_A_ROUND`, within limits: a power of two times the fewest."""
    draws = FEWEST_DRAWS
    while draws < MOST_DRAWS and 2 * draws * target.seconds <= SECONDS_A_ROUND:
        draws *= 2
    return draws
