"""From the outcome of inference to draws of everything in the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ppl.inference.result import InferenceResult
from ppl.model.model import Model
from ppl.model.streamed import statements_reading, streamed_axis
from ppl.posterior.draws import WeightedDraws
from ppl.posterior.quantities import derived, is_derived, over_draws, too_large, too_many
from ppl.posterior.variables import Variable, model_variables


def posterior_draws(model: Model, data: dict[str, Any], result: InferenceResult) -> WeightedDraws:
    """The result's draws, the learned parameters as constant draws, and everything derived from them."""
    sizes = [len(array) for array in result.values.values()]
    count = sizes[0] if sizes else 1
    variables = {name: v for name, v in model_variables(model).items() if v.kind != "outcome"}
    if streamed_axis(model) is not None:
        why = "left out, its data are read row by row; see `encode` and `predict`"
        return _without(model, data, result, variables, count, lambda _: why)
    if any(site.name not in result.values for site in model.latents):
        return _without(model, data, result, variables, count, lambda name: too_many(variables[name], count))
    given = {**result.values, **result.points}
    points = {name: np.asarray(point)[None] for name, point in result.points.items()}
    known = over_draws({**result.values, **points}, count) | derived(model, data, given, count, result.seed)
    left_out = {n: too_large(v, count) for n, v in variables.items() if n not in known and is_derived(v)}
    values = {name: known[name] for name in variables if name in known}
    return WeightedDraws(variables, values, result.log_weights, left_out)


def _without(
    model: Model,
    data: dict[str, Any],
    result: InferenceResult,
    variables: dict[str, Variable],
    count: int,
    why: Callable[[str], str],
) -> WeightedDraws:
    """As `posterior_draws`, without the latents that the result has no draws of and what reads them."""
    points = {name: np.asarray(point)[None] for name, point in result.points.items()}
    known = over_draws({**result.values, **points}, count)
    lost = frozenset(site.name for site in model.latents if site.name not in known)
    reading = statements_reading(model, lost)
    small = [n for n, v in variables.items() if is_derived(v) and n not in reading]
    known |= derived(model, data, {**result.values, **result.points}, count, result.seed, small)
    values = {name: known[name] for name in variables if name in known}
    left_out = {name: why(name) for name in variables if name not in known}
    return WeightedDraws(variables, values, result.log_weights, left_out)


def local_latents(result: InferenceResult) -> frozenset[str]:
    """The latents that were approximated element by element of a plate seen in parts, or by an encoder."""
    plan = result.plan
    return frozenset(site.name for site in plan.model.latents if plan.is_local(site) or plan.sites[site.name].amortised)
