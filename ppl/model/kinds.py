"""Kinds of rows: which different ones there are, told apart while the rows are read, and which one each row is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ppl.errors import DataError
from ppl.model.expressions import Expr

MIX, SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


@dataclass(frozen=True, eq=False, repr=False)
class Kinds:
    """The different rows of a stream: all at which `told_by` have the same values are of one kind.

    `codes` (kinds,) in increasing order stand for the `bits` (kinds, width) of these values, those of kind
    `numbers[k]` at place k. In the order of the numbers, `counts` are the rows of each kind, `first` the first of them.
    """

    told_by: tuple[Expr, ...]
    codes: np.ndarray
    bits: np.ndarray
    numbers: np.ndarray
    counts: np.ndarray
    first: np.ndarray

    def find(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """The kind of each row (n,), by the values (n, width) of what tells them apart.

        Raises DataError for a row of no kind: the data are not what they were.
        """
        bits = bits_of(values)
        places = np.minimum(np.searchsorted(self.codes, code(bits)), len(self.codes) - 1)
        if not np.array_equal(self.bits[places], bits):
            raise DataError.of("E522", None, "the rows have changed while they were read", "bind the data again")
        return self.numbers[places]


@dataclass
class KindsSoFar:
    """Kinds of rows found in the blocks so far, in increasing order of their codes.

    `first` is the first row of each. They are `lost` once there are more than `most` of them, or more numbers than
    `most_numbers` to tell them apart, or two have the same code and cannot be.
    """

    most: float
    most_numbers: float
    codes: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    bits: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    values: list[np.ndarray] = field(default_factory=list)
    first: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    lost: bool = False

    def __len__(self) -> int:
        return len(self.codes)

    def add(self, values: Sequence[np.ndarray], rows: np.ndarray) -> None:
        """A block of rows (n,) with the values (n, width) of what tells them apart."""
        bits = bits_of(values)
        codes, at, which, counts = np.unique(code(bits), return_index=True, return_inverse=True, return_counts=True)
        places = np.searchsorted(self.codes, codes)
        known = np.zeros(len(codes), bool)
        if len(self):
            known = self.codes[np.minimum(places, len(self) - 1)] == codes
        old, new = places[known], at[~known]
        count = len(self) + len(new)
        self.lost |= count > self.most or count * bits.shape[1] > self.most_numbers
        self.lost |= not np.array_equal(bits[at][which], bits)
        self.lost |= bool(len(old)) and not np.array_equal(self.bits[old], bits[at[known]])
        if self.lost:
            return
        self.counts[old] += counts[known]
        self.first[old] = np.minimum(self.first[old], rows[at[known]])
        if len(new):
            where = places[~known]
            fresh = not len(self)
            self.bits = bits[new] if fresh else np.insert(self.bits, where, bits[new], axis=0)
            parts = [value[:0] for value in values] if fresh else self.values
            self.values = [np.insert(one, where, v[new], axis=0) for one, v in zip(parts, values, strict=True)]
            self.first = np.insert(self.first, where, rows[new])
            self.counts = np.insert(self.counts, where, counts[~known])
            self.codes = np.insert(self.codes, where, codes[~known])

    def numbered(self, told_by: Sequence[Expr], numbers: np.ndarray) -> Kinds:
        """All of them, with a number for each."""
        order = np.argsort(numbers)
        return Kinds(tuple(told_by), self.codes, self.bits, numbers, self.counts[order], self.first[order])


def bits_of(values: Sequence[np.ndarray]) -> np.ndarray:
    """What numbers (n, …) side by side are in memory: (n, width), alike where they are equal."""
    return np.concatenate([_bits(array) for array in values], axis=1)


def _bits(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "bui":
        return array.astype(np.int64)
    plain = array.astype(float) + 0.0  # there is one zero
    plain[np.isnan(plain)] = np.nan
    return plain.view(np.int64)


def code(bits: np.ndarray) -> np.ndarray:
    """A number for each row (n, numbers), hardly ever the same for different ones."""
    found = np.ones(len(bits), np.uint64)
    for column in bits.T:
        found = (found ^ np.ascontiguousarray(column).view(np.uint64)) * MIX
        found ^= found >> SHIFT
    return found
