"""The method `svi`: coordinate ascent on random parts of the data, by natural-gradient steps of decreasing length.

Hoffman, Blei, Wang and Paisley (2013), Stochastic variational inference. In a random part of a plate the local factors
(discrete sites, and natural ones with an element for each element of the plate) become the best ones; every global
factor then goes a step towards what would be best if all the data were like that part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ppl.axes import Axis
from ppl.compiler import compile_model
from ppl.compiler.conjugacy.sites import Conjugacy, find_conjugacy
from ppl.errors import InferenceError
from ppl.inference.coordinate.ascent import CoordinateAscent, Family
from ppl.inference.coordinate.blocks import GradientBlock, NormalNatural
from ppl.inference.coordinate.fit import checked_options, coordinate_ascent
from ppl.inference.coordinate.natural import NaturalFactor
from ppl.inference.coordinate.outcome import Ascent, outcome
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.stochastic.batches import Batches
from ppl.model.model import Batch, Model, Site
from ppl.model.plan import Plan
from ppl.model.subsample import subsampled


@dataclass(frozen=True)
class SviOptions:
    """Options of stochastic variational inference.

    Step t, from 0, has the length `(t + delay) ** -forgetting`; by Robbins and Monro `forgetting` is above 0.5 and at
    most 1. A step sees `batch` elements of a plate: the one that is noted `@minibatch`, or the longest observed one.
    Local factors are updated at most `local_sweeps` times in a step. There are `steps` in all; in the first `starts`
    beginnings are compared over `first_steps`.
    """

    steps: int = 1000
    batch: int = 256
    forgetting: float = 0.7
    delay: float = 10.0
    local_sweeps: int = 20
    starts: int = 5
    first_steps: int = 20


LOCAL_TOLERANCE, FINAL_SWEEPS = 1e-4, 100
"""Relative change of the local mean statistics at which their updates end; and sweeps over the local factors of all
data at the end.
"""
SETTLED = 2.0
"""Standard errors by which the last two quarters of the ELBO estimates may differ."""


def svi(task: Task) -> Outcome:
    """Stochastic variational inference with natural gradients."""
    options: SviOptions = checked_options(SviOptions, "svi", task.options)
    if not 0.5 < options.forgetting <= 1.0:
        raise InferenceError.of("E703", None, f"forgetting is {options.forgetting}", "it must be above 0.5, at most 1")
    rng = np.random.default_rng(task.seed)
    plates = _plates(task.plan, int(options.batch))
    step = compile_model(subsampled(replace(task.plan.model, batches=plates), plates))
    conjugacy = _checked(find_conjugacy(step))
    parts = Batches(step.model.batches, rng)
    first = next(parts)
    everything = find_conjugacy(replace(task.plan, model=replace(task.plan.model, batches=())))
    whole = coordinate_ascent(everything, task, rng)
    stochastic = _Stochastic(coordinate_ascent(conjugacy, task, rng, first, whole), options)
    found = stochastic.run(parts, rng, task)
    family = _completed(whole, found.family, stochastic.local)
    return outcome(task, everything, replace(found, family=family), rng, "svi")


def _plates(plan: Plan, size: int) -> tuple[Batch, ...]:
    """The plates that are gone through in parts. Raises InferenceError where there is none."""
    if plan.batches:
        return plan.batches
    axes: list[Axis] = [axis for site in plan.model.observed for axis in site.axes]
    inner = {axis for site in plan.model.latents if not site.distribution.family.discrete for axis in site.axes}
    free = sorted((axis for axis in axes if axis not in inner), key=lambda axis: -axis.size)
    if not free:
        raise InferenceError.of(
            "E704", None, "there is no plate of the data to go through in parts", "note one `@minibatch`, or use 'cavi'"
        )
    return (Batch(free[0], min(size, free[0].size), free[0].size),)


def _checked(conjugacy: Conjugacy) -> Conjugacy:
    """Raises InferenceError where a global site has no closed form, or a local one is real."""
    drawn = {batch.axis for batch in conjugacy.model.batches}
    for name in conjugacy.gradient_block:
        found = f"`{name}` has no closed-form update: {conjugacy.updates[name].reason}"
        raise InferenceError.of("E704", conjugacy.model.by_name[name].span, found, "use method='cavi' or 'adam'")
    for site in conjugacy.with_role("normal"):
        if drawn & set(site.axes):
            found = f"`{site.name}` is normal and has an element for each one of the data"
            raise InferenceError.of("E704", site.span, found, "use method='cavi' or 'adam'")
    return conjugacy


@dataclass(frozen=True)
class _Position:
    """The factors, the natural parameters of the normal blocks, and the estimated ELBO at each step so far."""

    family: Family
    normals: tuple[NormalNatural, ...]
    history: tuple[float, ...] = ()


class _Stochastic:
    """Steps of one model; `local` are the natural sites that have an element for each element of the plate."""

    def __init__(self, ascent: CoordinateAscent, options: SviOptions) -> None:
        self._ascent, self._options = ascent, options
        model = ascent.conjugacy.model
        drawn = {batch.axis for batch in model.batches}
        self.local = tuple(name for name in ascent.conjugacy.natural if drawn & set(_site(model, name).axes))
        self._scale = {name: ascent.conjugacy.plan.scale(_site(model, name).axes) for name in self.local}

    def run(self, parts: Iterator[Mapping[str, np.ndarray]], rng: np.random.Generator, task: Task) -> Ascent:
        """The best of a few beginnings, carried on."""
        count = int(self._options.starts)
        begins = [self._begin(rng, number) for number in range(count)]
        begins = [self._steps(begin, parts, int(self._options.first_steps), task) for begin in begins]
        best = max(begins, key=lambda position: float(np.mean(position.history[-10:])))
        end = self._steps(best, parts, int(self._options.steps), task)
        history = np.array(end.history)
        settled = _settled(history)
        stopped = "the estimated ELBO no longer changes" if settled else f"{len(history)} steps were not enough"
        return Ascent(end.family, history, settled, stopped)

    def _begin(self, rng: np.random.Generator, number: int) -> _Position:
        family = replace(self._ascent.begin(rng, 0.5, seeded=bool(number % 2)), scaled=())
        return _Position(family, self._best_normals(self._ascent, family))

    def _steps(
        self, position: _Position, parts: Iterator[Mapping[str, np.ndarray]], count: int, task: Task
    ) -> _Position:
        for number in range(count):
            position = self._step(position, next(parts))
            task.bar.update(number, position.history[-1])
        return position

    def _step(self, position: _Position, batch: Mapping[str, np.ndarray]) -> _Position:
        """One natural-gradient step of all global factors."""
        rate = (len(position.history) + self._options.delay) ** -self._options.forgetting
        ascent = self._ascent.at(batch)
        family = self._localised(ascent, position.family)
        value, gradients = ascent.joint.by_statistics(ascent.state(family), family.weights)
        normals = tuple(
            old.mixed(new, rate) for old, new in zip(position.normals, self._best_normals(ascent, family), strict=True)
        )
        natural = {
            name: factor if name in self.local else factor.moved(gradients[name], rate)
            for name, factor in family.natural.items()
        }
        blocks = tuple(new.block(block) for new, block in zip(normals, family.blocks, strict=True))  # type: ignore[arg-type]
        history = (*position.history, value + self._entropy(family))
        return _Position(replace(family, natural=natural, blocks=blocks), normals, history)

    def _localised(self, ascent: CoordinateAscent, family: Family) -> Family:
        """The best local factors for the elements at hand."""
        fresh = {
            name: NaturalFactor.first(f.site, f.family) for name, f in family.natural.items() if name in self.local
        }
        family = replace(family, natural={**family.natural, **fresh})
        return local_ascent(ascent, family, self.local, self._scale, int(self._options.local_sweeps))

    def _best_normals(self, ascent: CoordinateAscent, family: Family) -> tuple[NormalNatural, ...]:
        return tuple(
            NormalNatural.best(block, ascent.slope(family, number))
            for number, block in enumerate(family.blocks)
            if not isinstance(block, GradientBlock)
        )

    def _entropy(self, family: Family) -> float:
        """Of all factors, those of the elements at hand standing for all."""
        extra = sum((self._scale[name] - 1.0) * family.natural[name].entropy for name in self.local)
        return family.entropy + extra


def local_ascent(
    ascent: CoordinateAscent, family: Family, local: tuple[str, ...], scale: Mapping[str, float], sweeps: int
) -> Family:
    """The best discrete factor and local natural factors given the global ones; `scale` is how often these count."""
    family = ascent.with_discrete(family)
    for _ in range(sweeps if local else 0):
        gradients = ascent.joint.by_statistics(ascent.state(family), family.weights)[1]
        moved = {
            name: family.natural[name].moved(tuple(part / scale.get(name, 1.0) for part in gradients[name]))
            for name in local
        }
        change = max(_change(family.natural[name], factor) for name, factor in moved.items())
        family = ascent.with_discrete(replace(family, natural={**family.natural, **moved}))
        if change < LOCAL_TOLERANCE:
            break
    return family


def _change(old: NaturalFactor, new: NaturalFactor) -> float:
    """The mean change of mean statistics relative to their size."""
    pairs = zip(old.statistics, new.statistics, strict=True)
    return max(float(np.mean(np.abs(a - b)) / (np.mean(np.abs(a)) + 1e-300)) for a, b in pairs)


def _completed(ascent: CoordinateAscent, family: Family, local: tuple[str, ...]) -> Family:
    """The global factors, with the local factors of all the data."""
    natural = {}
    for name, kind in ascent.conjugacy.natural.items():
        site = _site(ascent.conjugacy.model, name)
        mine = NaturalFactor.first(site, kind)
        natural[name] = mine if name in local else replace(mine, natural=family.natural[name].natural)
    whole = Family(natural, family.blocks, {})
    return local_ascent(ascent, whole, local, {}, FINAL_SWEEPS)


def _settled(history: np.ndarray) -> bool:
    """Whether the estimates of the last quarter agree with those of the quarter before."""
    quarter = len(history) // 4
    before, after = history[-2 * quarter : -quarter], history[-quarter:]
    if quarter < 2 or not np.all(np.isfinite(history[-2 * quarter :])):
        return False
    error = np.sqrt((before.var() + after.var()) / quarter)
    return bool(abs(after.mean() - before.mean()) <= SETTLED * error + 1e-4 * abs(after.mean()))


def _site(model: Model, name: str) -> Site:
    site = model.by_name[name]
    assert isinstance(site, Site)
    return site
