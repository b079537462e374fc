"""Exact evaluation of a bound model: log densities at given values, and ancestral draws."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ppl.axes import Layout, union
from ppl.compiler import density_program, enumerate_sites, simulate_program, state_count, too_large
from ppl.constraints import SUPPORTS
from ppl.errors import DataError, Diagnostic, ModelError
from ppl.model.model import Model, Param, Site
from ppl.model.plan import Plan
from ppl.model.ragged import blanked, lowest
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate, mask
from ppl.numeric import NUMPY
from ppl.source import nearest


def log_density(model: Model, data: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, float]:
    """log density of every statement at constrained values of the latents and parameters.

    Finite discrete latents without a value are summed out: the statements that read them are then one entry, under
    their joined names (`"z, y"`). With a value for every latent it is the plain joint density.
    """
    missing = [site.name for site in model.latents if site.name not in values and state_count(site) is not None]
    found = enumerate_sites(model, missing)
    problems = too_large(model, found)
    if problems:
        raise ModelError(problems)
    plan = Plan(model, eliminations=found.eliminations)
    given = _checked_values(model, values, found.reasons, {site.name for site in plan.enumerated})
    prepare, run = density_program(plan).load(NUMPY)
    with np.errstate(all="ignore"):
        terms = run(given, prepare(data))
    return {name: float(np.sum(term)) for name, term in terms.items()}


def _checked_values(
    model: Model, values: Mapping[str, Any], reasons: Mapping[str, str], summed_out: Collection[str]
) -> dict[str, np.ndarray]:
    """One draw of every latent but those summed out, with a leading draw axis of length 1.

    Parameters default to their initial value. `reasons` tells of sites why they cannot be summed out.
    """
    statements: tuple[Site | Param, ...] = (*model.latents, *model.params)
    wanted = {statement.name: statement for statement in statements}
    problems = []
    for name in values:
        if name not in wanted:
            near = nearest(name, wanted)
            problems.append(
                Diagnostic("E601", None, f"no latent site `{name}`", f"did you mean `{near}`?" if near else "")
            )
    arrays: dict[str, np.ndarray] = {}
    for name, statement in wanted.items():
        if name in summed_out:
            continue
        if name not in values and not isinstance(statement, Param):
            why = f"it cannot be summed out: {reasons[name]}" if name in reasons else ""
            problems.append(Diagnostic("E601", statement.span, f"no value given for `{name}`", why))
            continue
        array = np.asarray(values.get(name, getattr(statement, "initial", None)))
        if array.dtype.kind not in "biuf":
            problems.append(Diagnostic("E602", statement.span, f"value of `{name}` is not a number"))
            continue
        if array.shape != statement.shape and not (isinstance(statement, Param) and array.ndim == 0):
            problems.append(
                Diagnostic(
                    "E602", statement.span, f"value of `{name}` has shape {array.shape}", f"expected {statement.shape}"
                )
            )
            continue
        if isinstance(statement, Param):
            arrays[name] = np.broadcast_to(array, statement.shape)
        else:
            arrays[name] = _without_padding(statement, array)[None]
    if problems:
        raise DataError(problems)
    _check_inside(model, arrays)
    return arrays


def _without_padding(site: Site, value: np.ndarray) -> np.ndarray:
    """The value with what lies beyond ragged ends replaced: if discrete by its lowest value, else by one inside."""
    if site.present is None:
        return value
    exists = mask(site.present, site.axes)
    filled = np.array(value)
    if site.distribution.family.discrete:
        low = evaluate(lowest(site))
        want = union([site.axes])
        array = np.broadcast_to(Resolver(NumpyLanguage()).expand(low, Layout(want, 0)), [axis.size for axis in want])
        filled[~exists] = np.transpose(array, [want.index(axis) for axis in site.axes])[~exists]
    elif exists.any():
        filled[~exists] = value[exists][0]
    return filled


def _check_inside(model: Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Values outside a fixed support have no density to speak of: say so rather than return a number."""
    problems = []
    for site in model.latents:
        support = SUPPORTS[site.support.name]
        if site.name in arrays and not support.arguments and not np.all(support.contains(arrays[site.name])):
            problems.append(Diagnostic("E603", site.span, f"value of `{site.name}` is not {support.describe}"))
    if problems:
        raise DataError(problems)


def simulate(model: Model, data: Mapping[str, Any], draws: int, seed: int) -> dict[str, np.ndarray]:
    """Prior predictive draws of every statement, (draws, *shape)."""
    improper = [site for site in model.sites if not site.distribution.family.proper]
    if improper:
        raise ModelError(
            [
                Diagnostic("E604", s.span, f"`{s.name}` has an improper prior, which cannot be drawn from")
                for s in improper
            ]
        )
    released = Model(model.name, tuple(_released(s) for s in model.statements), model.predicted)
    given = {param.name: np.broadcast_to(np.asarray(param.initial, float), param.shape) for param in model.params}
    prepare, run = simulate_program(released, given).load(NUMPY)
    with np.errstate(all="ignore"):
        drawn = run(np.random.default_rng(seed), draws, given, prepare(data))
    return {name: blanked(model.by_name[name], array) for name, array in drawn.items()}


def _released(statement: Any) -> Any:
    from dataclasses import replace

    return replace(statement, observed=None) if isinstance(statement, Site) else statement
