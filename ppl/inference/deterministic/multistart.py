"""Looking for more modes: many cheap points, of which only those are climbed from that the modes known do not explain.

A mode far from the others draws few starting points to it, and the narrower it is the fewer. A density at a point costs
a hundredth of a climb, so thousands of places are looked at instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ppl.inference.deterministic.mode import STAGE, Mode, find_mode
from ppl.inference.target import Target

MOST = 60
"""Unknowns up to which more modes are looked for."""
POINTS, SECONDS = 9000, 0.2
"""Points looked at in a round, and what their densities may take."""
SCALES = (1.0, 2.0, 4.0, 8.0)
"""How far out the points are: from the origin in unconstrained units, from the modes in sds, times `OUTWARD`."""
OUTWARD = 4.0
ROUNDS, CLIMBS = 3, 3
SURPRISE = 3.0
"""Nats above what Gaussians at the modes make of a point, from which on it is worth a climb."""

LEVEL = 0.1
"""Nats within which modes are equally high."""
SEPARATION, FAINT = 4.0, 12.0
"""Modes further apart than this many sds are separate; one this many nats below the best is ignored."""


def find_modes(target: Target, starts: np.ndarray, rng: np.random.Generator) -> list[Mode]:
    """The separate modes that the starts (starts, dim) and what they leave unexplained lead to, the best first.

    Half as many more climbs as there were starts at most in each round: where a climb is dear there are few starts.
    """
    modes = separate_modes(_climbs(target, starts))
    if not 1 <= target.dim <= MOST or not modes[0].found or target.stepwise:
        return modes
    own = rng.spawn(1)[0]
    for _ in range(ROUNDS):
        if target.clock.over(STAGE):
            break
        points = unexplained(target, modes, own)[: (len(starts) + 1) // 2]
        wider = separate_modes([*modes, *_climbs(target, points)])
        if len(wider) <= len(modes):
            break
        modes = wider
    return modes


def _climbs(target: Target, starts: Iterable[np.ndarray]) -> list[Mode]:
    """Where the starts lead to; those are left out that the time does not allow, but for the first."""
    found: list[Mode] = []
    for start in starts:
        if found and target.clock.over(STAGE):
            break
        found.append(find_mode(target, start))
    return found


def separate_modes(found: list[Mode]) -> list[Mode]:
    """One mode from each cluster, by Laplace evidence, without those that carry no weight; never none."""
    ranked = sorted(found, key=lambda mode: (not mode.found, -_rank(mode)))
    kept: list[Mode] = []
    for mode in ranked:
        if kept and (not mode.found or _rank(mode) < _rank(kept[0]) - FAINT):
            continue
        if all(_distance(mode, other) > SEPARATION for other in kept):
            kept.append(mode)
    return kept


def _distance(one: Mode, other: Mode) -> float:
    """Between two modes, in sds of whichever is wider in that direction."""
    move = one.vector - other.vector
    return min(float(np.linalg.norm(np.linalg.solve(m.whitening.factor, move))) for m in (one, other))


def _rank(mode: Mode) -> float:
    return mode.evidence if np.isfinite(mode.evidence) else -np.inf


def unexplained(target: Target, modes: list[Mode], rng: np.random.Generator) -> list[np.ndarray]:
    """A few points whose density is far above that of the Gaussians at the modes, the most surprising ones of all
    that are not neighbours of each other.
    """
    rows = _points(target, modes, rng)
    values = target.log_density(rows)
    known = np.max([_height(mode, rows) for mode in modes], axis=0)
    with np.errstate(invalid="ignore"):
        surprise = np.where(np.isfinite(values), values - known, -np.inf)
    chosen: list[np.ndarray] = []
    for place in np.argsort(-surprise)[: 50 * CLIMBS]:
        if surprise[place] < SURPRISE or len(chosen) == CLIMBS:
            break
        row = rows[place]
        if all(np.linalg.norm(row - other) > 0.5 * np.linalg.norm(row) for other in chosen):
            chosen.append(row)
    return chosen


def _height(mode: Mode, rows: np.ndarray) -> np.ndarray:
    """The log density that the curvature at a mode predicts: (rows,)."""
    standard = np.linalg.solve(mode.whitening.factor, (rows - mode.vector).T)
    return mode.value - 0.5 * np.sum(standard**2, axis=0)


def _points(target: Target, modes: list[Mode], rng: np.random.Generator) -> np.ndarray:
    """Boxes and their corners around the origin, and corners around the modes in units of their sds: (points, dim)."""
    count = max(3 * len(SCALES), min(POINTS, int(SECONDS / target.seconds))) // 3
    scale = np.array(SCALES)[np.arange(count) % len(SCALES), None]
    box = scale * rng.uniform(-1.0, 1.0, (count, target.dim))
    corner = scale * rng.choice([-1.0, 1.0], (count, target.dim))
    sds = [np.sqrt(np.sum(mode.whitening.factor**2, axis=1)) for mode in modes]
    whose = rng.integers(len(modes), size=count)
    around = np.array([mode.vector for mode in modes])[whose]
    around = around + OUTWARD * scale * np.array(sds)[whose] * rng.choice([-1.0, 1.0], (count, target.dim))
    return np.concatenate([box, corner, around])


@dataclass(frozen=True)
class Switching:
    """Modes that differ only in the order of the elements of a latent: how many orders were found, of how many."""

    name: str
    found: int
    orders: int

    def __str__(self) -> str:
        return (
            f"the modes differ only in the order of the elements of `{self.name}` (label switching; {self.found} of the"
            f" {self.orders} orders were found): its means and sds are averages over orders; give it an order, as with"
            " `ordered(…)`"
        )


def switched(modes: list[Mode], values: dict[str, np.ndarray]) -> Switching | None:
    """Whether the modes only put the elements of a latent in another order.

    `values` are the latents at the modes: (modes, *shape).
    """
    heights = np.array([mode.value for mode in modes])
    if np.ptp(heights) > LEVEL:
        return None
    for name, value in values.items():
        one = value.ndim == 2 and value.shape[1] > 1
        if not one or not all(_permuted(value[0], other) for other in value[1:]):
            continue
        moved = int(np.any(np.abs(value - value[0]) > _tolerance(value[0]), axis=0).sum())
        if moved:
            return Switching(name, len(modes), math.factorial(moved))
    return None


def _tolerance(value: np.ndarray) -> float:
    return 0.02 * float(np.ptp(value)) + 1e-12


def _permuted(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.all(np.abs(np.sort(one) - np.sort(other)) < _tolerance(one)))
