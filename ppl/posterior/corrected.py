"""The draws of mean field, and beside them those with the covariance of linear response: what each says of an sd."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.inference.result import FELT, SAME, Correction, InferenceResult
from ppl.model.model import Model
from ppl.posterior import statistics
from ppl.posterior.draws import Beside, WeightedDraws
from ppl.posterior.quantities import is_derived
from ppl.posterior.results import posterior_draws

MOST_NAMED = 256
"""Elements of predictions whose corrections are listed, each with its neighbour."""
STANDARD_ERRORS = 5.0
"""Correlations that are smaller than this many of their own Monte Carlo errors are not named."""
WORTH_A_WORD = 1.02
"""Ratio of sds from which on the largest correction is told under a table."""
_RAW = "sd and quantiles are mean field's own; corrected sd has the covariance of linear response, as predictions have"
_CORRECTED = "sd and quantiles have the covariance of linear response; raw sd is mean field's own"


def corrected_draws(model: Model, data: dict[str, Any], result: InferenceResult) -> WeightedDraws | None:
    """Draws of everything in the model with the covariance of linear response; None where the result has none."""
    if result.corrected is None:
        return None
    return posterior_draws(model, data, replace(result, values=result.corrected))


def with_corrected(raw: WeightedDraws, corrected: WeightedDraws) -> WeightedDraws:
    """Mean field's draws, with the sds of the corrected ones beside theirs."""
    return replace(raw, beside=Beside("corrected sd", corrected, (_RAW,)))


def with_raw(corrected: WeightedDraws, raw: WeightedDraws, corrections: tuple[Correction, ...] = ()) -> WeightedDraws:
    """The corrected draws, with mean field's sds beside theirs."""
    return replace(corrected, beside=Beside("raw sd", raw, (_CORRECTED, *_largest(corrections)), corrections))


def of_random_predictions(result: InferenceResult, raw: WeightedDraws, corrected: WeightedDraws) -> InferenceResult:
    """The result with corrections of what is drawn in the predict block too, which has no derivative, by its draws."""
    known = {each.name.partition("[")[0] for each in result.corrections}
    names = [name for name in raw.values if is_derived(raw.variables[name]) and name not in known]
    found = corrections_by_draws(names, raw, corrected, corrected)
    return replace(result, corrections=(*result.corrections, *found))


def corrections_by_draws(
    names: list[str], raw: WeightedDraws, corrected: WeightedDraws, latents: WeightedDraws
) -> tuple[Correction, ...]:
    """The sds of both draws for the first `MOST_NAMED` elements of these variables, and the latent element that
    correlates most with each. Row i of the corrected draws follows from row i of the `latents`.
    """
    places = [(name, place, element) for name in names for place, element in _elements(corrected, name)][:MOST_NAMED]
    if not places:
        return ()
    before, after = (
        np.stack([draws.values[name].reshape(draws.count, -1)[:, place] for name, place, _ in places], axis=1)
        for draws in (raw, corrected)
    )
    neighbours = _neighbours(after, latents)
    return tuple(
        Correction(element, float(old), float(new), *neighbour)
        for (_, _, element), old, new, neighbour in zip(
            places, statistics.sd(before, None), statistics.sd(after, None), neighbours, strict=True
        )
    )


def _elements(draws: WeightedDraws, name: str) -> Iterator[tuple[int, str]]:
    """Places in the flattened array and names of the elements that exist."""
    variable = draws.variables[name]
    absent = set(variable.absent)
    return ((place, element) for place, element in enumerate(variable.element_names) if place not in absent)


def _neighbours(columns: np.ndarray, latents: WeightedDraws) -> list[tuple[str, float]]:
    """For each column (draws, columns) the continuous latent element that correlates most with it, and how much."""
    with np.errstate(all="ignore"):
        standard = np.nan_to_num((columns - columns.mean(axis=0)) / columns.std(axis=0), posinf=0.0, neginf=0.0)
    best, which = np.zeros(standard.shape[1]), [""] * standard.shape[1]
    for name, values in latents.values.items():
        if latents.variables[name].kind != "latent" or values.dtype.kind != "f":
            continue
        flat = values.reshape(len(values), -1)
        with np.errstate(all="ignore"):
            found = np.nan_to_num(standard.T @ flat / (len(flat) * flat.std(axis=0)), posinf=0.0, neginf=0.0)
        found[found > SAME] = 0.0
        strongest = np.abs(found).argmax(axis=1)
        elements = list(latents.variables[name].element_names)
        for column, place in enumerate(strongest):
            if abs(found[column, place]) > abs(best[column]):
                best[column], which[column] = found[column, place], elements[place]
    limit = max(FELT, STANDARD_ERRORS / math.sqrt(len(columns)))
    return [(name, float(r)) if abs(r) >= limit else ("", 0.0) for name, r in zip(which, best, strict=True)]


def _largest(corrections: tuple[Correction, ...]) -> tuple[str, ...]:
    """What is said of the element whose sd moves most, where it moves by much."""
    moving = [each for each in corrections if each.raw > 0.0 and each.corrected > 0.0]
    if not moving:
        return ()
    most = max(moving, key=lambda each: abs(math.log(each.corrected / each.raw)))
    if abs(math.log(most.corrected / most.raw)) < math.log(WORTH_A_WORD):
        return ()
    why = f", because of {most.neighbour} (correlation {most.correlation:.2f})" if most.neighbour else ""
    return (f"largest correction: {most.name}, from {most.raw:.3g} to {most.corrected:.3g}{why}",)
