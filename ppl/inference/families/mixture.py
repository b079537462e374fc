"""Mixtures of Gaussians by population Monte Carlo (Cappé, Douc, Guillin, Marin and Robert 2008).

Draws of the mixture are weighed against the exact density; the weights and the responsibilities of the components move
every component to where the posterior's weight is, as in the EM algorithm. It lowers the divergence of the mixture from
the posterior, not the reverse, so that no mode is left out that a draw has reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ppl.guides.mixture import GaussianMixture
from ppl.inference.deterministic.mode import Mode
from ppl.inference.importance.sampling import Mixture, Proposal, Weighted, nearest_mode, restricted, weigh
from ppl.inference.target import Target

ROUNDS, IDLE = 15, 3
"""Rounds at most, and without more effective draws."""
BOUND_DRAWS = 4000
TRIED, FAINT = 1000, 12.0
"""Draws that tell what a candidate is worth, and the nats below the best beyond which it is left out."""
FELT = 0.02
"""A mode that carries less of the posterior than this is not missed."""
WIDENING, WIDE_DF = 2.0, 3.0
"""Of the components that look further than the mixture."""
FAINTEST = 1e-3
"""The least weight of a component."""


@dataclass(frozen=True)
class FittedMixture:
    """The mixture, the guide's parameters for it, weighted draws, log p - log q at draws of the mixture alone, and the
    ELBO after each round.
    """

    mixture: Mixture
    parameters: np.ndarray
    sample: Weighted
    bounds: np.ndarray
    history: np.ndarray


def modal(mode: Mode) -> Proposal:
    """The Gaussian at a mode."""
    return Proposal(mode.vector, np.linalg.cholesky(mode.whitening.factor @ mode.whitening.factor.T))


def worthwhile(target: Target, modes: list[Proposal], broad: Proposal, rng: np.random.Generator) -> list[Proposal]:
    """The Gaussians at modes whose draws carry weight against those of a broad one, and that one last.

    The joint mode of a hierarchical model may be a spike without weight.
    """
    evidence = [weigh(target.log_density, each, rng, TRIED).log_evidence for each in (*modes, broad)]
    best = max((each for each in evidence if np.isfinite(each)), default=0.0)
    kept = [mode for mode, each in zip(modes, evidence, strict=False) if each > best - FAINT]
    return [*kept, broad]


def missed_modes(target: Target, modes: list[Mode], sample: Weighted, rng: np.random.Generator) -> tuple[str, ...]:
    """Problems: separate modes that carry more of the posterior than of a weighted sample."""
    if len(modes) < 2:
        return ()
    proposals = [modal(mode) for mode in modes]
    evidence = np.array([weigh(target.log_density, each, rng, TRIED).log_evidence for each in proposals])
    evidence = np.where(np.isfinite(evidence), evidence, -np.inf)
    shares = np.exp(evidence - np.logaddexp.reduce(evidence))
    weights, owner = np.exp(sample.log_weights), nearest_mode(sample.rows, proposals)
    missed = [k for k in range(len(modes)) if shares[k] > FELT and weights[owner == k].sum() < 0.5 * shares[k]]
    found = f"{len(modes)} separate modes were found, and the guide misses one with about"
    return tuple(f"{found} {shares[k]:.0%} of the posterior: use guide='mixture'" for k in missed)


def fit_mixture(target: Target, candidates: list[Proposal], rng: np.random.Generator, draws: int) -> FittedMixture:
    """A component at each of the first candidates; where there are too few of those, several around them."""
    family = target.guide.vector
    assert isinstance(family, GaussianMixture)
    mixture, sample, history = population(target, arranged(candidates, family.components, rng), rng, draws)
    parts = mixture.components
    parameters = family.pack(np.array(mixture.weights), [p.mean for p in parts], [p.factor for p in parts])
    return FittedMixture(mixture, parameters, sample, bound_of(target, mixture, rng), history)


def population(
    target: Target, first: Mixture, rng: np.random.Generator, draws: int
) -> tuple[Mixture, Weighted, np.ndarray]:
    """Rounds of population Monte Carlo: the mixture whose draws are worth most, those draws, the ELBO of each round.

    Half of the draws are those of wider, heavy-tailed components, which see what the mixture misses.
    """
    mixture, sample = first, weigh(target.log_density, widened(first), rng, draws)
    best, history, idle = (mixture, sample), [_bound(sample)], 0
    for _ in range(ROUNDS):
        following = _moved(mixture, sample)
        if following is None or target.clock.over():
            break
        mixture, sample = following, weigh(target.log_density, widened(following), rng, draws)
        history.append(_bound(sample))
        better = (sample.good, sample.effective) > (best[1].good, 1.02 * best[1].effective)
        idle = 0 if better else idle + 1
        best = (mixture, sample) if better else best
        if idle == IDLE:
            break
    return *best, np.array(history)


def bound_of(target: Target, mixture: Mixture, rng: np.random.Generator) -> np.ndarray:
    """log p - log q at draws of a mixture, restricted to where they carry weight: their mean is the ELBO."""
    return restricted(weigh(target.log_density, mixture, rng, BOUND_DRAWS).log_ratios)


def widened(mixture: Mixture) -> Mixture:
    """Half of it, and half of each component wider and with the tails of a Student-t."""
    wide = tuple(replace(part, factor=WIDENING * part.factor, df=WIDE_DF) for part in mixture.components)
    return Mixture((*mixture.components, *wide), tuple(0.5 * weight for weight in mixture.weights) * 2)


def _bound(sample: Weighted) -> float:
    return float(restricted(sample.log_ratios).mean())


def arranged(candidates: list[Proposal], count: int, rng: np.random.Generator) -> Mixture:
    """As many components, in turn at and around the candidates, of equal weights."""
    proposals = list(candidates[:count])
    for place in range(count - len(proposals)):
        one = candidates[place % len(candidates)]
        proposals.append(replace(one, mean=one.mean + one.factor @ rng.standard_normal(len(one.mean))))
    return Mixture(tuple(proposals), (1.0 / count,) * count)


def _moved(mixture: Mixture, sample: Weighted) -> Mixture | None:
    """Each component at the moments of its responsibilities among the weighted draws.

    A covariance is pulled to the last one by as many draws as there are dimensions, times two.
    """
    rows, weights = sample.rows, np.exp(sample.log_weights)
    logs = np.array([np.log(w) + c.log_density(rows) for w, c in zip(mixture.weights, mixture.components, strict=True)])
    own = np.exp(logs - np.logaddexp.reduce(logs, axis=0)) * weights
    components, shares = [], []
    for mine, last in zip(own, mixture.components, strict=True):
        share, effective = float(mine.sum()), float(mine.sum() ** 2 / max(np.sum(mine**2), 1e-300))
        shares.append(max(share, FAINTEST))
        if share < FAINTEST:
            components.append(last)
            continue
        mean = mine @ rows / share
        centred = rows - mean
        spread = (centred * mine[:, None]).T @ centred / share
        pull = 2.0 * len(mean) / (2.0 * len(mean) + effective)
        covariance = (1.0 - pull) * spread + pull * last.factor @ last.factor.T
        try:
            components.append(Proposal(mean, np.linalg.cholesky(covariance)))
        except np.linalg.LinAlgError:
            return None
    total = sum(shares)
    return Mixture(tuple(components), tuple(share / total for share in shares))
