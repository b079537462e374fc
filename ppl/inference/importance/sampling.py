"""Importance correction: weights against the exact density, and adaptive rounds that improve the proposal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ppl.inference.clock import ENDLESS, Clock, TimeSpent
from ppl.inference.importance.psis import log_mean_weight, log_ratios, psis, threshold
from ppl.inference.importance.spokes import Spokes, spokes

HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True)
class Proposal:
    """A multivariate Student-t (normal where `df` is infinite) with location `mean` and scale `factor factor'`."""

    mean: np.ndarray
    factor: np.ndarray
    df: float = np.inf

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Antithetic pairs with exact second moments: (draws, dim), `draws` even."""
        half = rng.standard_normal((draws // 2, len(self.mean)))
        spread = 1.0
        if np.isfinite(self.df):
            half = half / np.sqrt(rng.chisquare(self.df, draws // 2) / self.df)[:, None]
            spread = self.df / (self.df - 2.0)
        half = exact_moments(half, spread)
        return self.mean + np.concatenate([half, -half]) @ self.factor.T

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        dim = len(self.mean)
        standard = np.linalg.solve(self.factor, (rows - self.mean).T)
        square = np.sum(standard**2, axis=0)
        log_det = np.linalg.slogdet(self.factor)[1]
        if not np.isfinite(self.df):
            return -0.5 * square - log_det - dim * HALF_LOG_TWO_PI
        return student_constant(dim, self.df) - log_det - 0.5 * (self.df + dim) * np.log1p(square / self.df)


def student_constant(dim: int, df: float) -> float:
    """Log of the standard multivariate Student-t's density at its centre."""
    return math.lgamma(0.5 * (df + dim)) - math.lgamma(0.5 * df) - 0.5 * dim * math.log(df * math.pi)


def exact_moments(noise: np.ndarray, spread: float = 1.0) -> np.ndarray:
    """Rows of noise (draws, dim) made to have second moments `spread` times the identity.

    It takes the Monte Carlo error out of means and covariances of near Gaussian posteriors; each row moves by
    a relative dim / draws only, so it is done where there are many more rows than columns.
    """
    draws, dim = noise.shape
    if draws < 10 * dim:
        return noise
    factor = np.linalg.cholesky(noise.T @ noise / draws)
    return np.sqrt(spread) * np.linalg.solve(factor, noise.T).T


@dataclass(frozen=True)
class Mixture:
    """A mixture of proposals; draws are stratified, so each component gives its share."""

    components: tuple[Proposal | Spokes, ...]
    weights: tuple[float, ...]

    @property
    def mean(self) -> np.ndarray:
        return sum(
            (w * c.mean for w, c in zip(self.weights, self.components, strict=True)),
            np.zeros_like(self.components[0].mean),
        )

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        counts = [2 * round(0.5 * draws * weight) for weight in self.weights[1:]]
        counts = [draws - sum(counts), *counts]
        return np.concatenate([c.draw(rng, n) for c, n in zip(self.components, counts, strict=True)])

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        parts = [np.log(w) + c.log_density(rows) for w, c in zip(self.weights, self.components, strict=True)]
        return np.logaddexp.reduce(parts, axis=0)


AnyProposal = Proposal | Mixture


@dataclass(frozen=True)
class Weighted:
    """Rows with self-normalised smoothed log weights, their k-hat, effective number and the evidence estimate."""

    rows: np.ndarray
    log_weights: np.ndarray
    log_ratios: np.ndarray
    khat: float
    copies: int = 1

    @classmethod
    def of(cls, rows: np.ndarray, ratios: np.ndarray) -> Weighted:
        """Rows with the smoothed weights of their log ratios."""
        smoothed, khat = psis(ratios)
        return cls(rows, smoothed, ratios, khat)

    @property
    def effective(self) -> float:
        return float(1.0 / np.sum(np.exp(2.0 * self.log_weights)))

    @property
    def log_evidence(self) -> float:
        return log_mean_weight(self.log_ratios)

    @property
    def good(self) -> bool:
        return self.khat < threshold(len(self.rows))

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Weighted mean (dim,) and covariance (dim, dim)."""
        weights = np.exp(self.log_weights)
        mean = weights @ self.rows
        centred = self.rows - mean
        return mean, (centred * weights[:, None]).T @ centred


NEGLIGIBLE = 30.0
"""A draw whose log ratio is this many nats below the largest carries no weight."""


def restricted(ratios: np.ndarray) -> np.ndarray:
    """Log ratios of a heavy-tailed proposal restricted to where its draws carry weight; their mean is its ELBO.

    Restricted to a set A the proposal q has the density q / q(A). Unrestricted, the ELBO is that of its far tails.
    """
    kept = ratios[ratios > ratios.max() - NEGLIGIBLE]
    return kept + np.log(len(kept) / len(ratios)) if len(kept) else ratios


def weigh(
    log_density: Callable[[np.ndarray], np.ndarray], proposal: AnyProposal, rng: np.random.Generator, draws: int
) -> Weighted:
    """Draws of a proposal weighted by the exact density; where it is not finite the weight is zero."""
    rows = proposal.draw(rng, draws)
    return Weighted.of(rows, log_ratios(log_density(rows), proposal.log_density(rows)))


def adapt(
    log_density: Callable[[np.ndarray], np.ndarray],
    first: AnyProposal,
    rng: np.random.Generator,
    rounds: int,
    draws: int,
    strata: int = 1,
    modes: Sequence[Proposal] = (),
    begun: Weighted | None = None,
    clock: Clock = ENDLESS,
    along: float = 0.0,
) -> tuple[Weighted, AnyProposal]:
    """Rounds of importance sampling, each proposal matched to the last round's weighted draws.

    A proposal is a Student-t with a wider one behind it; with `strata` above 1 the draws are cut along their longest
    axis and each part gets its own, which follows a skewed density; with several `modes` they are parted by the
    nearest one. The round with the most effective draws wins, if there are any among those whose weights can be relied
    on; it stops early when the effective number no longer grows, or is near the number of draws, or the clock is over.
    `begun` are weighted draws of the first proposal, where there are any already. A share `along` of the draws has
    heavy tails along single coordinates. A density may raise TimeSpent, which is passed on from the first round only.
    """
    best = weigh(log_density, first, rng, draws) if begun is None else begun
    if best.good and best.effective > PLENTY * draws:
        return best, first
    winner, last = first, best
    for _ in range(rounds):
        following = matched(last, strata, modes, along)
        if following is None or clock.over():
            break
        try:
            last = weigh(log_density, following, rng, draws)
        except TimeSpent:
            break
        grown = last.effective > 1.05 * best.effective
        if (last.good, last.effective) > (best.good, best.effective):
            best, winner = last, following
        if not grown:
            break
    return best, winner


PLENTY = 0.8
"""Draws worth this share of their number leave little to adapt."""
DF = 6.0
WIDE_SHARE, WIDENING = 0.1, 2.5


def matched(weighted: Weighted, strata: int, modes: Sequence[Proposal], along: float = 0.0) -> Mixture | None:
    """Student-t components with the moments of the weighted rows, or of each part of them, and a wide one behind; and
    with a share `along` of heavy tails along single coordinates.
    """
    rows, weights = weighted.rows, np.exp(weighted.log_weights)
    dim = rows.shape[1]
    if weighted.effective < 4.0 * dim * strata:
        strata = 1
    mean, covariance = weighted.moments()
    covariance = covariance + 1e-12 * np.diag(np.diag(covariance))
    if weighted.effective < 2.0 * dim:
        covariance = np.diag(np.diag(covariance))
    if len(modes) > 1:
        parts = _parted(rows, weights, modes)
    else:
        parts = [(1.0, mean, covariance)] if strata == 1 else _cut(rows, weights, mean, covariance, strata)
    components: list[Proposal | Spokes] = []
    shares = []
    try:
        for share, centre, spread in parts:
            components.append(Proposal(centre, np.linalg.cholesky(spread * (DF - 2.0) / DF), DF))
            shares.append(share * (1.0 - WIDE_SHARE))
        components.append(Proposal(mean, WIDENING * np.linalg.cholesky(covariance), DF))
        shares.append(WIDE_SHARE)
        if along:
            components.append(spokes(rows, weights, covariance))
            shares = [*((1.0 - along) * share for share in shares), along]
    except np.linalg.LinAlgError:
        return None
    return Mixture(tuple(components), tuple(shares))


def _cut(
    rows: np.ndarray, weights: np.ndarray, mean: np.ndarray, covariance: np.ndarray, strata: int
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Shares, means and covariances of parts of equal weight along the longest axis of the weighted rows."""
    scale = np.sqrt(np.diag(covariance))
    axis = np.linalg.eigh(covariance / np.outer(scale, scale))[1][:, -1]
    order = np.argsort((rows - mean) / scale @ axis)
    edges = np.searchsorted(np.cumsum(weights[order]), np.linspace(0.0, 1.0, strata + 1)[1:-1])
    parts = []
    for members in np.split(order, edges):
        share = weights[members].sum()
        centre = weights[members] @ rows[members] / share
        centred = rows[members] - centre
        spread = (centred * weights[members, None]).T @ centred / share
        # a part is narrower than the whole along the axis; a quarter of the whole keeps the joints covered
        parts.append((float(share), centre, spread + 0.25 * covariance))
    return parts


def nearest_mode(rows: np.ndarray, modes: Sequence[Proposal]) -> np.ndarray:
    """Which mode's Gaussian gives each row the highest density: (draws,)."""
    return np.argmax([mode.log_density(rows) for mode in modes], axis=0)


def _parted(
    rows: np.ndarray, weights: np.ndarray, modes: Sequence[Proposal]
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Shares, means and covariances of the rows nearest to each mode; a mode with little weight keeps its own."""
    owner = nearest_mode(rows, modes)
    parts = []
    for position, mode in enumerate(modes):
        mine = owner == position
        share = float(weights[mine].sum())
        centre, spread = mode.mean, mode.factor @ mode.factor.T
        if share > 0 and share**2 / np.sum(weights[mine] ** 2) > 5.0 * rows.shape[1]:
            centre = weights[mine] @ rows[mine] / share
            centred = rows[mine] - centre
            spread = (centred * weights[mine, None]).T @ centred / share
        parts.append((max(share, 0.05), centre, spread))
    total = sum(share for share, _, _ in parts)
    return [(share / total, centre, spread) for share, centre, spread in parts]
