"""Normal blocks whose precision is proportional to an unknown: a normal-gamma factor for both together.

Where the log joint density depends on a block b and a precision t as `c log t + t (r - Q(b) / 2)`, Q quadratic, b given
t is normal with precision `t Q''` and mean at the minimum of Q, whatever t is; with b integrated out t is gamma (or
1 / t inverse gamma). Keeping the two together loses nothing; apart, as in plain mean field, both would be too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl.compiler.conjugacy.expectation import LOG, MEAN, RECIPROCAL
from ppl.inference.coordinate.blocks import NormalBlock
from ppl.inference.coordinate.expected import State
from ppl.inference.coordinate.natural import NaturalFactor
from ppl.inference.sparsity import BorderedFactor

_PRECISIONS = {"gamma": MEAN, "inverse_gamma": RECIPROCAL}
"""Which statistic of a family is the precision."""


@dataclass(frozen=True)
class Scaled:
    """The block whose coordinates have the elements of a site as precisions; `owner` is the flat element of each."""

    block: int
    site: str
    owner: np.ndarray

    def precision(self, factor: NaturalFactor) -> np.ndarray:
        """The expected precision of each coordinate."""
        return factor.statistics[_place(factor)].ravel()[self.owner]

    def count(self, factor: NaturalFactor) -> np.ndarray:
        """How many coordinates each element scales, in the site's shape."""
        return np.bincount(self.owner, minlength=factor.natural[0].size).reshape(factor.natural[0].shape)

    def gap(self, factor: NaturalFactor) -> float:
        """By how much the entropy of the block given the precision is larger than at the expected precision."""
        return 0.5 * float(np.sum(np.log(self.precision(factor)) - self.log_precision(factor)))

    def log_precision(self, factor: NaturalFactor) -> np.ndarray:
        """The expected log precision of each coordinate."""
        return _sign(factor) * factor.statistics[factor.family.kinds.index(LOG)].ravel()[self.owner]

    def marginal(self, factor: NaturalFactor, gradient: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Natural parameters with the block integrated out, from the derivatives at the block's mean."""
        power = factor.family.kinds.index(LOG)
        found = list(gradient)
        found[power] = found[power] - _sign(factor) * 0.5 * self.count(factor)
        return tuple(found)

    def spread(self, factor: NaturalFactor, value: np.ndarray) -> np.ndarray:
        """For draws (draws, *shape) of the site, precisions relative to the expected one: (draws, coordinates)."""
        precision = value if factor.family.name == "gamma" else 1.0 / value
        return precision.reshape(len(value), -1)[:, self.owner] / self.precision(factor)


def _place(factor: NaturalFactor) -> int:
    return factor.family.kinds.index(_PRECISIONS[factor.family.name])


def _sign(factor: NaturalFactor) -> float:
    """Of the log of the site in the log of the precision."""
    return 1.0 if factor.family.name == "gamma" else -1.0


def rescaled(block: NormalBlock, ratio: np.ndarray) -> NormalBlock:
    """The block with its precision between coordinates of the same owner multiplied by `ratio` (size,)."""
    root, factor = np.sqrt(ratio), block.factor
    border = root[factor.pattern.border]
    members = [root[each] for each in factor.pattern.components]
    blocks = tuple(part * own[None, :, :, None] for part, own in zip(factor.blocks, members, strict=True))
    couplings = tuple(part * border for part in factor.couplings)
    corner = factor.corner * border[None, :, None]
    return replace(block, factor=BorderedFactor(factor.pattern, blocks, couplings, corner, factor.sound))


Slopes = Callable[[State, np.ndarray], np.ndarray]
"""From a state and rows of a block's coordinates to their derivatives."""


def find_scaled(
    number: int,
    block: NormalBlock,
    slopes: Slopes,
    state: State,
    natural: Mapping[str, NaturalFactor],
    rng: np.random.Generator,
) -> Scaled | None:
    """The site that a block's derivatives are proportional to, element by element; None where there is none.

    Told from random values: the expectation is affine in the statistics and quadratic in the block, so that what holds
    at a random point holds everywhere.
    """  # fmt: skip
    rows = rng.standard_normal((len(block.pattern.shifts) + 1, len(block.mean)))
    rows[1:] = rows[0] + block.pattern.shifts
    before = slopes(state, rows)
    for name, factor in natural.items():
        if factor.family.name not in _PRECISIONS:
            continue
        place = _place(factor)
        shape = state.statistics[name][place].shape
        ratio = rng.uniform(0.5, 2.0, shape)
        parts = list(state.statistics[name])
        parts[place] = parts[place] * ratio
        after = slopes(replace(state, statistics={**state.statistics, name: tuple(parts)}), rows)
        owner = np.argmin(np.abs(after[0][:, None] / before[0][:, None] - ratio.ravel()), axis=1)
        if np.allclose(after, before * ratio.ravel()[owner], rtol=1e-7, atol=1e-9 * np.abs(before).max()):
            return Scaled(number, name, owner)
    return None
