"""Where coordinate ascent begins: random weights of the states of discrete sites, which alone tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ppl.axes import Axis
from ppl.inference.coordinate.expected import Arrays, ExpectedJoint, State
from ppl.model.model import Site

NOISE = 3.0
"""The sd of the random log factors that discrete sites begin from."""
CERTAIN = 100.0
"""Log odds of the state that a seed has."""
MOST_SEEDS = 30
"""States up to which seeds are chosen one after the other."""


def random_weights(joint: ExpectedJoint, state: State, rng: np.random.Generator) -> Arrays:
    """Weights of the discrete states under random log factors."""
    return joint.sums(_random_tables(joint, state, rng))[1]


@dataclass(frozen=True)
class Seeds:
    """Elements of sites that each have one of the states for sure, as when centres of clusters begin at data points.

    `chosen` tells for each site the positions along its innermost plate, the first one for the first state. It has the
    sites that have a log factor of their own in each element, in a statement named by `members`.
    """

    joint: ExpectedJoint
    members: Mapping[str, str]
    chosen: Mapping[str, np.ndarray]

    @classmethod
    def none(cls, joint: ExpectedJoint) -> Seeds:
        """Before any is chosen."""
        members: dict[str, str] = {}
        for elimination in joint.conjugacy.plan.eliminations:
            for name, states in elimination.states.items():
                site = _site(joint, name)
                if site.axes and site.axes[-1].size >= states.size:
                    needed = {states, site.axes[-1]}
                    found = [m for m in elimination.members if m != name and needed <= set(joint.axes[m])]
                    members |= {name: found[0]} if found else {}
        return cls(joint, members, {name: np.zeros(0, dtype=int) for name in members})

    @property
    def states(self) -> dict[str, Axis]:
        every = {n: axis for e in self.joint.conjugacy.plan.eliminations for n, axis in e.states.items()}
        return {name: every[name] for name in self.members}

    @property
    def complete(self) -> bool:
        return all(len(self.chosen[name]) >= axis.size for name, axis in self.states.items())

    def extended(self, tables: Arrays, rng: np.random.Generator) -> Seeds:
        """One seed more for each site, the likelier the less the states that have one explain the element.

        With squared distances in place of log densities that is Arthur and Vassilvitskii's k-means++ (2007).
        """
        chosen = {}
        for name, states in self.states.items():
            old = self.chosen[name]
            lack = self._lack(name, tables, len(old))
            lack[old] = 0.0
            total = lack.sum()
            odds = lack / total if np.isfinite(total) and total > 0.0 else np.full(len(lack), 1.0 / len(lack))
            chosen[name] = old if len(old) >= states.size else np.append(old, rng.choice(len(lack), p=odds))
        return Seeds(self.joint, self.members, chosen)

    def _lack(self, name: str, tables: Arrays, count: int) -> np.ndarray:
        """For each position by how much the best of the first `count` states explains it less than another position."""
        plate = _site(self.joint, name).axes[-1]
        if count == 0:
            return np.ones(plate.size)
        axes = self.joint.axes[self.members[name]]
        table = np.take(tables[self.members[name]], np.arange(count), axis=axes.index(self.states[name]))
        best = table.max(axis=axes.index(self.states[name]))
        left = [axis for axis in axes if axis != self.states[name]]
        score = best.mean(axis=tuple(place for place, axis in enumerate(left) if axis != plate))
        return score.max() - score

    def weights(self, state: State, rng: np.random.Generator) -> Arrays:
        """Weights of the states where only seeds count; sites that have none get random weights."""
        tables, kept = _random_tables(self.joint, state, rng), dict[Axis, np.ndarray]()
        for name, states in self.states.items():
            plate, positions = _site(self.joint, name).axes[-1], self.chosen[name]
            sure = np.zeros((plate.size, states.size))
            sure[positions, np.arange(len(positions))] = CERTAIN
            member = self.members[name]
            tables[member] = tables[member] + _over(sure, (plate, states), self.joint.axes[member])
            kept[plate] = np.isin(np.arange(plate.size), positions).astype(float)
        weights = self.joint.sums(tables)[1]
        return {name: weight * _mask(self.joint.axes[name], kept) for name, weight in weights.items()}


def _random_tables(joint: ExpectedJoint, state: State, rng: np.random.Generator) -> Arrays:
    """Random log factors, minus infinity where they are."""
    return {
        name: np.where(np.isfinite(table), NOISE * rng.standard_normal(np.shape(table)), table)
        for name, table in joint.tables(state).items()
    }


def _site(joint: ExpectedJoint, name: str) -> Site:
    site = joint.conjugacy.model.by_name[name]
    assert isinstance(site, Site)
    return site


def _over(array: np.ndarray, axes: tuple[Axis, ...], want: tuple[Axis, ...]) -> np.ndarray:
    """An array with axes of length 1 inserted, in the order wanted."""
    ordered = [axis for axis in want if axis in axes]
    array = np.transpose(array, [axes.index(axis) for axis in ordered])
    return array.reshape([axis.size if axis in axes else 1 for axis in want])


def _mask(axes: tuple[Axis, ...], kept: Mapping[Axis, np.ndarray]) -> np.ndarray:
    """Of a table, which elements count."""
    found = np.ones([1] * len(axes))
    for axis, counts in kept.items():
        if axis in axes:
            found = found * _over(counts, (axis,), axes)
    return found
