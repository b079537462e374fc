"""Coordinate ascent variational inference: each factor in turn becomes the best one given the others.

The updates are those of Winn and Bishop (2005), had as in Hoffman, Johnson and Tran (2018): the natural parameter of a
factor is the derivative of the expected log joint density by its mean statistics. Discrete sites are summed out of the
expected log factors, so that their factor is the best joint one, chains included.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ppl.backends import Backend
from ppl.compiler.conjugacy.sites import Conjugacy
from ppl.inference.coordinate.begin import MOST_SEEDS, Seeds, random_weights
from ppl.inference.coordinate.blocks import GradientBlock, NormalBlock, Slope, precision_pattern
from ppl.inference.coordinate.expected import Arrays, BlockLayout, ExpectedJoint, State
from ppl.inference.coordinate.natural import NaturalFactor
from ppl.inference.coordinate.scaled import Scaled, find_scaled, rescaled
from ppl.model.model import Site
from ppl.numeric import NUMPY

Block = NormalBlock | GradientBlock
MOST_NUMBERS = 200_000_000
"""In the largest array of a sweep."""


@dataclass(frozen=True)
class Family:
    """The mean-field family as it stands: natural factors by site, blocks, and the weights of the discrete states.

    `discrete` is the entropy of the discrete sites' factor.
    """

    natural: Mapping[str, NaturalFactor]
    blocks: tuple[Block, ...]
    weights: Mapping[str, np.ndarray]
    scaled: tuple[Scaled, ...] = ()
    discrete: float = 0.0

    @property
    def entropy(self) -> float:
        """In nats."""
        own = sum(factor.entropy for factor in (*self.natural.values(), *self.blocks))
        return self.discrete + own + sum(pair.gap(self.natural[pair.site]) for pair in self.scaled)

    def state(self, batch: Mapping[str, np.ndarray] | None = None) -> State:
        points: Arrays = {}
        for block in self.blocks:
            points |= block.coordinates.values(NUMPY, block.points)[0]
        return State({name: factor.statistics for name, factor in self.natural.items()}, points, batch or {})

    @property
    def improper(self) -> tuple[str, ...]:
        """What the factors of which have no finite parameters are called."""
        found = [name for name, factor in self.natural.items() if not factor.proper]
        return (*found, *(name for block in self.blocks if not block.proper for name in block.coordinates.names))


class CoordinateAscent:
    """The updates of one model and its data.

    `batch` has the positions of the elements that a step sees, if not all, and `whole` the updates of all the data:
    which elements of the precisions vanish is told from those.
    """

    def __init__(
        self,
        conjugacy: Conjugacy,
        data: Mapping[str, Any],
        backend: Backend,
        rng: np.random.Generator,
        batch: Mapping[str, np.ndarray] | None = None,
        whole: CoordinateAscent | None = None,
    ) -> None:
        self.conjugacy, self._data, self._backend, self._batch = conjugacy, data, backend, dict(batch or {})
        groups = [*conjugacy.normal_blocks, *([conjugacy.gradient_block] if conjugacy.gradient_block else [])]
        self.layouts = [BlockLayout.of(conjugacy, names) for names in groups]
        self._groups = _apart(conjugacy)
        self.scaled: list[Scaled] = []
        self._first: list[Block] = self._blocks(rng) if whole is None else whole._first
        self.joint = self._joint([len(block.points) for block in self._first])
        if self.joint.numbers() > MOST_NUMBERS:
            raise TooCoupled(max(self.layouts, key=lambda layout: layout.size).names)

    def _joint(self, sizes: list[int]) -> ExpectedJoint:
        return ExpectedJoint(self.conjugacy, self._data, self._backend, self.layouts, sizes, tuple(self._batch))

    # Beginning ----------------------------------------------------------------------------------------

    def _blocks(self, rng: np.random.Generator) -> list[Block]:
        """Blocks with the patterns of their precisions, found with single points in place of the others."""
        joint = self._joint([1] * len(self.layouts))
        natural = self._natural()
        weights = random_weights(joint, self._state(natural, rng), rng)
        found: list[Block] = []
        for number, layout in enumerate(self.layouts):
            if number >= len(self.conjugacy.normal_blocks):
                found.append(GradientBlock.first(layout, np.zeros(layout.size), rng))
                continue
            state = self._state(natural, rng)

            def slopes(at: State, rows: np.ndarray, number: int = number) -> np.ndarray:
                return joint.by_rows(number, rows, at, weights)[1]

            pattern = precision_pattern(partial(slopes, state), layout.size)
            if pattern is None:
                raise TooCoupled(layout.names)
            block = NormalBlock.first(layout, np.zeros(layout.size), pattern)
            free = {name: f for name, f in natural.items() if name not in {pair.site for pair in self.scaled}}
            pair = find_scaled(number, block, slopes, state, free, rng)
            self.scaled += [] if pair is None else [pair]
            found.append(block)
        return found

    def _state(self, natural: Mapping[str, NaturalFactor], rng: np.random.Generator) -> State:
        """Any values, none of them special."""
        points: Arrays = {}
        for layout in self.layouts:
            points |= layout.values(NUMPY, rng.standard_normal((1, layout.size)))[0]
        return State({name: f.statistics_of(f.draw(rng, 1)[0]) for name, f in natural.items()}, points, self._batch)

    def _natural(self) -> dict[str, NaturalFactor]:
        found = {}
        for name, family in self.conjugacy.natural.items():
            site = self.conjugacy.model.by_name[name]
            assert isinstance(site, Site)
            found[name] = NaturalFactor.first(site, family)
        return found

    def begin(self, rng: np.random.Generator, spread: float, seeded: bool = False) -> Family:
        """A random beginning: means `spread` apart, and discrete sites with random weights, or with `Seeds`."""
        blocks = tuple(replace(b, mean=spread * rng.standard_normal(len(b.mean))) for b in self._first)
        family = Family(self._natural(), blocks, {}, tuple(self.scaled))
        if not self.joint.axes:
            return family
        seeds = Seeds.none(self.joint)
        if seeded and seeds.members:
            return self._seeded(family, seeds, rng)
        return self._swept(replace(family, weights=random_weights(self.joint, self.state(family), rng)))[0]

    def _seeded(self, first: Family, seeds: Seeds, rng: np.random.Generator) -> Family:
        family = first
        few = max(axis.size for axis in seeds.states.values()) <= MOST_SEEDS
        while not seeds.complete:
            tables = self.joint.tables(self.state(family))
            seeds = seeds.extended(tables, rng)
            if few or seeds.complete:
                weights = seeds.weights(self.state(first), rng)
                family = self._swept(replace(first, weights=weights))[0]
        return family

    # Updates ------------------------------------------------------------------------------------------

    def at(self, batch: Mapping[str, np.ndarray]) -> CoordinateAscent:
        """The same for other elements."""
        other = copy(self)
        other._batch = dict(batch)
        return other

    def state(self, family: Family) -> State:
        return family.state(self._batch)

    def sweep(self, family: Family) -> tuple[Family, float]:
        """Every factor updated once, and the ELBO on the way, which never falls from one sweep to the next."""
        return self._swept(self.with_discrete(family))

    def with_discrete(self, family: Family) -> Family:
        """The family with the best factor of the discrete sites."""
        tables = self.joint.tables(self.state(family))
        log_sum, weights = self.joint.sums(tables)
        discrete = log_sum - sum(_weighted(weights[name], tables[name]) for name in weights)
        return replace(family, weights=weights, discrete=discrete)

    def _swept(self, family: Family) -> tuple[Family, float]:
        """The continuous factors updated once, and the ELBO after the blocks' updates."""
        for number, block in enumerate(family.blocks):
            family = replace(family, blocks=_with(family.blocks, number, block.updated(self.slope(family, number))))
        elbo = None
        for group in self._groups:
            value, gradients = self.joint.by_statistics(self.state(family), family.weights)
            elbo = value + self._log_dets(family) + family.entropy if elbo is None else elbo
            family = self._moved(family, {name: gradients[name] for name in group})
        return family, self.elbo(family) if elbo is None else elbo

    def _moved(self, family: Family, gradients: Mapping[str, tuple[np.ndarray, ...]]) -> Family:
        """The natural factors of a group updated, those that scale a block together with it."""
        natural, blocks = dict(family.natural), family.blocks
        pairs = {pair.site: pair for pair in family.scaled}
        for name, gradient in gradients.items():
            if name in pairs:
                pair, old = pairs[name], natural[name]
                gradient = pair.marginal(old, self._at_mean(family, pair.block, name))
                natural[name] = old.moved(gradient)
                ratio = pair.precision(natural[name]) / pair.precision(old)
                blocks = _with(blocks, pair.block, rescaled(_normal(blocks[pair.block]), ratio))
            else:
                natural[name] = natural[name].moved(gradient)
        return replace(family, natural=natural, blocks=blocks)

    def _at_mean(self, family: Family, number: int, name: str) -> tuple[np.ndarray, ...]:
        """The derivatives by the statistics of a site with a block at its mean."""
        block, state = family.blocks[number], self.state(family)
        rows = np.broadcast_to(block.mean, block.points.shape)
        points = {**state.points, **block.coordinates.values(NUMPY, rows)[0]}
        return self.joint.by_statistics(replace(state, points=points), family.weights)[1][name]

    def elbo(self, family: Family) -> float:
        """In nats, at the weights of the states that the family has."""
        return self.joint.value(self.state(family), family.weights) + self._log_dets(family) + family.entropy

    def slope(self, family: Family, number: int) -> Slope:
        """Of a block, at the other factors of the family."""
        return self._slope(self.joint, number, self.state(family), family.weights)

    def _log_dets(self, family: Family) -> float:
        return sum(float(np.mean(block.coordinates.values(NUMPY, block.points)[1])) for block in family.blocks)

    def _slope(self, joint: ExpectedJoint, number: int, state: State, weights: Mapping[str, np.ndarray]) -> Slope:
        return lambda rows: joint.by_rows(number, rows, state, weights)


class TooCoupled(Exception):
    """A block is too large to find its precision, or for its points. The argument has the names of its sites."""


def _normal(block: Block) -> NormalBlock:
    assert isinstance(block, NormalBlock)
    return block


def _with(blocks: tuple[Block, ...], number: int, block: Block) -> tuple[Block, ...]:
    return (*blocks[:number], block, *blocks[number + 1 :])


def _weighted(weights: np.ndarray, table: np.ndarray) -> float:
    return float(np.sum(weights * np.where(weights > 0.0, table, 0.0)))


def _apart(conjugacy: Conjugacy) -> list[list[str]]:
    """Natural sites in groups, no two of which are read by the same statement: a group is updated at once."""
    model = conjugacy.model
    reads = [model.random_ancestors(s) | {s.name} for s in model.statements if s.name in conjugacy.expected]
    groups: list[list[str]] = []
    for name in conjugacy.natural:
        near = frozenset().union(*(read for read in reads if name in read))
        home = next((group for group in groups if not near & set(group)), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    return groups
