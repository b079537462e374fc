"""Measured gradient variance and cost of every estimator that a site could have."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.backends import get_backend
from ppl.compiler import compile_model
from ppl.compiler.estimator import serves
from ppl.compiler.factors import FACTOR_FAMILIES
from ppl.constraints import SUPPORTS
from ppl.errors import ModelError
from ppl.guides import GUIDES, Guide
from ppl.guides.derived import GAUSSIAN, entry
from ppl.inference.discrete import draw_enumerated
from ppl.inference.progress import Progress
from ppl.inference.start import initial_parameters
from ppl.inference.stochastic.descent import minimise
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.options import StochasticOptions
from ppl.model.model import Model, Note, Site
from ppl.model.plan import Plan, SitePlan
from ppl.model.resolve import fixed_arguments
from ppl.numeric import NUMPY
from ppl.objectives import OBJECTIVES
from ppl.runtime import Executor

STEPS, REPEATS, DRAWS, MATCHED = 1500, 200, 10, 1000
PATH_NOTES = frozenset({"score", "enumerate", "implicit", "pathwise", "guide"})


@dataclass(frozen=True)
class Measured:
    """One estimator at one site: the variance of the gradient, summed over the site's own guide parameters and over all
    others, and the seconds one gradient takes. `refused` says why it cannot be had, where it cannot.
    """

    site: str
    estimator: str
    chosen: bool
    own: float = 0.0
    others: float = 0.0
    seconds: float = 0.0
    refused: str = ""


def measure(plan: Plan, data: Mapping[str, Any], seed: int = 0) -> list[Measured]:
    """Every applicable estimator of every latent site.

    All are taken near the optimum of the plan's mean-field guide, with factors that have the moments of its draws.
    Estimates are over 10 draws, variances over 200 of them. A site summed out has no parameters and no variance.
    """
    base = _Base.of(plan, data, seed)
    found = []
    for site in plan.model.latents:
        chosen = _label(plan.sites[site.name])
        for label, notes in _variants(site):
            try:
                variant = compile_model(_noted(plan.model, site, notes))
            except ModelError as error:
                found.append(Measured(site.name, label, False, refused=error.diagnostics[0].found))
                continue
            if (real := _label(variant.sites[site.name])) != label:
                found.append(Measured(site.name, label, False, refused=f"it becomes {real}"))
                continue
            found.append(base.measured(variant, site.name, label, label == chosen))
    return found


@dataclass(frozen=True)
class _Base:
    """Draws of every latent near the optimum of the plan's guide: of its value, and of the coordinate that the guide is
    over; and the learned parameters, unconstrained.
    """

    data: Mapping[str, Any]
    seed: int
    values: Mapping[str, np.ndarray]
    coordinates: Mapping[str, np.ndarray]
    points: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, plan: Plan, data: Mapping[str, Any], seed: int) -> _Base:
        rng = np.random.default_rng(seed)
        guide, objective, plain = _objective(plan, data)
        start = initial_parameters(guide, plain, rng)
        with Progress(False) as bar:
            options = StochasticOptions(steps=STEPS, gradient_draws=DRAWS)
            parameters = minimise(objective, guide, start, rng, options, bar).parameters
        parts = guide.parameters.unpack(np, parameters)
        noise = plain.noise(guide, rng, parameters, MATCHED)
        with np.errstate(all="ignore"):
            values = plain.values(guide, parameters, noise)
            points = plain.points(parts)
            summed = draw_enumerated(plan, data, rng, {**values, **points}, MATCHED)
        own = plain.factor_parameters(guide, parts, {})
        vector = guide.vector.transform(NUMPY, parts[GAUSSIAN], noise.normal)
        drawn = {n: f.value(NUMPY, own[n], noise.factors[n]) for n, f in guide.factors.items() if f.coordinate}
        coordinates = {**guide.layout.unpack(np, vector), **drawn}
        return cls(data, seed, {**values, **summed}, coordinates, {p.name: parts[p.name] for p in plan.model.params})

    def measured(self, plan: Plan, name: str, label: str, chosen: bool) -> Measured:
        rng = np.random.default_rng(self.seed)
        guide, objective, _ = _objective(plan, self.data)
        parameters = self._matched(guide)
        gradients, began = [], time.perf_counter()
        with np.errstate(all="ignore"):
            for _ in range(REPEATS):
                noise = objective.noise(rng, parameters, DRAWS)
                gradients.append(objective.value_and_grad(parameters, noise)[1])
        seconds = (time.perf_counter() - began) / REPEATS
        variance = np.var(gradients, axis=0)
        mine = _own_places(guide, name)
        return Measured(name, label, chosen, float(variance[mine].sum()), float(variance[~mine].sum()), seconds)

    def _matched(self, guide: Guide) -> np.ndarray:
        """Parameters of a guide with the moments of the draws."""
        means, sds = {}, {}
        for part in guide.layout.entries:
            draws = self._coordinate(guide.plan, part.name)
            means[part.name], sds[part.name] = draws.mean(axis=0), draws.std(axis=0) + 1e-6
        mean, sd = (guide.layout.pack(values) for values in (means, sds))
        parts: dict[str, Any] = {GAUSSIAN: guide.vector.initial(mean, sd), **self.points}
        for name, factor in guide.factors.items():
            if factor.coordinate:
                draws = self._coordinate(guide.plan, name)
                start = factor.matched(draws.mean(axis=0), draws.var(axis=0) + 1e-12)
            else:
                start = factor.initial(self.values[name])
            parts |= {entry(name, learned): value for learned, value in start.items()}
        return guide.parameters.pack(parts)

    def _coordinate(self, plan: Plan, name: str) -> np.ndarray:
        if name in self.coordinates:
            return self.coordinates[name]
        site = plan.model.by_name[name]
        assert isinstance(site, Site)
        bijection = SUPPORTS[site.support.name].bijection
        assert bijection is not None
        ends = fixed_arguments(site.axes, len(site.dims), site.support.arguments)
        return np.asarray(bijection.inverse(NUMPY, self.values[name], *ends))


def _objective(plan: Plan, data: Mapping[str, Any]) -> tuple[Guide, StochasticObjective, Executor]:
    """The mean-field guide of a plan, its ELBO, and the plan over NumPy."""
    guide, backend = Guide(plan, GUIDES["mean_field"]), get_backend()
    objective = StochasticObjective(Executor(plan, data, backend.xp), guide, backend, OBJECTIVES["elbo"].make())
    return guide, objective, Executor(plan, data, NUMPY)


def _label(decided: SitePlan) -> str:
    """An estimator with the family of the factor it works on."""
    if decided.estimator == "exact":
        return "enumerate"
    where = decided.factor or "gaussian"
    return f"{decided.estimator}, {where}"


def _variants(site: Site) -> Iterator[tuple[str, tuple[Note, ...]]]:
    """Labels of what could be tried, with the notes that ask for it."""
    if site.distribution.family.discrete:
        yield "enumerate", (Note("enumerate"),)
        for family in FACTOR_FAMILIES.values():
            if serves(family, site):
                yield f"score, {family.name}", (Note("score"), Note("guide", (family.name,)))
        return
    yield "pathwise, gaussian", ()
    yield "score, normal", (Note("score"),)
    for family in FACTOR_FAMILIES.values():
        path = family.distribution.reparameterised
        if serves(family, site) and path != "no" and family.name != "normal":
            yield f"{path}, {family.name}", (Note("guide", (family.name,)),)
            yield f"score, {family.name}", (Note("score"), Note("guide", (family.name,)))


def _noted(model: Model, site: Site, notes: tuple[Note, ...]) -> Model:
    """The model with other notes on where a site lives."""
    kept = tuple(note for note in site.notes if note.name not in PATH_NOTES)
    changed = replace(site, notes=(*kept, *notes))
    return replace(model, statements=tuple(changed if s is site else s for s in model.statements))


def _own_places(guide: Guide, name: str) -> np.ndarray:
    """Which of the flat parameters are those of a site."""
    mine = np.zeros(guide.parameters.size, bool)
    dim = guide.layout.size
    for place in guide.parameters.entries:
        if place.name.split(":")[0] == name:
            mine[place.start : place.stop] = True
        elif place.name == GAUSSIAN:
            for part in guide.layout.entries:
                if part.name == name:
                    for first in (place.start, place.start + dim):
                        mine[first + part.start : first + part.stop] = True
    return mine


def table(rows: list[Measured]) -> list[str]:
    """The measurements as lines of text."""
    cells = [("site", "estimator", "", "variance, own", "others", "ms per gradient")]
    for row in rows:
        mark = "chosen" if row.chosen else ""
        if row.refused:
            cells.append((row.site, row.estimator, mark, f"not possible: {row.refused}", "", ""))
            continue
        own = "0 (exact)" if row.estimator == "enumerate" else f"{row.own:.3g}"
        cells.append((row.site, row.estimator, mark, own, f"{row.others:.3g}", f"{1e3 * row.seconds:.2f}"))
    widths = [max(len(row[column]) for row in cells if row[-1]) for column in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
