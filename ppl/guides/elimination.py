"""A Gaussian's dependences as regressions of each number on a few others, in an order found from their graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_ROUNDS = 64
"""After so many rounds what is left is taken as one block: every round is a step in Python."""


@dataclass(frozen=True)
class Round:
    """Numbers that do not depend on each other given their parents, which come in later rounds or in the root.

    `members` (n,), `parents` (n, width) and `edges` (n, width): where each coefficient stands (see `Structure`).
    `pairs` (n, width, width) is where the parents' pairs stand. Short rows are filled with the root's first number
    and the place of the zero.
    """

    members: np.ndarray
    parents: np.ndarray
    edges: np.ndarray
    pairs: np.ndarray


@dataclass(frozen=True)
class Structure:
    """How `dim` numbers are eliminated one round after another until those of `root` are left, all joined.

    Pairs of numbers that are joined have places in one flat array: first each number with itself, then the
    `edges` of the rounds, then the pairs of the root; `root_pairs` (n, n) has the places of those. `zero` is the place
    behind the last.
    """

    dim: int
    edges: int
    root: np.ndarray
    root_pairs: np.ndarray
    rounds: tuple[Round, ...]

    @property
    def zero(self) -> int:
        return self.dim + self.edges + len(self.root) * (len(self.root) - 1) // 2

    @property
    def order(self) -> np.ndarray:
        """The numbers as they are drawn: the root, then the rounds from the last to the first."""
        return np.concatenate([self.root, *(each.members for each in reversed(self.rounds))])

    def pair_list(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every joined pair of different numbers once: the one, the other, and their place."""
        ones, others, places = [], [], []
        for each in self.rounds:
            real = each.edges < self.zero
            ones.append(np.broadcast_to(each.members[:, None], real.shape)[real])
            others.append(each.parents[real])
            places.append(each.edges[real])
        lower = np.tril_indices(len(self.root), -1)
        ones.append(self.root[lower[0]])
        others.append(self.root[lower[1]])
        places.append(self.root_pairs[lower])
        return np.concatenate(ones), np.concatenate(others), np.concatenate(places)


def structure_of(mask: np.ndarray) -> Structure:
    """The structure of a symmetric boolean mask (dim, dim) of what is joined, with the pairs that elimination adds.

    Numbers of the lowest degrees go first, as many in one round as are not joined: of a chain every other one.
    """
    joined = {i: set(np.flatnonzero(row).tolist()) - {i} for i, row in enumerate(mask)}
    rounds: list[dict[int, list[int]]] = []
    while joined and min(map(len, joined.values())) < len(joined) - 1 and len(rounds) < MOST_ROUNDS:
        chosen = _apart(joined)
        rounds.append({i: sorted(joined[i]) for i in chosen})
        for i in chosen:
            parents = joined.pop(i)
            for parent in parents:
                joined[parent] |= parents
                joined[parent] -= {parent, i}
    return _placed(len(mask), rounds, sorted(joined))


def _apart(joined: dict[int, set[int]]) -> list[int]:
    """Numbers of nearly the lowest degree, no two of them joined, and not all there are."""
    lowest = min(map(len, joined.values()))
    blocked: set[int] = set()
    chosen = []
    for i in sorted(joined, key=lambda number: (len(joined[number]), number)):
        if len(joined[i]) <= lowest + 1 and i not in blocked:
            chosen.append(i)
            blocked |= joined[i]
    return chosen[: len(joined) - 1]


def _placed(dim: int, rounds: list[dict[int, list[int]]], root: list[int]) -> Structure:
    """The structure with a place for every joined pair."""
    places = {(i, i): i for i in range(dim)}
    for each in rounds:
        for member, parents in each.items():
            for parent in parents:
                places[member, parent] = places[parent, member] = dim + (len(places) - dim) // 2
    edges = (len(places) - dim) // 2
    for row, one in enumerate(root):
        for column in range(row):
            places[one, root[column]] = places[root[column], one] = dim + edges + row * (row - 1) // 2 + column
    size = len(root)
    table = np.array([[places[i, j] for j in root] for i in root], int).reshape(size, size)
    zero = dim + edges + size * (size - 1) // 2
    made = tuple(_round(each, places, zero, root[0]) for each in rounds)
    return Structure(dim, edges, np.array(root, int), table, made)


def _round(each: dict[int, list[int]], places: dict[tuple[int, int], int], zero: int, filler: int) -> Round:
    width = max(map(len, each.values()))
    parents = np.full((len(each), width), filler)
    edges, pairs = np.full((len(each), width), zero), np.full((len(each), width, width), zero)
    for row, (member, own) in enumerate(each.items()):
        count = len(own)
        parents[row, :count] = own
        edges[row, :count] = [places[member, parent] for parent in own]
        pairs[row, :count, :count] = [[places[a, b] for b in own] for a in own]
    return Round(np.array(list(each)), parents, edges, pairs)
