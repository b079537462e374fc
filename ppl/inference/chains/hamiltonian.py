"""Hamiltonian Monte Carlo on many chains at once, all with one step size and one trajectory length.

The chains start from draws of a guide and so need no search; where they agree at the end they have corrected what the
guide got wrong. Step size from the acceptance rate, trajectory length by ChEES (Hoffman, Radul and Sountsov 2021, An
adaptive MCMC scheme for setting trajectory lengths in Hamiltonian Monte Carlo), coordinates from the covariance of the
chains themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ppl.inference.chains.convergence import worst_effective, worst_rhat
from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.singular import where_possible

STAGES = (20, 30, 50, 50)
"""Iterations of warming up, after each of which the coordinates are whitened anew."""
BLOCK = 50
"""Iterations between two looks at convergence."""
FEWEST, MOST_ITERATIONS = 4, 1000
"""Draws of each chain: the fewest that anything can be told from, and the most."""
ACCEPTANCE = 0.8
LONGEST = 128
"""Leapfrog steps in a trajectory, at most."""
AGREE = 1.01
"""Chains agree whose R-hat is at most this."""
STARTS, TOGETHER = 16, 4
"""How many points chains start from, and how many from each."""
CAREFUL, SMALL = 4, 0.2
"""One iteration in so many has steps smaller by so much, which frees chains from narrow places."""
DENSE = 600
"""Above this many dimensions the coordinates are rescaled only."""

Density = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Chains:
    """Draws (iterations, chains, dim) in the target's coordinates, and how they fared, worst over the dimensions."""

    rows: np.ndarray
    rhat: float
    effective: float
    acceptance: float
    evaluations: int

    @property
    def agree(self) -> bool:
        return self.rhat <= AGREE


@dataclass
class _Tuning:
    """Step size by dual averaging and trajectory length by Adam on the ChEES criterion, both on a log scale."""

    log_step: float = np.log(0.3)
    log_length: float = 0.0
    shrink: float = 0.0
    count: int = 0
    error: float = 0.0
    average: float = np.log(0.3)
    moments: list[float] = field(default_factory=lambda: [0.0, 0.0])
    moved: int = 0

    def restart(self) -> None:
        """Begin the search for the step size anew, around the last."""
        self.shrink, self.count, self.error = self.log_step + np.log(2.0), 0, 0.0

    def adapt(self, acceptance: float, slope: float) -> None:
        """After an iteration with this mean acceptance rate and this derivative of the criterion in log length."""
        self.count += 1
        rate = 1.0 / (self.count + 10.0)
        self.error += rate * (ACCEPTANCE - acceptance - self.error)
        self.log_step = self.shrink - np.sqrt(self.count) / 0.1 * self.error
        weight = self.count**-0.75
        self.average += weight * (self.log_step - self.average)
        if np.isfinite(slope):
            self.moved += 1
            self.moments[0] += 0.1 * (slope - self.moments[0])
            self.moments[1] += 0.05 * (slope**2 - self.moments[1])
            first = self.moments[0] / (1.0 - 0.9**self.moved)
            second = self.moments[1] / (1.0 - 0.95**self.moved)
            self.log_length += 0.05 * first / (np.sqrt(second) + 1e-12)
        self.log_length = float(np.clip(self.log_length, self.log_step, self.log_step + np.log(LONGEST)))

    def settle(self) -> None:
        self.log_step = self.average


class Sampler:
    """Chains of a target with log densities (rows,) and gradients (rows, dim) of rows, whitened by `whitening`."""

    def __init__(
        self, density: Density, gradient: Density, rows: np.ndarray, whitening: Whitening, rng: np.random.Generator
    ) -> None:
        self._density = density
        self._gradient = gradient
        self._rng = rng
        self._tuning = _Tuning()
        self._jitter = 0
        self.evaluations = 0
        self._whiten(rows, whitening)

    def _whiten(self, rows: np.ndarray, whitening: Whitening) -> None:
        self._whitening = whitening
        self._place = np.linalg.solve(whitening.factor, (rows - whitening.centre).T).T
        self._value, self._slope = self._height(self._place), self._climb(self._place)

    def _height(self, place: np.ndarray) -> np.ndarray:
        (values,) = where_possible(lambda rows: (self._density(rows),), self._whitening.rows(place), ())
        return np.where(np.isfinite(values), values, -np.inf)

    def _climb(self, place: np.ndarray) -> np.ndarray:
        """Gradients; 0 where they are not finite, and such a trajectory is turned down for where it ends."""
        self.evaluations += 1
        rows = self._whitening.rows(place)
        (gradient,) = where_possible(lambda rows: (self._gradient(rows),), rows, place.shape[1:])
        gradient = gradient @ self._whitening.factor
        return np.where(np.isfinite(gradient).all(axis=1)[:, None], gradient, 0.0)

    @property
    def rows(self) -> np.ndarray:
        return self._whitening.rows(self._place)

    def warm_up(self, clock: Clock = ENDLESS) -> list[float]:
        """Tune in stages, until the clock is over; the acceptance rates."""
        rates = []
        for iterations in STAGES:
            if clock.over():
                break
            self._tuning.restart()
            seen = []
            for _ in range(iterations):
                rates.append(self.step(tune=True))
                seen.append(self.rows)
                if clock.over():
                    break
            self._tuning.settle()
            self._whiten(self.rows, _spread(np.array(seen[len(seen) // 2 :]), self._whitening))
        return rates

    def step(self, tune: bool = False) -> float:
        """One trajectory of every chain; the mean acceptance rate."""
        self._jitter += 1
        careful = not tune and self._jitter % CAREFUL == 0
        size = float(np.exp(self._tuning.log_step)) * (SMALL if careful else 1.0)
        length = 2.0 * _van_der_corput(self._jitter) * np.exp(self._tuning.log_length) * (SMALL if careful else 1.0)
        steps = int(np.clip(np.ceil(length / size), 1, LONGEST))
        momentum = np.asarray(self._rng.standard_normal(self._place.shape))
        begin = self._value - 0.5 * np.sum(momentum**2, axis=1)
        place, speed, value, slope = self._leap(momentum, size, steps)
        with np.errstate(invalid="ignore", over="ignore"):
            chance = np.exp(np.minimum(value - 0.5 * np.sum(speed**2, axis=1) - begin, 0.0))
        chance = np.where(np.isfinite(chance), chance, 0.0)
        if tune:
            self._tuning.adapt(float(chance.mean()), self._criterion(place, speed, chance) * length)
        taken = self._rng.random(len(chance)) < chance
        self._place = np.where(taken[:, None], place, self._place)
        self._slope = np.where(taken[:, None], slope, self._slope)
        self._value = np.where(taken, value, self._value)
        return float(chance.mean())

    def _leap(
        self, momentum: np.ndarray, size: float, steps: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        place, slope = self._place, self._slope
        speed = momentum + 0.5 * size * slope
        for step in range(steps):
            place = place + size * speed
            slope = self._climb(place)
            speed = speed + (size if step < steps - 1 else 0.5 * size) * slope
        return place, speed, self._height(place), slope

    def _criterion(self, place: np.ndarray, speed: np.ndarray, chance: np.ndarray) -> float:
        """Derivative in the trajectory's length of the expected change of the squared distance from the centre."""
        good = chance > 0
        if good.sum() < 2:
            return np.nan
        weights = chance / chance.sum()
        before = self._place - self._place.mean(axis=0)
        after = np.where(good[:, None], place - weights @ np.where(good[:, None], place, 0.0), 0.0)
        change = np.sum(after**2, axis=1) - np.sum(before**2, axis=1)
        return float(weights @ (change * np.sum(after * np.where(good[:, None], speed, 0.0), axis=1)))


def _van_der_corput(number: int) -> float:
    """The base-2 radical inverse: numbers spread evenly over (0, 1)."""
    found, unit = 0.0, 0.5
    while number:
        found, number, unit = found + unit * (number % 2), number // 2, unit / 2
    return found


def _spread(rows: np.ndarray, last: Whitening) -> Whitening:
    """Centre and covariance of draws (iterations, chains, dim), drawn towards those of the last coordinates.

    In these, correlations are shrunk where draws are few, and left out where dimensions are many.
    """
    flat = rows.reshape(-1, rows.shape[2])
    placed = np.linalg.solve(last.factor, (flat - last.centre).T).T
    centre, sd = flat.mean(axis=0), placed.std(axis=0) + 1e-12
    dim = len(centre)
    if dim > DENSE:
        return Whitening(centre, last.factor * sd)
    share = dim / (dim + 0.2 * len(flat))
    correlation = (1.0 - share) * np.corrcoef(placed.T).reshape(dim, dim) + share * np.eye(dim)
    return Whitening(centre, last.factor @ (sd[:, None] * np.linalg.cholesky(correlation)))


def run_chains(
    density: Density,
    gradient: Density,
    start: np.ndarray,
    whitening: Whitening,
    rng: np.random.Generator,
    budget: int,
    enough: float,
    clock: Clock = ENDLESS,
) -> Chains:
    """`TOGETHER` chains from each row of `start` (starts, dim), until they agree and are worth `enough` draws.

    They stop too once `budget` batches of gradients are spent, though never before one block of draws, or once the
    clock is over.
    """
    sampler = Sampler(density, gradient, np.repeat(start, TOGETHER, axis=0), whitening, rng)
    sampler.warm_up(clock)
    kept: list[np.ndarray] = []
    rates: list[float] = []
    while True:
        for _ in range(BLOCK):
            rates.append(sampler.step())
            kept.append(sampler.rows)
            if len(kept) >= FEWEST and clock.over():
                break
        rows = np.array(kept)
        spent = sampler.evaluations >= budget or len(kept) >= MOST_ITERATIONS or clock.over()
        rhat = worst_rhat(rows, len(start))
        effective = worst_effective(rows) if spent or rhat <= AGREE else 0.0
        if spent or effective >= enough:
            return Chains(rows, rhat, effective, float(np.mean(rates)), sampler.evaluations)
