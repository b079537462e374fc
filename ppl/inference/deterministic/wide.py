"""Mean field and its linear response where a dense covariance is too large: cost and memory follow the graph.

The Hessian of the objective over fixed draws is assembled from a few exact products where most of it is zero, and
factorised as a sparse matrix; where it is not sparse, conjugate gradients solve for the quantities that are asked for.
Coordinates are in units of the sds, which preconditions both like diag(s², 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.inference.deterministic.corrections import neighbour
from ppl.inference.deterministic.fixed_draws import FixedDraws, Whitening, conjugate_gradients, newton
from ppl.inference.deterministic.mean_field import STAGE, climbed, paired_draws
from ppl.inference.result import Correction
from ppl.inference.sparsity import Pattern, find_pattern
from ppl.inference.target import Target

PAIRS, UNCERTAIN = (16, 64), 0.05
"""Of draws, the second where the first leave the mean uncertain by more than this many sds."""
SPARSE_LIMIT, MOST_GROUPS = 6000, 300
"""Unknowns up to which, and groups of columns up to which, the whole Hessian is assembled."""
SOLVED_AT_ONCE, MOST_SOLVED = 128, 256
"""Right sides at once; elements that are corrected where each takes conjugate gradients."""
Solve = Callable[[np.ndarray], tuple[np.ndarray, bool]]


@dataclass(frozen=True)
class WideResponse:
    """Mean and mean-field sds in the target's coordinates, and what solves for linear response.

    `mean_error` is the Monte Carlo error of the means in mean-field sds; `sound` says that the Hessian is positive
    definite as far as it was looked at. `root` times its transpose is the Hessian of the objective, where that is a
    sparse matrix.
    """

    mean: np.ndarray
    raw_sd: np.ndarray
    unit: np.ndarray
    elbo: float
    mean_error: float
    sound: bool
    history: np.ndarray
    root: Any | None
    solve: Solve

    @property
    def sparse(self) -> bool:
        return self.root is not None

    def responses(self, slopes: np.ndarray) -> np.ndarray:
        """Covariances of quantities with every coordinate, from their slopes (quantities, dim), by linear response."""
        right = np.concatenate([slopes * self.unit, np.zeros_like(slopes)], axis=1)
        return self.solve(right)[0][:, : slopes.shape[1]] * self.unit

    def variances(self, slopes: np.ndarray) -> np.ndarray:
        """J' H⁻¹ J for slopes J (quantities, dim)."""
        found: np.ndarray = np.sum(self.responses(slopes) * slopes, axis=1)
        return found

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray | None:
        """Antithetic draws (draws, dim) with the covariance of linear response; None without a sparse factor.

        For a root R of the Hessian H and standard noise, H⁻¹ R noise has the covariance H⁻¹. The sd of every coordinate
        is then made exact.
        """
        if self.root is None or not self.sound:
            return None
        dim, parts = len(self.mean), []
        for start in range(0, draws // 2, SOLVED_AT_ONCE):
            noise = rng.standard_normal((min(SOLVED_AT_ONCE, draws // 2 - start), 2 * dim))
            parts.append(self.solve((self.root @ noise.T).T)[0][:, :dim] * self.unit)
        half = np.concatenate(parts)
        half *= self._sds() / np.sqrt(np.mean(half * half, axis=0))
        return self.mean + np.concatenate([half, -half])

    def _sds(self) -> np.ndarray:
        """Of every coordinate, by linear response: (dim,)."""
        return np.sqrt(np.concatenate([self.variances(axes) for _, axes in _axes(len(self.mean))]))


def _axes(dim: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Places of the coordinates, some at once, and unit vectors along them: (some, dim)."""
    for start in range(0, dim, SOLVED_AT_ONCE):
        mine = np.arange(start, min(start + SOLVED_AT_ONCE, dim))
        axes = np.zeros((len(mine), dim))
        axes[np.arange(len(mine)), mine] = 1.0
        yield mine, axes


def fit_wide(target: Target, mean: np.ndarray, sd: np.ndarray, rng: np.random.Generator) -> WideResponse:
    """L-BFGS, then Newton's method from a mean field near the optimum, and the linear response there."""
    pattern = find_pattern(target.gradient, target.dim) if target.dim <= SPARSE_LIMIT else None
    unit = _units(target, mean, sd)
    for pairs in PAIRS:
        objective = FixedDraws(target, Whitening(mean, unit), paired_draws(rng, pairs, target.dim))
        eta, decrement = newton(objective, climbed(objective, objective.begin(), 1e-4, target.clock), target.clock)
        response = _respond(target, objective, eta, pattern, np.isfinite(decrement))
        if not response.sound or response.mean_error < UNCERTAIN or target.clock.over(STAGE):
            break
    return response


def _units(target: Target, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """One over the root of the curvature along each coordinate; the sd where that is not positive."""
    diagonal = np.empty(target.dim)
    for mine, axes in _axes(target.dim):
        diagonal[mine] = target.curved(mean[None], axes[:, None], 1e-3 * sd)[np.arange(len(mine)), 0, mine]
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = 1.0 / np.sqrt(-diagonal)
    return np.where(np.isfinite(unit), unit, sd)


def _respond(
    target: Target, objective: FixedDraws, eta: np.ndarray, pattern: Pattern | None, sound: bool
) -> WideResponse:
    dim, whitening = objective.dim, objective.whitening
    factor = _sparse_factor(target, objective, eta, pattern) if sound else None
    used: Solve = factor.solve if factor else lambda right: conjugate_gradients(objective.curvature(eta), right)
    scale = np.exp(eta[dim:])
    error, solvable = _uncertainty(objective, eta, used) if sound else (np.inf, False)
    return WideResponse(
        mean=whitening.rows(eta[None, :dim])[0],
        raw_sd=whitening.sd(scale),
        unit=whitening.factor,
        elbo=-objective(eta)[0] + 0.5 * dim * np.log(2 * np.pi * np.e) + whitening.log_det,
        mean_error=error,
        sound=solvable,
        history=np.array(objective.history),
        root=factor.root if factor else None,
        solve=used,
    )


def _uncertainty(objective: FixedDraws, eta: np.ndarray, solve: Solve) -> tuple[float, bool]:
    """The largest Monte Carlo error of a mean in mean-field sds, by the sandwich; whether the solutions were found."""
    rows, jitter = objective.at(eta)
    gradients = objective.whitening.pull(objective.target.value_and_gradient(rows)[1])
    scores = objective.scores(gradients, jitter)
    half = len(scores) // 2
    pairs = 0.5 * (scores[:half] + scores[half:])
    moves, found = solve(pairs - pairs.mean(axis=0))
    variance = np.sum(moves[:, : objective.dim] ** 2, axis=0) / (half - 1) / half
    return float(np.max(np.sqrt(variance) / np.exp(eta[objective.dim :]))), found


@dataclass(frozen=True)
class _SparseFactor:
    """A factorised sparse matrix: what solves with it, and a sparse matrix that is it times its transpose."""

    solve: Solve
    root: Any


def _sparse_factor(
    target: Target, objective: FixedDraws, eta: np.ndarray, pattern: Pattern | None
) -> _SparseFactor | None:
    """Of the whole Hessian; None where it is not sparse or not positive definite."""
    if pattern is None or len(pattern.shifts) > MOST_GROUPS:
        return None
    from scipy.sparse import bmat, diags_array
    from scipy.sparse.linalg import splu

    rows, jitter = objective.at(eta)
    unit, dim = objective.whitening.factor, objective.dim
    gradients = objective.whitening.pull(target.value_and_gradient(rows)[1])
    low, high, entries = _entries(target, rows, pattern, 1e-3 * unit)
    curvature = -entries * (unit[low] * unit[high])
    blocks = [_matrix(low, high, part.mean(axis=0), dim) for part in (
        curvature, curvature * jitter[:, high], curvature * jitter[:, low] * jitter[:, high]
    )]  # fmt: skip
    logs = blocks[2] - diags_array(np.mean(gradients * jitter, axis=0))
    full = bmat([[blocks[0], blocks[1]], [blocks[1].T, logs]], format="csc")
    try:
        factor = splu(full, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:  # singular
        return None
    pivots = factor.U.diagonal()
    if not np.all(pivots > 0.0) or not np.array_equal(factor.perm_r, factor.perm_c):
        return None
    root = (factor.L @ diags_array(np.sqrt(pivots))).tocsr()[factor.perm_r]
    return _SparseFactor(
        lambda right: (np.ascontiguousarray(factor.solve(np.ascontiguousarray(right.T)).T), True), root
    )


def _matrix(low: np.ndarray, high: np.ndarray, values: np.ndarray, dim: int) -> Any:
    from scipy.sparse import coo_array

    return coo_array((values, (low, high)), shape=(dim, dim)).tocsc()


def _entries(
    target: Target, rows: np.ndarray, pattern: Pattern, step: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (entries,) of what does not vanish of each row's Hessian, and its values (rows, entries)."""
    found = target.curved(rows, pattern.shifts[:, None, :], step)
    border = np.array(np.meshgrid(pattern.border, pattern.border, indexing="ij")).reshape(2, -1)
    low, high = np.concatenate([border, *_inner(pattern)], axis=1)
    beside = np.setdiff1d(np.arange(target.dim), pattern.border)
    edge_low, edge_high = (part.ravel() for part in np.meshgrid(beside, pattern.border, indexing="ij"))
    values = found[pattern.owner[high], :, low].T
    edge = found[pattern.owner[edge_high], :, edge_low].T
    every = np.concatenate([values, edge, edge], axis=1)
    kept = np.abs(every).max(axis=0) > 0.0
    places = np.concatenate([low, edge_low, edge_high]), np.concatenate([high, edge_high, edge_low])
    return places[0][kept], places[1][kept], every[:, kept]


def _inner(pattern: Pattern) -> list[np.ndarray]:
    """Places (2, entries) inside the components, of banded ones those in the band."""
    places = []
    for group, width in zip(pattern.components, pattern.widths, strict=True):
        size = group.shape[1]
        near = np.arange(size) if width is None else np.arange(-width, width + 1)
        first = np.repeat(np.arange(size), len(near))
        second = np.tile(near, size) if width is None else first + np.tile(near, size)
        inside = (second >= 0) & (second < size)
        places.append(np.stack([group[:, first[inside]].ravel(), group[:, second[inside]].ravel()]))
    return places


def wide_corrections(target: Target, response: WideResponse) -> tuple[Correction, ...]:
    """As `corrections`; without a sparse factor of the first `MOST_SOLVED` elements only."""
    if not response.sound:
        return ()
    names, slopes, latents = _slopes(target, response)
    count = len(names) if response.sparse else min(MOST_SOLVED, len(names))
    raw = np.sqrt(slopes.multiply(slopes) @ response.raw_sd**2)[:count]
    corrected, other, between = np.empty(count), np.empty(count, int), np.empty(count)
    for start in range(0, count, SOLVED_AT_ONCE):
        mine = np.arange(start, min(start + SOLVED_AT_ONCE, count))
        covariance = (slopes[:count] @ response.responses(slopes[mine].toarray()).T).T
        own = np.arange(len(mine)), mine
        corrected[mine] = np.sqrt(covariance[own])
        covariance[own] = 0.0
        other[mine] = np.argmax(np.abs(np.nan_to_num(covariance / raw))[:, :latents], axis=1)
        between[mine] = covariance[own[0], other[mine]]
    correlation = between / (corrected * corrected[other])
    return tuple(
        Correction(names[k], float(raw[k]), float(corrected[k]), *neighbour(names[other[k]], float(correlation[k])))
        for k in range(count)
    )


def _slopes(target: Target, response: WideResponse) -> tuple[list[str], Any, int]:
    """Names of elements, the sparse derivatives of their values at the mean (elements, dim), and how many are latents':
    the first ones.
    """
    from scipy.sparse import coo_array, hstack

    step, parts = 1e-4 * response.raw_sd, []
    names: list[str] = []
    for mine, axes in _axes(target.dim):
        moves = axes * step
        values = target.values(response.mean + np.concatenate([moves, -moves]))
        every = {**values, **target.quantities(values)}
        flat = np.concatenate([each.reshape(2, len(mine), -1) for each in every.values()], axis=2)
        parts.append(coo_array(((flat[0] - flat[1]) / (2.0 * step[mine, None])).T))
        names = names or [
            f"{name}[{', '.join(map(str, i))}]" if i else name
            for name, each in every.items()
            for i in np.ndindex(*each.shape[1:])
        ]
    return names, hstack(parts, format="csr"), sum(each[0].size for each in values.values())
