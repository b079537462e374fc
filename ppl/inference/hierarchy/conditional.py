"""The conditional guide of hierarchical models: q(h) times a Gaussian for the rest given h.

At each h a damped Newton iteration finds the conditional mode m(h) and precision P(h) of u; the Laplace marginal
log p(m(h), h, y) - ½ log det P(h) is what q(h) is fitted to. Where the model is Gaussian given h all of this is exact;
importance weights on the exact joint density correct the rest. Rue, Martino and Chopin (2009) is the idea.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.inference.clock import ENDLESS, Clock
from ppl.inference.deterministic.multistart import FAINT
from ppl.inference.hierarchy.spanned import find_span
from ppl.inference.sparsity import BorderedFactor, factorise, find_pattern
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT

HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)
_NEWTON_STEPS, _LATE_STEPS = 60, 8
"""At most, and once the time is spent."""
_SMALL = 1e-6
DIP = 1.0
"""Nats by which the density dips between separate modes."""
_MEMORY = 40_000_000
DEAR, CHORD = 16, 0.25
"""Products from which on a precision is used again, and what a step must leave of the decrement at most for that."""
BLOCK_SECONDS, FEWEST_ROWS = 2.0, 16
"""Of estimated work for one Hessian of each row of a block, and rows that are worth it anyhow."""
EXACT_FROM = 40
"""Unknowns from which on exact Hessians are worth their staging."""


@dataclass(frozen=True)
class Conditional:
    """Modes m (rows, du), Cholesky factors of the precisions and Laplace marginals (rows,) at rows of h."""

    modes: np.ndarray
    factor: BorderedFactor
    marginal: np.ndarray


class ConditionalTarget:
    """A target split into coordinates `h` and `u`, with `u` handled by Newton's method at each `h`."""

    def __init__(self, target: Target, hyper: np.ndarray) -> None:
        self.target = target
        self.hyper = hyper
        self.rest = np.setdiff1d(np.arange(target.dim), hyper)
        self.inner = target.along(self.rest)
        middle = np.zeros(len(hyper))
        # away from the middle, where a coefficient of zero would hide what it couples
        probe = np.random.default_rng(0).uniform(0.2, 0.8, len(hyper))
        self.pattern = find_pattern(lambda u: self._gradient(np.tile(probe, (len(u), 1)), u), len(self.rest))
        exact = len(self.rest) >= EXACT_FROM
        self._span = find_span(self._times, self.pattern.shifts, len(hyper)) if exact else None
        self._warm = self._newton(middle[None], np.zeros((1, len(self.rest))))[0][0]

    @property
    def groups(self) -> int:
        """Gradients that one Hessian takes, besides the one at the point itself."""
        return len(self.pattern.shifts if self._span is None else self._span.probes)

    def rows(self, h: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Full vectors from their two parts."""
        rows = np.empty((len(h), self.target.dim))
        rows[:, self.hyper], rows[:, self.rest] = h, u
        return rows

    def blocks(self, h: np.ndarray, most: int | None = None) -> list[np.ndarray]:
        """Rows of h in parts whose Hessians fit into memory, of `most` rows at most."""
        size = max(1, _MEMORY // max(len(self.pattern.shifts) * self.target.dim, self.pattern.storage))
        size = size if most is None else min(size, most)
        return [h[i : i + size] for i in range(0, len(h), size)]

    def at(self, h: np.ndarray) -> Conditional:
        """The conditional Gaussians at rows of h: (rows, dh)."""
        u, values, factor = self._newton(h, np.tile(self._warm, (len(h), 1)))
        marginal = values + len(self.rest) * HALF_LOG_TWO_PI - 0.5 * factor.log_det
        return Conditional(u, factor, np.where(factor.sound & np.isfinite(marginal), marginal, -np.inf))

    def marginal(self, h: np.ndarray, clock: Clock = ENDLESS) -> np.ndarray:
        """Laplace marginal log densities of rows of h: (rows,). Raises TimeSpent where the clock is over before."""
        parts = []
        for part in self.blocks(h, self.quick):
            clock.check()
            parts.append(self.at(part).marginal)
        return np.concatenate(parts)

    @property
    def quick(self) -> int:
        """Rows of h between two looks at the clock."""
        return max(FEWEST_ROWS, int(BLOCK_SECONDS / (self.groups * GRADIENT * self.target.seconds)))

    def is_gaussian(self, h: np.ndarray) -> bool:
        """Whether u is exactly Gaussian given this h (dh,), as far as its precision at two points tells."""
        found = self.at(h[None])
        moved = found.modes + found.factor.backward(np.ones_like(found.modes))
        other = self._factor(h[None], moved, self._gradient(h[None], moved))
        return bool(np.allclose(found.factor.log_det, other.log_det, rtol=0.0, atol=1e-3))

    def recentre(self, h: np.ndarray) -> None:
        """Start later Newton iterations from the conditional mode at this h (dh,)."""
        self._warm = self.at(h[None]).modes[0]

    def explore(self, h: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Newton's method from several u (starts, du) at this h (dh,): the separate modes that matter, the best first.

        Later iterations start from the best mode found. Two modes are separate where the density between them dips.
        """
        starts = np.concatenate([self._warm[None], starts])
        here = np.tile(h, (len(starts), 1))
        u, values, factor = self._newton(here, starts)
        marginal = values - 0.5 * factor.log_det
        marginal = np.where(factor.sound & np.isfinite(marginal), marginal, -np.inf)
        if not np.isfinite(marginal).any():
            return self._warm[None]
        order = np.argsort(-marginal)
        self._warm = u[order[0]]
        kept = [int(order[0])]
        for other in order[marginal[order] > marginal[order[0]] - FAINT][1:]:
            middle = self.target.log_density(self.rows(here[: len(kept)], 0.5 * (u[kept] + u[other])))
            if np.all(middle < np.minimum(values[kept], values[other]) - DIP):
                kept.append(int(other))
        return u[kept]

    def _newton(self, h: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, BorderedFactor]:
        """Damped Newton on every row at once; rows that have converged drop out. Modes, log joints, factors.

        Convergence is judged with the precision of the step before, which then is good to the same order: where
        the model is Gaussian given h one precision a row is all that is computed. Where precisions are dear the last
        one serves for as long as its steps go well, and is computed anew at the end.
        """
        values = self.target.log_density(self.rows(h, u))
        gradient = self._gradient(h, u)
        factor = current = self._factor(h, u, gradient)
        active, stale, dear = np.arange(len(h)), np.zeros(len(h), dtype=bool), len(self.pattern.shifts) >= DEAR
        for iteration in range(_NEWTON_STEPS):
            step = current.solve(gradient)
            before = np.sum(step * gradient, axis=1)
            with np.errstate(invalid="ignore"):
                going = before > _SMALL
            active, step = active[going], step[going]
            if not len(active) or (iteration >= _LATE_STEPS and self.target.clock.over()):
                break
            u[active], values[active] = self._line_search(h[active], u[active], values[active], step)
            gradient = self._gradient(h[active], u[active])
            current = current.take(going)
            left = _decrement(current, gradient)
            if not iteration and np.all(left <= _SMALL):
                continue
            stale[active] = dear and np.all(left <= CHORD * before[going])
            if not stale[active].any():
                current = self._factor(h[active], u[active], gradient)
                factor.put(active, current)
        late = np.flatnonzero(stale)
        if len(late):
            factor.put(late, self._factor(h[late], u[late], self._gradient(h[late], u[late])))
        return u, values, factor

    def _gradient(self, h: np.ndarray, u: np.ndarray) -> np.ndarray:
        return self.inner.gradient(self.rows(h, u))

    def _line_search(
        self, h: np.ndarray, u: np.ndarray, values: np.ndarray, step: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The longest of the halved steps that does not lower the density, row by row."""
        best, found = u.copy(), values.copy()
        open_rows, length = np.arange(len(h)), 1.0
        while len(open_rows) and length > 1e-4:
            trial = u[open_rows] + length * step[open_rows]
            value = self.target.log_density(self.rows(h[open_rows], trial))
            with np.errstate(invalid="ignore"):
                better = value >= values[open_rows] - 1e-9 * np.abs(values[open_rows])
                better |= ~np.isfinite(values[open_rows]) & np.isfinite(value)
            best[open_rows[better]], found[open_rows[better]] = trial[better], value[better]
            open_rows, length = open_rows[~better], 0.5 * length
        return best, found

    def _factor(self, h: np.ndarray, u: np.ndarray, gradient: np.ndarray) -> BorderedFactor:
        """Cholesky factors of minus the Hessian in u, from its products with the pattern's groups of columns.

        Of few unknowns by one-sided differences of gradients, which take no staging: the weights are taken against the
        Gaussian that is used, so its last digits do not matter.
        """
        products = self._products(h, u) if len(self.rest) >= EXACT_FROM else None
        if products is not None:
            return factorise(self.pattern, products, np.ones_like(u))
        step = 1e-4 * (1.0 + np.abs(u))
        shifts = self.pattern.shifts
        points = (u[:, None] + shifts[None] * step[:, None, :]).reshape(-1, u.shape[1])
        moved = self._gradient(np.repeat(h, len(shifts), axis=0), points).reshape(len(h), len(shifts), -1)
        with np.errstate(invalid="ignore"):
            return factorise(self.pattern, moved - gradient[:, None], step)

    def _products(self, h: np.ndarray, u: np.ndarray) -> np.ndarray | None:
        """Exact products of the Hessians in u with the groups: (rows, groups, du); None where there are none."""
        if self._span is not None:
            found = self._span.products(self._times, h, u)
            if found is not None:
                return found
        return self._times(h, u, self.pattern.shifts)

    def _times(self, h: np.ndarray, u: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
        """Exact products of the Hessians in u with vectors (vectors, du): (rows, vectors, du)."""
        found = self.inner.products(self.rows(h, u), vectors[:, None])
        return None if found is None else np.moveaxis(found, 0, 1)


def _decrement(factor: BorderedFactor, gradient: np.ndarray) -> np.ndarray:
    """Twice the nats that a step would gain, by these precisions: (rows,)."""
    found: np.ndarray = np.sum(factor.solve(gradient) * gradient, axis=1)
    return found
