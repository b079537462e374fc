"""The conditional guide of hierarchical models: q(h) times a Gaussian for the rest given h.

At each h a damped Newton iteration finds the conditional mode m(h) and precision P(h) of u; the Laplace marginal
log p(m(h), h, y) - ½ log det P(h) is what q(h) is fitted to. Where the model is Gaussian given h all of this is exact;
importance weights on the exact joint density correct the rest. Rue, Martino and Chopin (2009) is the idea.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ppl.inference.importance.psis import psis
from ppl.inference.importance.sampling import (
    DF,
    AnyProposal,
    Proposal,
    Weighted,
    adapt,
    exact_moments,
    student_constant,
)
from ppl.inference.sparsity import BorderedFactor, factorise, find_pattern
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT

HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)
_NEWTON_STEPS = 60
_SMALL = 1e-6
FEWEST_COPIES, FEWEST_CONDITIONALS = 4, 250
MANY = 8
"""With more hyperparameters than this, more of their draws and fewer of the rest are made."""
HEAVY_SHARE = 0.25
FAINT, DIP = 12.0, 1.0
"""Nats by which a mode is below the best and can be left out, and by which the density dips between separate ones."""
EXPLORATIONS = 3
"""How often the hyperparameters are looked for anew, from a better mode of the rest."""
SECONDS = 3.0
NEWTON = 4.0
"""A Newton iteration, with its line search and its factors, against its gradients."""
_MEMORY = 40_000_000
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
        middle = np.zeros(len(hyper))
        # away from the middle, where a coefficient of zero would hide what it couples
        probe = np.random.default_rng(0).uniform(0.2, 0.8, len(hyper))
        self.pattern = find_pattern(lambda u: self._gradient(np.tile(probe, (len(u), 1)), u), len(self.rest))
        self._warm = self._newton(middle[None], np.zeros((1, len(self.rest))))[0][0]

    @property
    def groups(self) -> int:
        """Gradients that one Hessian takes, besides the one at the point itself."""
        return len(self.pattern.shifts)

    def rows(self, h: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Full vectors from their two parts."""
        rows = np.empty((len(h), self.target.dim))
        rows[:, self.hyper], rows[:, self.rest] = h, u
        return rows

    def blocks(self, h: np.ndarray, most: int | None = None) -> list[np.ndarray]:
        """Rows of h in parts whose Hessians fit into memory, of `most` rows at most."""
        size = max(1, _MEMORY // max(self.groups * self.target.dim, self.pattern.storage))
        size = size if most is None else min(size, most)
        return [h[i : i + size] for i in range(0, len(h), size)]

    def at(self, h: np.ndarray) -> Conditional:
        """The conditional Gaussians at rows of h: (rows, dh)."""
        u, values, factor = self._newton(h, np.tile(self._warm, (len(h), 1)))
        marginal = values + len(self.rest) * HALF_LOG_TWO_PI - 0.5 * factor.log_det
        return Conditional(u, factor, np.where(factor.sound & np.isfinite(marginal), marginal, -np.inf))

    def marginal(self, h: np.ndarray) -> np.ndarray:
        """Laplace marginal log densities of rows of h: (rows,)."""
        return np.concatenate([self.at(part).marginal for part in self.blocks(h)])

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
        the model is Gaussian given h one precision a row is all that is computed.
        """
        values = self.target.log_density(self.rows(h, u))
        gradient = self._gradient(h, u)
        factor = current = self._factor(h, u, gradient)
        active = np.arange(len(h))
        for iteration in range(_NEWTON_STEPS):
            step = current.solve(gradient)
            with np.errstate(invalid="ignore"):
                going = np.sum(step * gradient, axis=1) > _SMALL
            active, step = active[going], step[going]
            if not len(active):
                break
            u[active], values[active] = self._line_search(h[active], u[active], values[active], step)
            gradient = self._gradient(h[active], u[active])
            current = current.take(going)
            if iteration or not _settled(current, gradient):
                current = self._factor(h[active], u[active], gradient)
                factor.put(active, current)
        return u, values, factor

    def _gradient(self, h: np.ndarray, u: np.ndarray) -> np.ndarray:
        return self.target.gradient(self.rows(h, u))[:, self.rest]

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
        """Exact products of the Hessians in u: (rows, groups, du); None where there are none."""
        groups = np.zeros((self.groups, 1, self.target.dim))
        groups[:, 0, self.rest] = self.pattern.shifts
        found = self.target.products(self.rows(h, u), groups)
        return None if found is None else np.moveaxis(found[:, :, self.rest], 0, 1)


def _settled(factor: BorderedFactor, gradient: np.ndarray) -> bool:
    """Whether one step has brought every row to its mode, as it does in a Gaussian."""
    with np.errstate(invalid="ignore"):
        return bool(np.all(np.sum(factor.solve(gradient) * gradient, axis=1) <= _SMALL))


@dataclass(frozen=True)
class HyperFit:
    """q(h): a proposal, the weighted draws of h it was fitted to, and how many of its draws are affordable.

    `seconds` is about what one conditional Gaussian takes; `modes` (modes, dim) are the separate ones that the rest has
    at the mode of h, as far as they were looked for.
    """

    proposal: AnyProposal
    sample: Weighted
    count: int
    seconds: float
    modes: np.ndarray


def hyper_starts(dim: int, rng: np.random.Generator) -> np.ndarray:
    """Points at which a search over hyperparameters may begin: the middle, and some around it."""
    return np.concatenate([np.zeros((1, dim)), rng.uniform(-2.0, 2.0, (7, dim))])


def fit_hyper(
    conditional: ConditionalTarget, rng: np.random.Generator, draws: int, starts: np.ndarray | None = None
) -> HyperFit:
    """Fit q(h) to the Laplace marginal by adaptive importance sampling, from its mode on.

    `starts` (starts, dim) are full vectors from which other modes of the rest are looked for.
    """
    mode, factor, modes = _best_mode(conditional, rng, starts)
    first = Proposal(mode, factor, DF)
    seconds = _seconds(conditional, first, rng)
    count = _affordable(conditional, seconds, draws // (FEWEST_COPIES if len(mode) <= MANY else 2))
    sample, proposal = adapt(
        conditional.marginal,
        first,
        rng,
        rounds=4,
        draws=min(count, 1000 * len(mode)),
        strata=3 if len(mode) <= MANY else 1,
    )
    return HyperFit(proposal, sample, count, seconds, modes)


def _best_mode(
    conditional: ConditionalTarget, rng: np.random.Generator, starts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mode of h with its factor, where the rest is at the best of its modes; and all of those: (modes, dim)."""
    from_here, modes, best = hyper_starts(len(conditional.hyper), rng), np.empty((0, 0)), -np.inf
    for _ in range(EXPLORATIONS):
        mode, factor = _hyper_mode(conditional, from_here)
        conditional.recentre(mode)
        if starts is None:
            break
        found_at = conditional.explore(mode, starts[:, conditional.rest])
        modes = conditional.rows(np.tile(mode, (len(found_at), 1)), found_at)
        found = float(conditional.marginal(mode[None])[0])
        if found < best + DIP:
            break
        from_here, best = mode[None], found
    return mode, factor, modes


def fit_conditional(conditional: ConditionalTarget, hyper: HyperFit, rng: np.random.Generator, draws: int) -> Weighted:
    """Draw h from q(h) and then some u for each, weigh by the exact joint density: weighted full vectors."""
    copies = 2 * max(1, draws // (2 * hyper.count))
    h = hyper.proposal.draw(rng, hyper.count)
    log_q_h = hyper.proposal.log_density(h)
    rows, log_q = _draw_rest(conditional, h, log_q_h, rng, copies)
    ratios = conditional.target.log_density(rows) - log_q
    ratios = np.where(np.isnan(ratios), -np.inf, ratios)
    return _weighted_in_copies(rows, ratios, copies)


def _seconds(conditional: ConditionalTarget, proposal: Proposal, rng: np.random.Generator) -> float:
    """What one conditional Gaussian takes, roughly.

    Told from the gradients that a few of them take, not by a clock: equal seeds give equal results.
    """
    target, tries = conditional.target, 20
    before = target.evaluations
    conditional.at(proposal.draw(rng, tries))
    gradients = (target.evaluations - before) / tries
    return gradients * NEWTON * GRADIENT * target.seconds


def _affordable(conditional: ConditionalTarget, seconds: float, most: int) -> int:
    """How many conditional Gaussians of so many seconds can be found in `SECONDS`: a power of two times the fewest."""
    possible = SECONDS / seconds
    count = max(FEWEST_CONDITIONALS, 40 * len(conditional.hyper))
    while 2 * count <= min(possible, most):
        count *= 2
    return count


def _weighted_in_copies(rows: np.ndarray, ratios: np.ndarray, copies: int) -> Weighted:
    """Weights of rows that share a draw of h: the tail is judged by the mean ratio of each h, its independent unit."""
    groups = np.logaddexp.reduce(ratios.reshape(-1, copies), axis=1) - np.log(copies)
    smoothed, khat = psis(groups)
    with np.errstate(invalid="ignore"):
        within = ratios.reshape(-1, copies) - groups[:, None] - np.log(copies)
    within = np.where(np.isfinite(within), within, -np.inf)
    return Weighted(rows, (smoothed[:, None] + within).ravel(), ratios, khat, copies)


def _draw_rest(
    conditional: ConditionalTarget, h: np.ndarray, log_q_h: np.ndarray, rng: np.random.Generator, copies: int
) -> tuple[np.ndarray, np.ndarray]:
    """Antithetic draws of u given each h: full vectors (len(h) * copies, dim) and their log densities under the guide.

    One pair in four is a Student-t's, and the density is the mixture's: it bounds the weights where the conditional
    has heavier tails than a Gaussian.
    """
    du, pairs = len(conditional.rest), copies // 2
    noise = exact_moments(rng.standard_normal((len(h) * pairs, du))).reshape(len(h), pairs, du)
    heavy = rng.random((len(h), pairs)) < HEAVY_SHARE
    mixing = np.where(heavy, rng.chisquare(DF, (len(h), pairs)) / DF, 1.0)
    noise = noise / np.sqrt(mixing)[..., None]
    density = _mixture_density(np.sum(noise**2, axis=2), du)
    rows, log_q, done = [], [], 0
    for part in conditional.blocks(h):
        found = conditional.at(part)
        mine = slice(done, done + len(part))
        moves = [found.factor.backward(noise[mine, pair]) for pair in range(pairs)]
        u = np.stack([found.modes + sign * move for sign in (1, -1) for move in moves], axis=1)
        rows.append(conditional.rows(np.repeat(part, copies, axis=0), u.reshape(-1, du)))
        log_q.append(0.5 * found.factor.log_det[:, None] + np.tile(density[mine], 2))
        done += len(part)
    return np.concatenate(rows), (np.concatenate(log_q) + log_q_h[:, None]).ravel()


def _mixture_density(square: np.ndarray, dim: int) -> np.ndarray:
    """Log density of the standard normal and Student-t mixture in `dim` dimensions, at points of this squared
    length.
    """
    student = student_constant(dim, DF) - 0.5 * (DF + dim) * np.log1p(square / DF)
    normal = -0.5 * square - dim * HALF_LOG_TWO_PI
    return np.logaddexp(math.log(1.0 - HEAVY_SHARE) + normal, math.log(HEAVY_SHARE) + student)


def _hyper_mode(conditional: ConditionalTarget, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mode of the Laplace marginal and a Cholesky factor of its inverse curvature.

    Newton's method with derivatives from differences, all points of an iteration in one batch, the step lengths too.
    """
    values = conditional.marginal(starts)
    mode, best = starts[int(np.argmax(values))], float(values.max())
    for _ in range(_NEWTON_STEPS):
        conditional.recentre(mode)
        gradient, factor = _derivatives(conditional, mode)
        step = factor @ (factor.T @ gradient)
        step *= min(1.0, _LONGEST / (float(np.linalg.norm(step)) + 1e-300))
        trials = mode + _LENGTHS[:, None] * step
        found = conditional.marginal(trials)
        longest = int(np.argmax(found))
        gained = float(found[longest]) - best
        if gained > 0.0:
            mode, best = trials[longest], float(found[longest])
        if not gained > 1e-4:
            break
    return mode, _derivatives(conditional, mode)[1]


_LENGTHS = 2.0 ** np.arange(1, -8, -1)
_LONGEST, _DIFFERENCE = 2.0, 0.05
"""The longest Newton step and the distance of the differences, in unconstrained units of a hyperparameter."""


def _derivatives(conditional: ConditionalTarget, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the Laplace marginal and a Cholesky factor of minus its inverse Hessian, made positive definite."""
    dim = len(at)
    pairs = [(i, j) for i in range(dim) for j in range(i)]
    basis = _DIFFERENCE * np.eye(dim)
    corners = [at + a * basis[i] + b * basis[j] for i, j in pairs for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    values = conditional.marginal(np.array([at, *(at + basis), *(at - basis), *corners]))
    up, down = values[1 : dim + 1], values[dim + 1 : 2 * dim + 1]
    gradient = (up - down) / (2.0 * _DIFFERENCE)
    hessian = np.diag((up + down - 2.0 * values[0]) / _DIFFERENCE**2)
    for (i, j), (pp, pm, mp, mm) in zip(pairs, values[2 * dim + 1 :].reshape(-1, 4), strict=True):
        hessian[i, j] = hessian[j, i] = (pp - pm - mp + mm) / (4.0 * _DIFFERENCE**2)
    hessian = np.where(np.isfinite(hessian), hessian, -np.eye(dim))
    roots, vectors = np.linalg.eigh(-hessian)
    roots = np.clip(np.abs(roots), 0.05, 1e8)  # a hyperparameter's sd in unconstrained space is a few units at most
    return np.where(np.isfinite(gradient), gradient, 0.0), np.linalg.cholesky((vectors / roots) @ vectors.T)
