"""The posterior of a fit's local latents for other data: by one pass of their encoders, or by gradient steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ppl.backends import get_backend
from ppl.compiler import compile_model
from ppl.errors import Diagnostic, InferenceError
from ppl.guides import GUIDES, Guide
from ppl.guides.derived import entry
from ppl.inference.progress import Progress
from ppl.inference.start import initial_parameters
from ppl.inference.stochastic.descent import minimise
from ppl.inference.stochastic.objective import StochasticObjective
from ppl.inference.stochastic.options import StochasticOptions
from ppl.model.model import Model, Param
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.objectives import OBJECTIVES
from ppl.posterior.draws import WeightedDraws
from ppl.posterior.quantities import over_draws, transferred
from ppl.posterior.variables import model_variables
from ppl.runtime import Executor

Arrays = Mapping[str, np.ndarray]
START_DRAWS = 200
"""Of the rest, from which plain factors begin at their priors' moments."""


@dataclass(frozen=True)
class Rest:
    """What the local latents are encoded given: draws (draws, *shape) of latents, points of parameters."""

    draws: dict[str, np.ndarray]
    points: dict[str, np.ndarray]

    def chosen(self, places: np.ndarray) -> dict[str, np.ndarray]:
        return {name: array[places] for name, array in self.draws.items()}


def encode(
    model: Model, data: Mapping[str, Any], fitted: WeightedDraws, local: frozenset[str], refine: int, seed: int
) -> WeightedDraws:
    """Draws of the local latents of a model of other data, row i given row i of the fit's equally weighted draws.

    Raises InferenceError where there is nothing to encode, DataError where the fit lacks something that is needed.
    """
    plan = compile_model(model)
    local = local | _amortised(plan)
    names = [site.name for site in model.latents if site.name in local]
    _check(plan, names, refine)
    rest = _rest(model, fitted, frozenset(names))
    guide = _guide(plan, names, rest)
    rng = np.random.default_rng(seed)
    plain = Executor(guide.plan, data, NUMPY)
    start = rest.chosen(rng.integers(fitted.count, size=START_DRAWS))
    parameters = initial_parameters(guide, plain, rng, start)
    if refine:
        guide, parameters = _refined(guide, plain, parameters, rest, fitted.count, rng, refine)
        plain = Executor(guide.plan, data, NUMPY)
    noise = plain.noise(guide, rng, parameters, fitted.count, rest.draws)
    with np.errstate(all="ignore"):
        values = plain.values(guide, parameters, noise)
    variables = {name: variable for name, variable in model_variables(model).items() if name in values}
    return WeightedDraws(variables, over_draws({name: values[name] for name in variables}, fitted.count))


def encoded_sites(model: Model) -> frozenset[str]:
    """The latents that have an encoder."""
    return frozenset(site.name for site in model.latents for note in site.notes if note.name == "amortized")


def _amortised(plan: Plan) -> frozenset[str]:
    return frozenset(name for name, decided in plan.sites.items() if decided.amortised)


def _check(plan: Plan, names: list[str], refine: int) -> None:
    if refine < 0:
        raise InferenceError.of("E705", None, f"refine is {refine}", "at least 0 is needed")
    if not names:
        raise InferenceError.of(
            "E623", None, f"`{plan.model.name}` has no latents of its own for each row of the data",
            "`fit.predict(data)` predicts with what was learned; `encode` is for `@amortized` latents and those of "
            "`@minibatch` plates",
        )  # fmt: skip
    problems = []
    for name in names:
        decided, site = plan.sites[name], plan.model.by_name[name]
        if decided.treatment == "enumerated":
            found = f"`{name}` is summed out, and has no approximation to encode"
            problems.append(Diagnostic("E623", site.span, found, "its probabilities follow from the model"))
        elif not (decided.amortised or refine):
            found = f"`{name}` has no encoder: its posterior for new data takes gradient steps"
            problems.append(Diagnostic("E623", site.span, found, "pass `refine=500`, or note it `@amortized(…)`"))
    if problems:
        raise InferenceError(problems)


def _rest(model: Model, fitted: WeightedDraws, local: frozenset[str]) -> Rest:
    known = transferred(model, fitted, local)
    points = {param.name for param in model.params}
    return Rest(
        {name: array for name, array in known.items() if name not in points},
        {name: array for name, array in known.items() if name in points},
    )


def _guide(plan: Plan, names: list[str], rest: Rest) -> Guide:
    """A guide of the local latents alone: all others are given, and learned parameters stay at their points."""
    statements = [replace(s, initial=rest.points[s.name]) if isinstance(s, Param) else s for s in plan.model.statements]
    sites = dict(plan.sites)
    for site in plan.model.latents:
        if site.name not in names and sites[site.name].treatment == "guided":
            sites[site.name] = replace(sites[site.name], treatment="observed", bijection="", factor="", amortised=False)
    plan = replace(plan, model=replace(plan.model, statements=tuple(statements)), sites=sites)
    return Guide(plan, GUIDES["mean_field"])


class _Handed(Iterator[Arrays]):
    """For each step some draws of the rest."""

    notes = ()

    def __init__(self, rest: Rest, count: int, draws: int, rng: np.random.Generator) -> None:
        self._rest, self._count, self._draws, self._rng = rest, count, draws, rng

    def __next__(self) -> Arrays:
        return self._rest.chosen(self._rng.integers(self._count, size=self._draws))


def _refined(
    guide: Guide, plain: Executor, parameters: np.ndarray, rest: Rest, count: int, rng: np.random.Generator, steps: int
) -> tuple[Guide, np.ndarray]:
    """The guide with a factor for each local latent, from the encoders' outputs on, after gradient steps."""
    plan = guide.plan
    sites = {name: replace(decided, amortised=False) for name, decided in plan.sites.items()}
    free = replace(guide, plan=replace(plan, sites=sites))
    parts = dict(guide.parameters.unpack(np, parameters))
    for name, outputs in plain.encode(plain.points(parts)).items():
        decoded = guide.factors[name].decoded(np, np.asarray(outputs))
        parts |= {entry(name, learned): np.asarray(value) for learned, value in decoded.items()}
    start = free.parameters.pack(parts)
    points = {param.name for param in plan.model.params}
    held = np.zeros(len(start), bool)
    for place in free.parameters.entries:
        held[place.start : place.stop] = place.name in points
    backend = get_backend()
    executor = Executor(free.plan, plain.data, backend.xp)
    names = tuple(rest.draws)
    objective = StochasticObjective(executor, free, backend, OBJECTIVES["elbo"].make(), handed_in=names)
    options = StochasticOptions(steps=steps, schedule="cosine", window=max(1, steps // 10))
    handed = _Handed(rest, count, options.gradient_draws, rng)
    with Progress(False) as bar:
        found = minimise(objective, free, start, rng, options, bar, held=held, handed=handed)
    return free, found.parameters
