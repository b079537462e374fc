"""Chains in the coordinates of the conditional guide, for posteriors on which its importance weights are too uneven.

A state is a row of hyperparameters h and of standard coordinates z, of which u = m(h) + L(h)'^-1 z with P(h) = L L'. A
sweep moves z at fixed h along Hamiltonian trajectories whose Gaussian part is an exact rotation (Shahbaba, Lan, Johnson
and Neal 2014, Split Hamiltonian Monte Carlo), then h with z kept, by proposals from q(h) or by a random walk. Where the
model is Gaussian given h every trajectory is accepted; what is left of the dimension is how far it is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ppl.inference.chains.convergence import worst_effective, worst_rhat
from ppl.inference.chains.hamiltonian import AGREE, FEWEST, Chains
from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.hierarchy.conditional import HALF_LOG_TWO_PI, ConditionalTarget
from ppl.inference.hierarchy.hyper import HyperFit
from ppl.inference.importance.sampling import AnyProposal
from ppl.inference.sparsity import BorderedFactor
from ppl.inference.work import GRADIENT

STARTS, TOGETHER = 16, 8
"""How many draws of the hyperparameters chains start from, and how many from each."""
WARM_UP, BLOCK, MOST_SWEEPS = 24, 24, 400
TRAJECTORIES = 2
"""Trajectories of z in a sweep: they are much cheaper than a move of h."""
ACCEPTANCE = 0.8
QUARTER = 0.5 * math.pi
"""The angle after which a Gaussian trajectory has forgotten where it began."""
MOST_TURNS = 8
WALKS = 3
"""One sweep in so many moves h by a random walk, the others by draws of q(h)."""
GUIDE_DRAWS = 4
"""Draws of the guide for each chain, which with those of the chains give the evidence."""
MOST_NUMBERS = 60_000_000
"""In the draws that are kept."""


@dataclass
class _State:
    """Hyperparameters (chains, dh), the conditional Gaussians at them, z (chains, du) and the log joint (chains,)."""

    h: np.ndarray
    modes: np.ndarray
    factor: BorderedFactor
    sound: np.ndarray
    z: np.ndarray
    value: np.ndarray

    @property
    def height(self) -> np.ndarray:
        """The log density of (h, z): (chains,)."""
        return np.where(self.sound, self.value - 0.5 * self.factor.log_det, -np.inf)

    def take(self, chosen: np.ndarray, other: _State) -> None:
        """Go on from the other state where `chosen` (chains,)."""
        rows = np.flatnonzero(chosen)
        self.factor.put(rows, other.factor.take(rows))
        for mine, theirs in ((self.h, other.h), (self.modes, other.modes), (self.z, other.z)):
            mine[rows] = theirs[rows]
        self.value[rows], self.sound[rows] = other.value[rows], other.sound[rows]


@dataclass(frozen=True)
class ConditionalChains:
    """The chains; and log p(x, h, u) - log q(h, u) at their draws (iterations, chains) and at draws of the guide."""

    chains: Chains
    ratios: np.ndarray
    guide_ratios: np.ndarray


class _Sampler:
    def __init__(self, split: ConditionalTarget, proposal: AnyProposal, walk: np.ndarray, rng: np.random.Generator):
        self._split, self._proposal, self._walk, self._rng = split, proposal, walk, rng
        self._step = 0.6

    def state(self, h: np.ndarray, z: np.ndarray) -> _State:
        found = self._split.at(h)
        state = _State(h, found.modes, found.factor, np.isfinite(found.marginal), z, np.empty(len(h)))
        state.value = self._values(state, z)
        return state

    def rows(self, state: _State, z: np.ndarray) -> np.ndarray:
        """Full vectors."""
        return self._split.rows(state.h, state.modes + state.factor.backward(z))

    def ratios(self, state: _State) -> np.ndarray:
        """The log density of (h, z) over that of the guide: (chains,)."""
        normal = -0.5 * np.sum(state.z**2, axis=1) - state.z.shape[1] * HALF_LOG_TWO_PI
        return state.height - self._proposal.log_density(state.h) - normal

    def _values(self, state: _State, z: np.ndarray) -> np.ndarray:
        values = self._split.target.log_density(self.rows(state, z))
        return np.where(np.isfinite(values), values, -np.inf)

    def _slope(self, state: _State, z: np.ndarray) -> np.ndarray:
        """The gradient in z of what the log density has beyond a standard normal; 0 where it is not finite."""
        gradient = self._split.inner.gradient(self.rows(state, z))
        slope = state.factor.forward(gradient) + z
        return np.where(np.isfinite(slope).all(axis=1)[:, None], slope, 0.0)

    def sweep(self, state: _State, number: int) -> tuple[float, float]:
        """Move every chain, in place; the mean acceptance rates of trajectories and of moves of h."""
        turns = [self._turn(state, tune=number < WARM_UP) for _ in range(TRAJECTORIES)]
        moved = self._walk_on(state) if number % WALKS == WALKS - 1 else self._propose(state)
        return float(np.mean(turns)), moved

    def _turn(self, state: _State, tune: bool) -> float:
        """One trajectory of z at fixed h."""
        angle = QUARTER * self._rng.uniform(0.5, 1.5)
        turns = int(np.clip(math.ceil(angle / self._step), 1, MOST_TURNS))
        angle = min(angle / turns, self._step)
        speed = self._rng.standard_normal(state.z.shape)
        before = state.value - 0.5 * np.sum(speed**2, axis=1)
        z, slope = state.z, self._slope(state, state.z)
        for _ in range(turns):
            speed = speed + 0.5 * angle * slope
            z, speed = math.cos(angle) * z + math.sin(angle) * speed, math.cos(angle) * speed - math.sin(angle) * z
            slope = self._slope(state, z)
            speed = speed + 0.5 * angle * slope
        value = self._values(state, z)
        taken, rate = self._accepted(value - 0.5 * np.sum(speed**2, axis=1) - before)
        state.z = np.where(taken[:, None], z, state.z)
        state.value = np.where(taken, value, state.value)
        if tune:
            self._step = min(self._step * math.exp(0.3 * (rate - ACCEPTANCE)), QUARTER)
        return rate

    def _propose(self, state: _State) -> float:
        """New h from q(h), with z kept."""
        h = self._rng.permutation(self._proposal.draw(self._rng, len(state.h)))
        other = self.state(h, state.z.copy())
        gain = other.height - state.height
        return self._take(state, other, gain - self._proposal.log_density(h) + self._proposal.log_density(state.h))

    def _walk_on(self, state: _State) -> float:
        """A step of a random walk in h, with z kept."""
        h = state.h + self._rng.standard_normal(state.h.shape) @ self._walk.T
        other = self.state(h, state.z.copy())
        return self._take(state, other, other.height - state.height)

    def _take(self, state: _State, other: _State, gain: np.ndarray) -> float:
        taken, rate = self._accepted(gain)
        state.take(taken, other)
        return rate

    def _accepted(self, gain: np.ndarray) -> tuple[np.ndarray, float]:
        """Which of the moves with these gains in log density are made (chains,), and how many to expect of them."""
        with np.errstate(invalid="ignore"):
            chance = np.exp(np.minimum(gain, 0.0))
        chance = np.where(np.isfinite(chance), chance, 0.0)
        return self._rng.random(len(chance)) < chance, float(chance.mean())


def chain_count(split: ConditionalTarget) -> int:
    """How many chains fit into memory at once: a multiple of `STARTS`, 0 where there is no room for them."""
    most = len(split.blocks(np.empty((STARTS * TOGETHER, len(split.hyper))))[0])
    return STARTS * (most // STARTS)


def sweeps_within(seconds: float, split: ConditionalTarget, hyper: HyperFit) -> int:
    """How many sweeps are affordable after the first ones, 0 where less than a block is."""
    count = chain_count(split)
    if not count:
        return 0
    trajectories = TRAJECTORIES * QUARTER / 0.6 * GRADIENT * split.target.seconds
    possible = int(seconds / (count * (hyper.seconds + trajectories))) - WARM_UP - GUIDE_DRAWS
    return min(possible, MOST_SWEEPS, MOST_NUMBERS // (count * split.target.dim)) if possible >= BLOCK else 0


def run_conditional_chains(
    split: ConditionalTarget,
    hyper: HyperFit,
    rng: np.random.Generator,
    sweeps: int,
    enough: float,
    clock: Clock = ENDLESS,
) -> ConditionalChains:
    """Chains from draws of q(h), until they agree and are worth `enough` draws.

    They stop too after so many sweeps, though never before one block of draws, or once the clock is over.
    """
    count, proposal = chain_count(split), hyper.proposal
    walk = 2.4 / math.sqrt(len(hyper.covariance)) * np.linalg.cholesky(hyper.covariance)
    sampler = _Sampler(split, proposal, walk, rng)
    starts = proposal.draw(rng, GUIDE_DRAWS * count)
    parts = [sampler.state(h, rng.standard_normal((count, len(split.rest)))) for h in np.split(starts, GUIDE_DRAWS)]
    guide_ratios = np.concatenate([sampler.ratios(part) for part in parts])
    state = sampler.state(np.repeat(rng.permutation(starts)[:STARTS], count // STARTS, axis=0), parts[0].z)
    for number in range(WARM_UP):
        if clock.over():
            break
        sampler.sweep(state, number)
    kept: list[np.ndarray] = []
    ratios: list[np.ndarray] = []
    rates: list[float] = []
    while True:
        for number in range(WARM_UP, WARM_UP + BLOCK):
            rates.append(min(sampler.sweep(state, number)))
            kept.append(sampler.rows(state, state.z))
            ratios.append(sampler.ratios(state))
            if len(kept) >= FEWEST and clock.over():
                break
        rows = np.array(kept)
        spent = len(kept) + BLOCK > sweeps or clock.over()
        rhat = worst_rhat(rows, STARTS)
        effective = worst_effective(rows) if spent or rhat <= AGREE else 0.0
        if spent or effective >= enough:
            chains = Chains(rows, rhat, effective, float(np.mean(rates)), split.target.evaluations)
            return ConditionalChains(chains, np.array(ratios), guide_ratios)
