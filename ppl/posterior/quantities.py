"""What follows from draws of the latents: deterministic quantities, predictions, pointwise log likelihood."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ppl.axes import Axis, Layout, union
from ppl.compiler import pointwise_program, quantities_program, simulate_program
from ppl.errors import DataError, Diagnostic
from ppl.model.model import Model, Param, Site
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate
from ppl.model.streamed import require_whole
from ppl.numeric import NUMPY
from ppl.posterior.draws import WeightedDraws
from ppl.posterior.variables import Variable, model_variables

MOST_NUMBERS = 20_000_000
"""A derived quantity with more numbers than this, over all draws, is not computed."""

Arrays = dict[str, np.ndarray]


def derived(
    model: Model,
    data: Mapping[str, Any],
    latents: Mapping[str, np.ndarray],
    draws: int,
    seed: int,
    names: Iterable[str] | None = None,
) -> Arrays:
    """Deterministic statements and the predict block for draws of the latents, where they are not too large.

    `names` picks some of them.
    """
    variables = model_variables(model)
    candidates = variables if names is None else {name: variables[name] for name in names}
    wanted = [v.name for v in candidates.values() if is_derived(v) and v.size * draws <= MOST_NUMBERS]
    prepare, run = quantities_program(model, wanted).load(NUMPY)
    return over_draws(_called(prepare, run, data, np.random.default_rng(seed), draws, latents), draws)


def is_derived(variable: Variable) -> bool:
    return variable.kind in ("deterministic", "predicted")


def too_large(variable: Variable, draws: int) -> str:
    """The note for a quantity that was left out."""
    return f"left out, {draws} draws of {variable.describe()} are {variable.size * draws:.1e} numbers; see `predict`"


def too_many(variable: Variable, draws: int) -> str:
    """The note for a discrete unknown that was not drawn, or what follows from one."""
    numbers = f"{draws} draws of {variable.describe()} are {variable.size * draws:.1e} numbers"
    return f"left out, {numbers}; fit with fewer `draws`"


def predictive(
    model: Model,
    data: Mapping[str, Any],
    fitted: WeightedDraws,
    outcomes: frozenset[str],
    seed: int,
    local: frozenset[str] = frozenset(),
) -> WeightedDraws:
    """Draws of the outcomes and all that follows from equally weighted draws of the fit, under a model of new data.

    Of `local` latents with other shapes than in the fit, those of new units, the prior is drawn.
    """
    require_whole(model, "predict")
    given = transferred(model, fitted, outcomes | new_units(model, fitted, local))
    prepare, run = simulate_program(model, given).load(NUMPY)
    drawn = _called(prepare, run, data, np.random.default_rng([seed, 1]), fitted.count, given)
    variables = {name: v for name, v in model_variables(model).items() if name in drawn}
    return WeightedDraws(variables, over_draws({name: drawn[name] for name in variables}, fitted.count))


def pointwise_log_likelihood(model: Model, data: Mapping[str, Any], fitted: WeightedDraws) -> Arrays:
    """Log density of every observation, (draws, *plates), by observed site."""
    require_whole(model, "log_likelihood")
    given = transferred(model, fitted, frozenset())
    prepare, run = pointwise_program(model).load(NUMPY)
    with np.errstate(all="ignore"):
        return over_draws(run(given, prepare(data)), fitted.count)


def observed_values(model: Model) -> Arrays:
    """What the observed sites were observed to be, each of the site's shape."""
    found = {}
    for site in model.observed:
        assert site.observed is not None
        value = evaluate(site.observed)
        have = union([site.axes])
        array = Resolver(NumpyLanguage()).expand(value, Layout(have, value.event_rank))
        full = np.broadcast_to(array, (*(axis.size for axis in have), *(dim.size for dim in site.dims)))
        order = [have.index(axis) for axis in site.axes] + list(range(len(have), full.ndim))
        found[site.name] = np.transpose(full, order)
    return found


def _called(prepare: Any, run: Any, data: Any, rng: np.random.Generator, draws: int, given: Any) -> Arrays:
    with np.errstate(all="ignore"):
        return run(rng, draws, given, prepare(data))


def over_draws(arrays: Mapping[str, np.ndarray], draws: int) -> Arrays:
    """Arrays in C order, so that sums do not depend on where they come from; those with one draw repeated, as views."""
    ordered = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return {name: np.broadcast_to(array, (draws, *array.shape[1:])) for name, array in ordered.items()}


def transferred(model: Model, fitted: WeightedDraws, left_out: frozenset[str]) -> Arrays:
    """The fit's latents and parameters as a model of other data takes them.

    Raises DataError where a latent has no draws or draws of another shape.
    """
    problems = []
    given: Arrays = {}
    latents: tuple[Site | Param, ...] = (*model.latents, *model.params)
    for statement in latents:
        if statement.name in left_out:
            continue
        problem = _unfit(statement, fitted)
        if problem is not None:
            problems.append(problem)
        else:
            array = fitted.values[statement.name]
            given[statement.name] = array[0] if isinstance(statement, Param) else array
    if problems:
        raise DataError(problems)
    return given


def new_units(model: Model, fitted: WeightedDraws, local: frozenset[str]) -> frozenset[str]:
    """Those of the latents that are of other units than in the fit, as their shapes tell."""
    return frozenset(
        site.name
        for site in model.latents
        if site.name in local and (site.name not in fitted.values or fitted.variables[site.name].shape != site.shape)
    )


def _unfit(statement: Site | Param, fitted: WeightedDraws) -> Diagnostic | None:
    known = fitted.variables.get(statement.name)
    if known is None or statement.name not in fitted.values:
        found = f"`{statement.name}` is latent for these data, and the fit has no draws of it"
        fix = "the data must make it an outcome, as they did in the fit"
        return Diagnostic("E613", statement.span, found, fitted.left_out.get(statement.name, fix))
    if known.shape != statement.shape:
        new = Variable.of(statement, known.kind)
        found = f"`{statement.name}` has {known.describe()} in the fit, {new.describe()} with these data"
        return Diagnostic("E614", statement.span, found, fix=_plate_fix(known, new))
    return None


def _plate_fix(known: Variable, new: Variable) -> str:
    """Which plate differs, in the words of the data."""
    ours = {axis.name: axis for axis in known.axes}
    differing: list[Axis] = [axis for axis in new.axes if axis.name in ours and ours[axis.name].size != axis.size]
    return "; ".join(f"pass data with {ours[axis.name].size} elements along {axis.name}" for axis in differing)
