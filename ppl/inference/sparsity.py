"""Which second derivatives vanish, how few gradients find the others, and a Cholesky factor that keeps the zeros.

Few variables (fixed effects) touch nearly everything; the others fall into small components (one group's effects)
that do not touch each other. Ordered components first, the precision is block diagonal with a border; a long
component that is a chain (a random walk) is banded besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ppl.inference.banded import banded_cholesky, banded_lower_solve, banded_upper_solve


@dataclass(frozen=True)
class Pattern:
    """A symmetric sparsity pattern over `dim` variables.

    `border` are the variables that touch many others; `components` hold the rest, grouped by size, as index arrays
    (count, size), and `widths` the bandwidth of each group of them, None where it is dense. Columns are differenced
    together in groups: `shifts` (groups, dim) has a one for each member and `owner` (dim,) is each column's group.
    """

    dim: int
    border: np.ndarray
    components: tuple[np.ndarray, ...]
    widths: tuple[int | None, ...]
    shifts: np.ndarray
    owner: np.ndarray

    @property
    def storage(self) -> int:
        """Numbers that one factor takes."""
        total = len(self.border) ** 2
        for members, width in zip(self.components, self.widths, strict=True):
            size = members.shape[1] if width is None else width + 1
            total += members.size * (size + len(self.border))
        return total


def find_pattern(gradient: Callable[[np.ndarray], np.ndarray], dim: int, seed: int = 0) -> Pattern:
    """Probe a gradient at two random points, all columns one by one: 2 dim rows a point."""
    rng = np.random.default_rng(seed)
    mask = np.eye(dim, dtype=bool)
    for _ in range(2):
        centre = 0.1 * rng.standard_normal(dim)
        offsets = 1e-3 * np.eye(dim)
        after, before = gradient(centre + offsets), gradient(centre - offsets)
        mask |= _differs(np.abs(after - before), np.maximum(np.abs(after), np.abs(before)))
    return pattern_of(mask | mask.T)


def _differs(difference: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Where gradient differences (moved, component) are more than rounding, on the scale of the two variables.

    One scale for all would lose what ties badly scaled variables together.
    """
    scale = np.sqrt(np.maximum(np.diag(difference), 0.0))
    rounding = 16.0 * np.finfo(float).eps * size
    return ~(difference <= np.maximum(1e-9 * np.outer(scale, scale), rounding))


def pattern_of(mask: np.ndarray) -> Pattern:
    """The border, the components and the groups of a symmetric boolean mask (dim, dim)."""
    degree = mask.sum(axis=0)
    is_border = degree > max(8, 1.5 * float(np.median(degree)))
    sparse = mask & ~is_border[:, None] & ~is_border[None, :]
    components = _components(sparse, np.flatnonzero(~is_border))
    border = np.flatnonzero(is_border)
    sizes = sorted({len(c) for c in components})
    by_size = tuple(np.array([c for c in components if len(c) == size]) for size in sizes)
    widths = tuple(_bandwidth(mask, members) for members in by_size)
    owner = _colour(_read(len(mask), by_size, widths), np.flatnonzero(~is_border))
    owner[border] = owner.max(initial=-1) + 1 + np.arange(len(border))
    shifts = (owner[None, :] == np.arange(owner.max() + 1)[:, None]).astype(float)
    return Pattern(len(mask), border, by_size, widths, shifts, owner)


def _read(dim: int, components: tuple[np.ndarray, ...], widths: tuple[int | None, ...]) -> np.ndarray:
    """The entries that a factor reads: all of a dense component, zeros too, and the bands of the others."""
    read = np.eye(dim, dtype=bool)
    for group, width in zip(components, widths, strict=True):
        size = group.shape[1]
        near = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= (size if width is None else width)
        for members in group:
            read[np.ix_(members, members)] |= near
    return read


def _bandwidth(mask: np.ndarray, members: np.ndarray) -> int | None:
    """The bandwidth that components of one size share, None where a dense factor is as good."""
    size = members.shape[1]
    places = [np.argwhere(mask[np.ix_(component, component)]) for component in members]
    width = max(int(np.abs(np.diff(place, axis=1)).max()) for place in places)
    return width if size > _LONG and width * width < size else None


_LONG = 24
"""Components up to this size are factored densely, in one call for all of them."""


def _components(mask: np.ndarray, members: np.ndarray) -> list[np.ndarray]:
    """Connected components of the members under the mask."""
    left, found = set(members.tolist()), []
    while left:
        frontier = {min(left)}
        component: set[int] = set()
        while frontier:
            component |= frontier
            reached = np.flatnonzero(mask[sorted(frontier)].any(axis=0))
            frontier = (set(reached.tolist()) & left) - component
        left -= component
        found.append(np.array(sorted(component)))
    return found


def _colour(mask: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Groups of columns no row of which has two of them, greedily."""
    owner = np.full(len(mask), -1)
    taken: list[np.ndarray] = []
    for column in members:
        free = [group for group, used in enumerate(taken) if not np.any(used & mask[:, column])]
        if not free:
            taken.append(np.zeros(len(mask), dtype=bool))
            free = [len(taken) - 1]
        owner[column] = free[0]
        taken[free[0]] |= mask[:, column]
    return owner


@dataclass(frozen=True)
class BorderedFactor:
    """Cholesky factors L of bordered block-diagonal precisions P = L L', one for each row.

    `blocks` and `couplings` hold for each component size the factors (rows, count, size, size), or (rows, count, size,
    width + 1) of banded ones, and L⁻¹ times the border columns (rows, count, size, border); `corner` (rows, border,
    border) factors the Schur complement. `sound` (rows,)
    is False where a precision was not positive definite and has been mended.
    """

    pattern: Pattern
    blocks: tuple[np.ndarray, ...]
    couplings: tuple[np.ndarray, ...]
    corner: np.ndarray
    sound: np.ndarray

    @property
    def log_det(self) -> np.ndarray:
        """log det P: (rows,)."""
        total = _log_diagonal(self.corner)
        for width, block in zip(self.pattern.widths, self.blocks, strict=True):
            logs = _log_diagonal(block) if width is None else np.log(block[..., 0]).sum(axis=-1)
            total = total + logs.sum(axis=1)
        return 2.0 * total

    @property
    def _groups(self) -> Iterator[tuple[np.ndarray, int | None, np.ndarray, np.ndarray]]:
        """Members, bandwidth, factors and couplings of each component size."""
        return zip(self.pattern.components, self.pattern.widths, self.blocks, self.couplings, strict=True)

    def forward(self, vectors: np.ndarray) -> np.ndarray:
        """L⁻¹ v for vectors (rows, dim), in the pattern's own order of variables."""
        out = np.empty_like(vectors)
        corner = vectors[:, self.pattern.border]
        for members, width, block, coupling in self._groups:
            part = _lower(width, block, vectors[:, members][..., None])[..., 0]
            out[:, members] = part
            corner = corner - np.einsum("rcsb,rcs->rb", coupling, part)
        out[:, self.pattern.border] = _lower_solve(self.corner, corner[..., None])[..., 0]
        return out

    def backward(self, vectors: np.ndarray) -> np.ndarray:
        """L'⁻¹ v: turns standard normal noise into draws with precision P."""
        out = np.empty_like(vectors)
        corner = _upper_solve(self.corner, vectors[:, self.pattern.border][..., None])[..., 0]
        out[:, self.pattern.border] = corner
        for members, width, block, coupling in self._groups:
            part = vectors[:, members] - np.einsum("rcsb,rb->rcs", coupling, corner)
            out[:, members] = _upper(width, block, part[..., None])[..., 0]
        return out

    def solve(self, vectors: np.ndarray) -> np.ndarray:
        """P⁻¹ v for vectors (rows, dim)."""
        return self.backward(self.forward(vectors))

    def take(self, rows: np.ndarray) -> BorderedFactor:
        """The factors of some rows."""
        blocks = tuple(block[rows] for block in self.blocks)
        couplings = tuple(coupling[rows] for coupling in self.couplings)
        return BorderedFactor(self.pattern, blocks, couplings, self.corner[rows], self.sound[rows])

    def put(self, rows: np.ndarray, other: BorderedFactor) -> None:
        """Overwrite the factors of some rows."""
        for mine, theirs in zip((*self.blocks, *self.couplings), (*other.blocks, *other.couplings), strict=True):
            mine[rows] = theirs
        self.corner[rows], self.sound[rows] = other.corner, other.sound


def factorise(pattern: Pattern, differences: np.ndarray, steps: np.ndarray) -> BorderedFactor:
    """Factors of minus the Hessians, from gradient differences (rows, groups, dim) over moves of `steps` (rows,
    dim).
    """

    def entries(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return -differences[:, pattern.owner[columns], rows] / steps[:, columns]

    border = pattern.border
    corner = _symmetric(entries(border[:, None], border[None, :]))
    sound = np.ones(len(steps), dtype=bool)
    blocks, couplings = [], []
    for members, width in zip(pattern.components, pattern.widths, strict=True):
        if width is None:
            block, fine = _cholesky(_symmetric(entries(members[:, :, None], members[:, None, :])))
        else:
            block, fine = banded_cholesky(_bands(entries, members, width))
        coupling = _lower(width, block, entries(members[:, :, None], border[None, None, :]))
        corner = corner - np.einsum("rcsa,rcsb->rab", coupling, coupling)
        sound &= fine.all(axis=1)
        blocks.append(block)
        couplings.append(coupling)
    factor, fine = _cholesky(corner)
    return BorderedFactor(pattern, tuple(blocks), tuple(couplings), factor, sound & fine)


Entries = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _bands(entries: Entries, members: np.ndarray, width: int) -> np.ndarray:
    """Diagonal and lower bands of the components, in the layout of `banded`: (rows, count, size, width + 1)."""
    diagonals = []
    for d in range(width + 1):
        low, high = members[:, d:], members[:, : members.shape[1] - d]
        band = 0.5 * (entries(low, high) + entries(high, low))
        diagonals.append(np.pad(band, ((0, 0), (0, 0), (d, 0))))
    return np.stack(diagonals, axis=-1)


def _lower(width: int | None, factors: np.ndarray, right: np.ndarray) -> np.ndarray:
    return _lower_solve(factors, right) if width is None else banded_lower_solve(factors, right)


def _upper(width: int | None, factors: np.ndarray, right: np.ndarray) -> np.ndarray:
    return _upper_solve(factors, right) if width is None else banded_upper_solve(factors, right)


def _symmetric(matrices: np.ndarray) -> np.ndarray:
    return 0.5 * (matrices + np.swapaxes(matrices, -1, -2))


def _log_diagonal(factors: np.ndarray) -> np.ndarray:
    return np.sum(np.log(np.diagonal(factors, axis1=-2, axis2=-1)), axis=-1)


def _cholesky(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors (…, n, n), of a nearby positive definite matrix where one is not; and whether each was."""
    finite = np.isfinite(matrices).all(axis=(-1, -2))
    matrices = np.where(finite[..., None, None], matrices, np.eye(matrices.shape[-1]))
    if matrices.shape[-1] == 1:
        fine = matrices[..., 0, 0] > 0
        return np.sqrt(np.maximum(np.abs(matrices), 1e-300)), finite & fine
    try:
        return np.linalg.cholesky(matrices), finite
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrices)
        fine = values[..., 0] > 0
        mended = np.maximum(np.abs(values), 1e-8 * np.abs(values).max(axis=-1, keepdims=True) + 1e-300)
        roots = np.sqrt(np.where(fine[..., None], values, mended))
        upper = np.linalg.qr(roots[..., :, None] * np.swapaxes(vectors, -1, -2), mode="r")
        signs = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
        return np.swapaxes(upper * signs[..., :, None], -1, -2), finite & fine


def _lower_solve(factors: np.ndarray, right: np.ndarray) -> np.ndarray:
    """L⁻¹ R for batches (…, n, n) and (…, n, m)."""
    size = factors.shape[-1]
    if size > 8:
        return np.linalg.solve(factors, right)
    out = np.empty(np.broadcast_shapes(right.shape, (*factors.shape[:-1], right.shape[-1])))
    for i in range(size):
        known = np.einsum("...k,...km->...m", factors[..., i, :i], out[..., :i, :])
        out[..., i, :] = (right[..., i, :] - known) / factors[..., i, i, None]
    return out


def _upper_solve(factors: np.ndarray, right: np.ndarray) -> np.ndarray:
    """L'⁻¹ R for batches of lower factors."""
    flipped = np.swapaxes(factors, -1, -2)[..., ::-1, ::-1]
    return _lower_solve(flipped, right[..., ::-1, :])[..., ::-1, :]
