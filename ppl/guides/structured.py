"""The structured Gaussian: dependence only where the model has it, so that its cost grows with the model's edges.

Two numbers of a posterior that never occur in one term of the log density are independent given all others: a Gaussian
whose precision has the zeros of the moralised graph loses nothing by them (Tan and Nott 2018, Gaussian variational
approximation with sparse precision matrices). It is kept as a regression of each number on those joined to it that
come later in an elimination order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ppl.guides.base import GUIDES, HALF_LOG_TWO_PI, GaussianGuide, notes_of, refuse_notes
from ppl.guides.dependence import joined
from ppl.guides.elimination import Structure, structure_of
from ppl.guides.layout import VectorLayout
from ppl.model.plan import Plan


@dataclass(frozen=True)
class Structured(GaussianGuide):
    """`u_i = loc_i + sum_j b_ij (u_j - loc_j) + sd_i noise_i` over the parents j of i; the root by a Cholesky factor.

    Parameters: loc (dim), log sd given the parents (dim; of the root the log diagonal of its factor), the
    coefficients and the strict lower triangle of the root's factor at the places of the structure.
    """

    structure: Structure | None = field(default=None, compare=False, repr=False)
    name: str = "structured"
    doc: str = "A Gaussian with correlations only along the edges of the model's graph; for many groups."
    most: ClassVar[int | None] = 5000

    def for_plan(self, plan: Plan, **options: Any) -> Structured:
        refuse_notes(plan, self.name, "lowrank")
        mask = joined(plan)
        groups: dict[str, list[str]] = {}
        for site, note in notes_of(plan, "fullrank"):
            groups.setdefault(note.arguments[0] if note.arguments else f"site {site.name}", []).append(site.name)
        entries = VectorLayout.of_sites(plan.continuous).entries
        for names in groups.values():
            members = np.concatenate([np.arange(e.start, e.stop) for e in entries if e.name in names])
            mask[np.ix_(members, members)] = True
        return Structured(structure_of(mask))

    @property
    def shape(self) -> Structure:
        assert self.structure is not None
        return self.structure

    def __str__(self) -> str:
        if self.structure is None:
            return self.name
        return f"{self.name} ({self.shape.zero - self.shape.dim:,} pairs joined)"

    def size(self, dim: int) -> int:
        return dim + self.shape.zero

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.concatenate([mean, np.log(sd), np.zeros(self.shape.zero - len(mean))])

    def near(self, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """The regressions of that Gaussian."""
        covariance, shape = factor @ factor.T, self.shape
        found = np.zeros(shape.zero + 1)
        for each in shape.rounds:
            for member, parents, edges in zip(each.members, each.parents, each.edges, strict=True):
                own = parents[edges < shape.zero]
                slopes = np.linalg.solve(covariance[np.ix_(own, own)], covariance[own, member])
                found[edges[edges < shape.zero]] = slopes
                left = covariance[member, member] - slopes @ covariance[own, member]
                found[member] = 0.5 * np.log(max(left, 1e-12 * covariance[member, member]))
        return self.pack(mean, found, np.linalg.cholesky(covariance[np.ix_(shape.root, shape.root)]))

    def pack(self, mean: np.ndarray, placed: np.ndarray, root: np.ndarray) -> np.ndarray:
        """Parameters from loc, log sds and coefficients at their places, and the root's Cholesky factor."""
        shape = self.shape
        placed = placed.copy()
        placed[shape.root] = np.log(np.diag(root))
        lower = np.tril_indices(len(shape.root), -1)
        placed[shape.root_pairs[lower]] = root[lower]
        return np.concatenate([mean, placed[: shape.zero]])

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        loc, placed, root = self._unpack(xp, parameters)
        shape = self.shape
        column = np.empty(shape.dim, int)
        column[shape.order] = np.arange(shape.dim)
        drawn = noise[:, shape.root] @ root.T
        for each in reversed(shape.rounds):
            fresh = noise[:, each.members] * xp.exp(placed[each.members])
            if each.edges.shape[1]:
                fresh = fresh + xp.sum(drawn[:, column[each.parents]] * placed[each.edges], axis=2)
            drawn = xp.concatenate([drawn, fresh], axis=1)
        return loc + drawn[:, column]

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        loc, placed, root = self._unpack(xp, parameters)
        shape = self.shape
        away = draws - loc
        square = xp.sum(xp.solve_triangular(root, away[:, shape.root].T, True) ** 2, axis=0)
        for each in shape.rounds:
            left = away[:, each.members]
            if each.edges.shape[1]:
                left = left - xp.sum(away[:, each.parents] * placed[each.edges], axis=2)
            square = square + xp.sum((left * xp.exp(-placed[each.members])) ** 2, axis=1)
        return -0.5 * square - xp.sum(placed[: shape.dim]) - shape.dim * HALF_LOG_TWO_PI

    def entropy(self, xp: Any, parameters: Any) -> Any:
        dim = self.shape.dim
        return xp.sum(parameters[dim : 2 * dim]) + dim * (0.5 + HALF_LOG_TWO_PI)

    def marginals(self, xp: Any, parameters: Any) -> tuple[Any, Any]:
        """By the regressions, from the root on: only covariances of joined numbers are needed."""
        loc, placed, root = self._unpack(xp, parameters)
        shape = self.shape
        lower = np.tril_indices(len(shape.root))
        covariances = xp.concatenate([np.zeros(1), (root @ root.T)[lower]])
        known = np.zeros(shape.zero + 1, int)  # where the covariance at each place stands among those; first the zero
        known[shape.root_pairs[lower]] = 1 + np.arange(len(lower[0]))
        total = 1 + len(lower[0])
        for each in reversed(shape.rounds):
            slopes = placed[each.edges]
            across = xp.sum(covariances[known[each.pairs]] * slopes[:, None, :], axis=2)
            own = xp.exp(2.0 * placed[each.members]) + xp.sum(across * slopes, axis=1)
            covariances = xp.concatenate([covariances, own, xp.reshape(across, (-1,))])
            for places in (each.members, each.edges):
                known[places] = total + np.arange(places.size).reshape(places.shape)
                total += places.size
            known[shape.zero] = 0
        return loc, covariances[known[: shape.dim]]

    def moments(self, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        loc = parameters[: self.shape.dim]
        factor = (self.transform(np, parameters, np.eye(self.shape.dim)) - loc).T
        return loc, factor @ factor.T

    def _unpack(self, xp: Any, parameters: Any) -> tuple[Any, Any, Any]:
        """Loc, log sds and coefficients at their places with the zero behind, and the root's Cholesky factor."""
        shape = self.shape
        placed = xp.concatenate([parameters[shape.dim :], np.zeros(1)])
        lower = np.tril(shape.root_pairs, -1) + np.triu(np.full(shape.root_pairs.shape, shape.zero))
        root = placed[lower] + xp.exp(placed[shape.root]) * np.eye(len(shape.root))
        return parameters[: shape.dim], placed, root


def factored(shape: Structure, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The regressions of the Gaussian with this precision, an array over the places of a structure: log sds and
    coefficients at their places, and the root's Cholesky factor. None where it is not positive definite.
    """
    left, found = np.append(precision, 0.0), np.zeros(shape.zero + 1)
    for each in shape.rounds:
        own, across = left[each.members], left[each.edges]
        if not np.all(own > 0.0):
            return None
        found[each.members], found[each.edges] = -0.5 * np.log(own), -across / own[:, None]
        upper = np.triu(np.ones(each.pairs.shape[1:], bool))
        np.subtract.at(left, each.pairs[:, upper], _products(across, own)[:, upper])
        left[-1] = found[-1] = 0.0
    try:
        inner = np.linalg.cholesky(left[shape.root_pairs])
        return found, np.linalg.cholesky(np.linalg.inv(inner @ inner.T))
    except np.linalg.LinAlgError:
        return None


def _products(across: np.ndarray, own: np.ndarray) -> np.ndarray:
    return across[:, :, None] * across[:, None, :] / own[:, None, None]


def covariance_times(shape: Structure, placed: np.ndarray, root: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """The covariance of such regressions times a vector (dim,)."""
    left, noise = vector.astype(float), np.zeros(shape.dim)
    for each in shape.rounds:
        noise[each.members] = np.exp(placed[each.members]) * left[each.members]
        np.add.at(left, each.parents, placed[each.edges] * left[each.members][:, None])
    noise[shape.root] = root.T @ left[shape.root]
    moved = np.zeros(shape.dim)
    moved[shape.root] = root @ noise[shape.root]
    for each in reversed(shape.rounds):
        regressed = np.sum(placed[each.edges] * moved[each.parents], axis=1)
        moved[each.members] = np.exp(placed[each.members]) * noise[each.members] + regressed
    return moved


GUIDES.register(Structured())
