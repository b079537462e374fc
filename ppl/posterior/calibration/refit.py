"""One fit of a calibration: draw from the prior, fit, and rank the truth among draws of the posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.compiler import compile_model, density_program
from ppl.errors import InferenceError
from ppl.inference.fit import run_fit
from ppl.inference.result import InferenceResult
from ppl.model.model import Deterministic, Model
from ppl.model.plan import Plan
from ppl.numeric import NUMPY
from ppl.posterior.calibration.simulated import Design, Source
from ppl.posterior.quantities import derived, over_draws
from ppl.posterior.variables import Variable
from ppl.source import nearest

LOG_LIKELIHOOD, LOG_DENSITY = "log likelihood", "log density"
"""Test quantities of all unknowns together, which no marginal can see (Modrák et al. 2023)."""

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Quantity:
    """One number whose rank is taken: an element of a variable, or a test quantity."""

    variable: str
    name: str


@dataclass(frozen=True)
class Refit:
    """Of each quantity: the truth, its rank among the posterior draws, and the draws' mean, sd and spread.

    The spread is half the width of the central 68 % interval, an sd that heavy tails leave alone.
    """

    index: int
    level: str
    quantities: tuple[Quantity, ...]
    truth: np.ndarray
    rank: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    spread: np.ndarray


@dataclass(frozen=True)
class Failure:
    """A fit that raised an exception, with what it said."""

    index: int
    message: str

    def __str__(self) -> str:
        return f"fit {self.index}: {self.message}"


@dataclass(frozen=True)
class Request:
    """What is calibrated, and how; see `ppl.program.Program.calibrate`. `options` go to the method of fitting."""

    source: Source
    data: Mapping[str, Any]
    base: int
    seed: int
    draws: int
    names: tuple[str, ...] | None
    guide: str
    method: str
    options: Mapping[str, Any]
    backend: str = "autograd"


@dataclass(frozen=True)
class Study:
    """A request whose model and data were looked at: from here on every fit is its own."""

    request: Request
    design: Design

    @classmethod
    def of(cls, request: Request) -> Study:
        """Raises ModelError, DataError or InferenceError where the model cannot be calibrated."""
        design = Design.of(request.source, request.data, request.base)
        known = design.unknowns()
        for name in request.names or ():
            if name not in known:
                near = nearest(name, known)
                hint = f"did you mean `{near}`?" if near else f"there are {', '.join(known)}"
                raise InferenceError.of("E611", None, f"no unknown `{name}` in `{request.source.name}`", hint)
        return cls(request, design)

    def attempt(self, index: int) -> Refit | Failure:
        """Whatever one fit raises is a finding about it; the others go on."""
        try:
            return self.refit(index)
        except Exception as error:
            return Failure(index, str(error) or type(error).__name__)

    def refit(self, index: int) -> Refit:
        """Fit number `index`; what it draws depends on that and on the seed alone."""
        ask = self.request
        seeds = [int(seed) for seed in np.random.SeedSequence([ask.seed, index]).generate_state(3)]
        drawn = self.design.drawn(seeds[0])
        model, data = ask.source.bind(self.design.data(drawn), 0)
        plan = compile_model(model)
        fit = run_fit(
            plan, data, ask.guide, ask.method, seeds[1], progress=False, options=ask.options, backend=ask.backend
        )
        rng = np.random.default_rng(seeds[2])
        chosen = _independent(fit, ask.draws, rng)
        truth = self.design.truth(model, drawn)
        rows = {name: np.concatenate([np.asarray(value)[None], chosen[name]]) for name, value in truth.items()}
        quantities, values = _quantities(model, data, rows, ask.names)
        return _ranked(index, fit.verdict.level, quantities, values, rng)


def _independent(fit: InferenceResult, count: int, rng: np.random.Generator) -> Arrays:
    """Equally weighted draws of the latents, (count, *shape), in random order: neighbours may come in pairs."""
    have = max((len(array) for array in fit.values.values()), default=count)
    weights = None
    if fit.log_weights is not None:
        weights = np.exp(fit.log_weights - fit.log_weights.max())
        weights /= weights.sum()
    chosen = rng.choice(have, count, replace=weights is not None or count > have, p=weights)
    points = {name: np.broadcast_to(value, (have, *np.shape(value))) for name, value in fit.points.items()}
    return {name: array[chosen] for name, array in {**points, **fit.values}.items()}


def _quantities(
    model: Model, data: Mapping[str, Any], values: Arrays, names: Sequence[str] | None
) -> tuple[tuple[Quantity, ...], np.ndarray]:
    """The quantities and what they are for values of the latents (rows, *shape): (rows, quantities)."""
    rows = max((len(array) for array in values.values()), default=1)
    wanted = [site.name for site in model.latents] if names is None else names
    known = values
    if any(isinstance(model.by_name[name], Deterministic) for name in wanted):
        known = {**derived(model, data, values, rows, 0), **values}
    quantities: list[Quantity] = []
    columns: list[np.ndarray] = []
    for name in wanted:
        variable = Variable.of(model.by_name[name], "latent")
        array = np.asarray(known[name], float).reshape(rows, variable.size)
        there = [place for place in range(variable.size) if place not in variable.absent]
        elements = list(variable.element_names)
        quantities += [Quantity(name, elements[place]) for place in there]
        columns += [array[:, place] for place in there]
    for name, column in _log_densities(model, data, values, rows).items():
        quantities.append(Quantity(name, name))
        columns.append(column)
    return tuple(quantities), np.stack(columns, axis=1)


def _log_densities(model: Model, data: Mapping[str, Any], values: Arrays, rows: int) -> Arrays:
    """The log likelihood and the log of the joint density of everything, each (rows,)."""
    prepare, run = density_program(Plan(model)).load(NUMPY)
    with np.errstate(all="ignore"):
        terms = over_draws(run(values, prepare(data)), rows)
    observed = [terms[site.name] for site in model.observed]
    return {LOG_LIKELIHOOD: np.sum(observed, axis=0), LOG_DENSITY: np.sum(list(terms.values()), axis=0)}


def _ranked(
    index: int, level: str, quantities: tuple[Quantity, ...], values: np.ndarray, rng: np.random.Generator
) -> Refit:
    """Ranks of the first row among the others; among equal values one at random, as discrete quantities need."""
    truth, draws = values[0], values[1:]
    unknown = np.isnan(values).any(axis=0)
    if unknown.any():
        name = quantities[int(unknown.argmax())].name
        raise InferenceError.of("E633", None, f"draws of `{name}` are not numbers")
    rank = np.sum(draws < truth, axis=0) + rng.integers(0, np.sum(draws == truth, axis=0) + 1)
    with np.errstate(all="ignore"):
        low, high = np.quantile(draws, [0.16, 0.84], axis=0)
        mean, sd = draws.mean(axis=0), draws.std(axis=0)
    return Refit(index, level, quantities, truth, rank, mean, sd, 0.5 * (high - low))
