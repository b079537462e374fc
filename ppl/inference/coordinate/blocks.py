"""The blocks of coordinate ascent: joint normals, and the one that takes gradient steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ppl.guides.base import HALF_LOG_TWO_PI
from ppl.inference.coordinate.expected import BlockLayout
from ppl.inference.deterministic.mean_field import paired_draws
from ppl.inference.sparsity import BorderedFactor, Pattern, factorise, pattern_of

Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]
"""From rows of a block's coordinates to the sum of their expected log densities, and its derivative."""

DENSE_LIMIT = 1000
"""Above this many coordinates the zeros of a precision are not looked for one by one."""
ZERO = 1e-10
"""A correlation below which a second derivative counts as zero."""


# Normal blocks --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NormalBlock:
    """A joint normal over a vector in which the expected log density is quadratic: its mean and its precision.

    Expectations of quadratics are means over `points`, exactly: `mean ± sqrt(d) L'⁻¹ e` for unit vectors e, in each of
    which the components of the precision have a one at the same place.
    """

    coordinates: BlockLayout
    mean: np.ndarray
    factor: BorderedFactor

    @classmethod
    def first(cls, coordinates: BlockLayout, mean: np.ndarray, pattern: Pattern) -> NormalBlock:
        """A normal with this mean and unit variances."""
        dim = len(mean)
        steps = np.ones((1, dim))
        flat = -pattern.shifts[None]
        return cls(coordinates, mean, factorise(pattern, flat, steps))

    @property
    def pattern(self) -> Pattern:
        return self.factor.pattern

    @property
    def points(self) -> np.ndarray:
        """(points, size)."""
        noise = unit_vectors(self.pattern)
        moves = math.sqrt(len(noise)) * backward(self.factor, noise)
        return self.mean + np.concatenate([moves, -moves])

    @property
    def sd(self) -> np.ndarray:
        return np.sqrt(np.mean((self.points - self.mean) ** 2, axis=0))

    @property
    def entropy(self) -> float:
        return float(len(self.mean) * (0.5 + HALF_LOG_TWO_PI) - 0.5 * self.factor.log_det[0])

    @property
    def proper(self) -> bool:
        return bool(self.factor.sound[0] and np.all(np.isfinite(self.mean)))

    def updated(self, slope: Slope) -> NormalBlock:
        """The exact maximiser, from the derivatives at the mean and one step away from it in each group of columns."""
        step = self.sd
        rows = self.mean + np.concatenate([np.zeros((1, len(step))), self.pattern.shifts * step])
        gradients = slope(rows)[1]
        factor = factorise(self.pattern, (gradients[1:] - gradients[0])[None], step[None])
        return replace(self, mean=self.mean + factor.solve(gradients[:1])[0], factor=factor)

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Rows (draws, size)."""
        return self.mean + backward(self.factor, rng.standard_normal((draws, len(self.mean))))

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        standard = _forward(self.factor, rows - self.mean)
        return -0.5 * np.sum(standard**2, axis=1) + 0.5 * self.factor.log_det[0] - len(self.mean) * HALF_LOG_TWO_PI


@dataclass(frozen=True)
class NormalNatural:
    """The natural parameters of a normal block: the derivative `linear` of the expectation at 0, and its `differences`
    (groups, size) over unit moves of each group of columns.
    """

    linear: np.ndarray
    differences: np.ndarray

    @classmethod
    def best(cls, block: NormalBlock, slope: Slope) -> NormalNatural:
        """Of the best factor given the others."""
        gradients = slope(np.concatenate([np.zeros((1, len(block.mean))), block.pattern.shifts]))[1]
        return cls(gradients[0], gradients[1:] - gradients[0])

    def mixed(self, other: NormalNatural, rate: float) -> NormalNatural:
        """A step of length `rate` towards the other."""
        return NormalNatural(
            (1.0 - rate) * self.linear + rate * other.linear,
            (1.0 - rate) * self.differences + rate * other.differences,
        )

    def block(self, old: NormalBlock) -> NormalBlock:
        factor = factorise(old.pattern, self.differences[None], np.ones((1, len(self.linear))))
        return replace(old, mean=factor.solve(self.linear[None])[0], factor=factor)


def unit_vectors(pattern: Pattern) -> np.ndarray:
    """One for each border variable and one for each place within a component, of all components at once."""
    border = len(pattern.border)
    longest = max((members.shape[1] for members in pattern.components), default=0)
    found = np.zeros((border + longest, pattern.dim))
    found[np.arange(border), pattern.border] = 1.0
    for members in pattern.components:
        for place in range(members.shape[1]):
            found[border + place, members[:, place]] = 1.0
    return found


def backward(factor: BorderedFactor, rows: np.ndarray) -> np.ndarray:
    """L'⁻¹ of each row, for a factor of a single precision."""
    return _repeated(factor, len(rows)).backward(rows)


def _forward(factor: BorderedFactor, rows: np.ndarray) -> np.ndarray:
    """L' of each row: what `backward` undoes."""
    out = np.empty_like(rows)
    border = rows[:, factor.pattern.border]
    out[:, factor.pattern.border] = border @ factor.corner[0]
    for members, width, block, coupling in zip(
        factor.pattern.components, factor.pattern.widths, factor.blocks, factor.couplings, strict=True
    ):
        part = rows[:, members]
        own = _transposed_product(width, block[0], part)
        out[:, members] = own + np.einsum("csb,rb->rcs", coupling[0], border)
    return out


def _transposed_product(width: int | None, block: np.ndarray, part: np.ndarray) -> np.ndarray:
    """`L' v` for factors (count, size, size), or banded ones (count, size, width + 1), and v (rows, count, size)."""
    if width is None:
        return np.einsum("cji,rcj->rci", block, part)
    size = part.shape[2]
    out = np.zeros_like(part)
    for below in range(width + 1):
        out[:, :, : size - below] += block[None, :, below:, below] * part[:, :, below:]
    return out


def _repeated(factor: BorderedFactor, count: int) -> BorderedFactor:
    """The same factor for many rows, without copies."""

    def many(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array[:1], (count, *array.shape[1:]))

    blocks, couplings = tuple(map(many, factor.blocks)), tuple(map(many, factor.couplings))
    return BorderedFactor(factor.pattern, blocks, couplings, many(factor.corner), many(factor.sound))


def precision_pattern(gradients: Callable[[np.ndarray], np.ndarray], dim: int) -> Pattern | None:
    """Where a quadratic's second derivatives vanish, from its gradients at rows.

    Of a large one it is only seen whether it is diagonal; None where it is not.
    """
    if dim <= DENSE_LIMIT:
        rows = np.concatenate([np.zeros((1, dim)), np.eye(dim)])
        found = gradients(rows)
        size = np.abs(found[1:] - found[0])
        scale = np.sqrt(np.diag(size))
        mask = ~(size <= ZERO * np.outer(scale, scale))
        return _regrouped(pattern_of(mask | mask.T | np.eye(dim, dtype=bool)))
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (2, dim))
    moved = gradients(np.concatenate([np.zeros((1, dim)), np.ones((1, dim)), signs]))
    diagonal = moved[1] - moved[0]
    if not np.allclose(moved[2:] - moved[0], signs * diagonal, rtol=1e-6, atol=1e-9 * np.abs(diagonal).max()):
        return None
    alone = np.arange(dim)
    return Pattern(dim, alone[:0], (alone[:, None],), (None,), np.ones((1, dim)), np.zeros(dim, dtype=int))


def _regrouped(pattern: Pattern) -> Pattern:
    """The pattern with groups of columns by their places in components, so that every entry of a component is told."""
    owner = np.zeros(pattern.dim, dtype=int)
    for members, width in zip(pattern.components, pattern.widths, strict=True):
        place = np.arange(members.shape[1])
        owner[members] = place if width is None else place % (2 * width + 1)
    inner = np.setdiff1d(np.arange(pattern.dim), pattern.border)
    owner[pattern.border] = owner[inner].max(initial=-1) + 1 + np.arange(len(pattern.border))
    shifts = (owner[None, :] == np.arange(owner.max() + 1)[:, None]).astype(float)
    return replace(pattern, owner=owner, shifts=shifts)


# Gradient steps -------------------------------------------------------------------------------------------

PAIRS, MOST_PAIRS, STEPS = 32, 200, 10
"""Pairs of draws, at least, and as many as coordinates where these are few: then normals are fitted exactly; and the
iterations in a turn.
"""


@dataclass(frozen=True)
class GradientBlock:
    """Independent normals over unconstrained coordinates, by their means and log sds; `noise` (points, size) is fixed.

    Its expectations are means over the points that the noise makes, and its steps never make them worse.
    """

    coordinates: BlockLayout
    mean: np.ndarray
    log_sd: np.ndarray
    noise: np.ndarray = field(repr=False)

    @classmethod
    def first(cls, coordinates: BlockLayout, mean: np.ndarray, rng: np.random.Generator) -> GradientBlock:
        dim = len(mean)
        pairs = max(PAIRS, dim) if dim <= MOST_PAIRS else PAIRS
        return cls(coordinates, mean, np.full(dim, math.log(0.3)), paired_draws(rng, pairs, dim))

    @property
    def points(self) -> np.ndarray:
        return self.mean + np.exp(self.log_sd) * self.noise

    @property
    def entropy(self) -> float:
        return float(len(self.mean) * (0.5 + HALF_LOG_TWO_PI) + np.sum(self.log_sd))

    @property
    def proper(self) -> bool:
        return bool(np.all(np.isfinite(self.mean)) and np.all(np.abs(self.log_sd) < 20.0))

    def updated(self, slope: Slope) -> GradientBlock:
        """A few steps of L-BFGS up the fixed-draw objective."""
        from scipy.optimize import minimize

        dim, count = len(self.mean), len(self.noise)

        def objective(vector: np.ndarray) -> tuple[float, np.ndarray]:
            moved = replace(self, mean=vector[:dim], log_sd=vector[dim:])
            total, gradients = slope(moved.points)
            if not (np.isfinite(total) and np.all(np.isfinite(gradients))):
                return np.inf, np.zeros_like(vector)
            by_scale = np.mean(gradients * np.exp(moved.log_sd) * self.noise, axis=0) + 1.0
            return -(total / count + np.sum(moved.log_sd)), -np.concatenate([gradients.mean(axis=0), by_scale])

        start = np.concatenate([self.mean, self.log_sd])
        found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
        if not found.fun <= objective(start)[0]:
            return self
        return replace(self, mean=found.x[:dim], log_sd=found.x[dim:])

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """Rows (draws, size)."""
        return self.mean + np.exp(self.log_sd) * rng.standard_normal((draws, len(self.mean)))

    def log_density(self, rows: np.ndarray) -> np.ndarray:
        """(draws,)."""
        standard = (rows - self.mean) * np.exp(-self.log_sd)
        return np.sum(-0.5 * standard**2 - self.log_sd - HALF_LOG_TWO_PI, axis=1)
