"""Precisions that are combinations of a few matrices: told from two products where a whole one takes hundreds.

A Gaussian hierarchy has the precision `sum_k P_k / s_k²` given its scales, with matrices that do not depend on them.
Whatever the P_k, precisions at a few points span all of them, and products with two vectors say which one it is
elsewhere; what is left over says where it is none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

PROBES, WORTHWHILE = 2, 16
"""Vectors that tell a precision, and products that a whole one takes from where on it is worth it."""
FAR = 1.5
"""How far from the middle the points are at which precisions are looked at, in unconstrained units."""
ROWS = 64
RANK, LEFT = 1e-11, 1e-9
"""Singular values below this share of the largest are rounding, and so are remainders below that share of a product."""

Products = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray | None]


@dataclass(frozen=True)
class Span:
    """A `basis` (rank, groups, dim) of all products of Hessians with the groups of columns, and products of each with
    the `probes` (probes, dim): `images` (rank, probes dim).
    """

    probes: np.ndarray
    basis: np.ndarray
    images: np.ndarray

    def products(self, times: Products, h: np.ndarray, u: np.ndarray) -> np.ndarray | None:
        """Products with the groups at rows of h and u: (rows, groups, dim). None where some are not in the span."""
        seen = _probed(times, h, u, self.probes)
        if seen is None:
            return None
        flat = seen.reshape(len(seen), -1)
        shares = np.linalg.lstsq(self.images.T, flat.T, rcond=None)[0].T
        left = np.linalg.norm(flat - shares @ self.images, axis=1)
        if not np.all(left <= LEFT * np.linalg.norm(flat, axis=1)):
            return None
        return np.tensordot(shares, self.basis, axes=1)


def _probed(times: Products, h: np.ndarray, u: np.ndarray, probes: np.ndarray) -> np.ndarray | None:
    """Products with the probes: (rows, probes, dim). Always of as many rows at once, so that one program is made."""
    parts = []
    for start in range(0, len(h), ROWS):
        mine = np.minimum(np.arange(start, start + ROWS), len(h) - 1)
        found = times(h[mine], u[mine], probes)
        if found is None:
            return None
        parts.append(found)
    return np.concatenate(parts)[: len(h)]


def find_span(times: Products, groups: np.ndarray, hyper: int) -> Span | None:
    """The span of Hessians in u given rows of h, from `times(h, u, vectors)` (rows, vectors, dim).

    `groups` (groups, dim) are the vectors that a whole Hessian takes. None where it depends on u, or a few points do
    not span all.
    """
    if len(groups) < WORTHWHILE:
        return None
    rng, dim = np.random.default_rng(0), groups.shape[1]
    probes = rng.standard_normal((PROBES, dim))
    moved = _probed(times, np.zeros((2, hyper)), rng.standard_normal((2, dim)), probes)
    if moved is None or not np.linalg.norm(moved[0] - moved[1]) <= LEFT * np.linalg.norm(moved):
        return None
    count = 2 * hyper + 4
    h, u = rng.uniform(-FAR, FAR, (count, hyper)), np.zeros((count, dim))
    every = times(h, u, np.concatenate([groups, probes]))
    if every is None or not np.all(np.isfinite(every)):
        return None
    flat = every.reshape(count, -1)
    _, values, vectors = np.linalg.svd(flat / np.linalg.norm(flat, axis=1, keepdims=True), full_matrices=False)
    rank = int(np.sum(values > RANK * values[0]))
    if rank > 0.8 * count:
        return None
    basis = vectors[:rank].reshape(rank, -1, dim)
    return Span(probes, basis[:, : len(groups)], basis[:, len(groups) :].reshape(rank, -1))
