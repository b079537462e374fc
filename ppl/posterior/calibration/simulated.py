"""Pairs of true values and data from the prior of a model: what a calibration fits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ppl.axes import union
from ppl.errors import DataError, Diagnostic, InferenceError, ModelError, PPLError
from ppl.inference.evaluate import simulate
from ppl.model import expressions as ex
from ppl.model.model import Factor, Model, Param, Site, Statement
from ppl.model.resolve import evaluate
from ppl.model.rewrite import rewritten
from ppl.model.streamed import require_whole
from ppl.posterior.quantities import observed_values
from ppl.posterior.variables import Variable


class Source(Protocol):
    """Where a model comes from; see `ppl.program.Door`. `inputs` are the names that its data may have."""

    @property
    def name(self) -> str: ...

    def inputs(self) -> frozenset[str]: ...

    def bind(
        self, data: Mapping[str, Any], base: int, absent: bool = False, afresh: bool = False
    ) -> tuple[Model, dict[str, Any]]: ...


@dataclass(frozen=True)
class Outcome:
    """An observed site and the data entry that it reads.

    `places` are the positions in the flattened entry of the flattened site's elements, -1 beyond the ends of ragged
    plates; `gaps` (as `places`) says which are missing. `blank` is the entry before values are put in.
    """

    site: Site
    entry: str
    places: np.ndarray
    gaps: np.ndarray
    blank: np.ndarray

    def filled(self, drawn: np.ndarray) -> np.ndarray:
        """The data entry with drawn values of the site's shape in it, NaN where values are missing."""
        here = self.places >= 0
        values = np.where(self.gaps, np.nan, drawn.ravel()) if self.gaps.any() else drawn.ravel()
        array = self.blank.astype(np.result_type(self.blank, values)).ravel()
        array[self.places[here]] = values[here]
        return array.reshape(self.blank.shape)

    def missing(self, drawn: np.ndarray) -> np.ndarray:
        """The drawn values of the missing elements, in the order of the latent site that stands for them."""
        axes, rank = self.site.axes, len(self.site.axes)
        order = [axes.index(axis) for axis in union([axes])]
        event = list(range(rank, drawn.ndim))
        gaps = self.gaps.reshape(drawn.shape).any(axis=tuple(event))
        return np.transpose(drawn, order + event)[np.transpose(gaps, order)]


@dataclass(frozen=True)
class Design:
    """A model with the covariates and sizes that stay, and the outcomes that are drawn."""

    model: Model
    arrays: Mapping[str, Any]
    given: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]

    @classmethod
    def of(cls, source: Source, data: Mapping[str, Any], base: int) -> Design:
        """Raises ModelError where a statement cannot be drawn from its prior, InferenceError without an outcome."""
        model, arrays = source.bind(data, base, absent=True, afresh=True)
        require_whole(model, "calibrate")
        problems = [problem for statement in model.statements if (problem := _undrawable(statement))]
        if problems:
            raise ModelError(problems)
        given = {**data, **arrays} if base else dict(data)
        stand_in = _stand_in(source, model, arrays, given)
        shown, _ = source.bind({**given, **stand_in}, 0, absent=True)
        outcomes = tuple(_outcome(site, stand_in) for site in shown.observed)
        if not outcomes:
            raise InferenceError.of(
                "E632", None, f"nothing in `{source.name}` is observed with these data",
                "a calibration needs an outcome: pass values for it, of which only the shape is used",
            )  # fmt: skip
        design = cls(model, arrays, given, outcomes)
        design._check_reading(source)
        return design

    def _check_reading(self, source: Source) -> None:
        """Raises InferenceError where something else reads an outcome: the prior then changes with what is drawn."""
        try:
            drawn = self.drawn(0)
            again = simulate(*source.bind(self.data(drawn), 0, absent=True, afresh=True), 1, 0)
        except PPLError:
            return  # what is wrong with one draw is counted when it is fitted
        entries = [outcome.entry for outcome in self.outcomes]
        twice = [outcome for outcome in self.outcomes if entries.count(outcome.entry) > 1]
        if twice or not all(np.array_equal(drawn[name], again[name][0], equal_nan=True) for name in drawn):
            site = (twice or self.outcomes)[0].site
            raise InferenceError.of(
                "E632", site.span, f"what `{site.name}` observes is read elsewhere in the model too",
                fix="pass what is read as data of its own, which stay as they are",
            )  # fmt: skip

    def drawn(self, seed: int) -> dict[str, np.ndarray]:
        """One draw of every statement from the prior, of the statement's shape. Raises DataError where not finite."""
        drawn = {name: array[0] for name, array in simulate(self.model, self.arrays, 1, seed).items()}
        for site in self.model.sites:
            there = np.delete(drawn[site.name].ravel(), list(Variable.of(site, "latent").absent))
            if not np.all(np.isfinite(there)):
                raise DataError.of("E633", site.span, f"the prior draws values of `{site.name}` that are not finite")
        return drawn

    def data(self, drawn: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The data with the outcomes of a draw in them; indices count from 0."""
        return {**self.given, **{each.entry: each.filled(drawn[each.site.name]) for each in self.outcomes}}

    def unknowns(self) -> list[str]:
        """Names of everything that is unknown to a fit."""
        outcomes = {outcome.site.name: outcome for outcome in self.outcomes}
        names = [s.name for s in self.model.statements if s.name not in outcomes]
        return names + [f"{name}_missing" for name, outcome in outcomes.items() if outcome.gaps.any()]

    def truth(self, model: Model, drawn: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The drawn values of the latents of `model`, which is bound to the draw's data."""
        missing = {f"{each.site.name}_missing": each for each in self.outcomes if each.gaps.any()}
        values = {}
        for site in model.latents:
            if site.name in drawn:
                values[site.name] = drawn[site.name]
            else:
                outcome = missing[site.name.rstrip("_")]
                values[site.name] = outcome.missing(drawn[outcome.site.name]).reshape(site.shape)
        return values


def _undrawable(statement: Statement) -> Diagnostic | None:
    """Why data cannot be drawn from the very density that a fit uses, with the way out."""
    found, fix = "", ""
    if isinstance(statement, Factor):
        found = f"factor `{statement.name}` changes the density, but cannot be drawn from"
        fix = "write it as a distribution: `name ~ distribution(…)`"
    elif isinstance(statement, Param):
        found = f"`{statement.name}` is a point estimate, which has no prior to draw it from"
        fix = f"make it an unknown: {statement.name} ~ normal(0, 1)"
    elif isinstance(statement, Site) and not statement.distribution.family.proper:
        found = f"`{statement.name}` has an improper prior, which cannot be drawn from"
        example = _PROPER.get(statement.support.name, "")
        fix = f"give it a proper one, as wide as makes sense{f': {statement.name} ~ {example}' if example else ''}"
    elif isinstance(statement, Site) and _is_censored(statement):
        found = f"`{statement.name}` is censored where these data say so, whatever values are drawn"
        fix = "calibrate with data in which nothing is censored"
    return Diagnostic("E631", statement.span, found, fix=fix) if found else None


_PROPER = {"real": "normal(0, 10)", "positive": "half_normal(10)", "nonnegative": "half_normal(10)"}


def _is_censored(site: Site) -> bool:
    """Whether any element is: flags are data, so those of other outcomes than the drawn ones."""
    if not site.distribution.name.startswith("censored_"):
        return False
    flags = [site.distribution.arguments[flag] for flag in ("left", "right") if flag in site.distribution.arguments]
    return any(not flag.type.static or bool(np.any(evaluate(flag).array)) for flag in flags)


def _stand_in(
    source: Source, model: Model, arrays: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """Values for the outcomes that the data leave out: their layout is known once something is bound."""
    if _has_outcomes(source, given):
        return {}
    absent = [site for site in model.latents if site.name in source.inputs() and site.name not in given]
    if not absent:
        return {}
    drawn = simulate(model, arrays, 1, 0)
    stand_in = {site.name: np.nan_to_num(drawn[site.name][0]) for site in absent}
    try:
        source.bind({**given, **stand_in}, 0, absent=True)
    except PPLError as error:
        names = ", ".join(f"`{name}`" for name in stand_in)
        found = f"the layout of {names} cannot be told without data"
        fix = f"pass values for {names}, of which only the shape is used"
        raise InferenceError.of("E632", absent[0].span, found, fix=fix) from error
    return stand_in


def _has_outcomes(source: Source, given: Mapping[str, Any]) -> bool:
    """Whether the data are all that a fit needs: what they leave out is then unknown, as it is there."""
    try:
        model, _ = source.bind(given, 0)
    except DataError:
        return False
    return bool(model.observed)


def _outcome(site: Site, stand_in: Mapping[str, np.ndarray]) -> Outcome:
    """How an observed site reads the data. Raises InferenceError where it is not simply elements of one entry."""
    assert site.observed is not None
    leaves = {node.name: node for node in ex.walk(site.observed) if isinstance(node, ex.Data)}
    if len(leaves) != 1:
        raise _computed(site)
    (entry,) = leaves
    blank = np.asarray(leaves[entry].value)
    codes = np.arange(1.0, blank.size + 1.0).reshape(blank.shape)
    coded = rewritten(site.observed, lambda node: replace(node, value=codes) if isinstance(node, ex.Data) else None)
    places = _read(site, coded) - 1.0
    places[list(Variable.of(site, "outcome").absent)] = -1.0
    used = places[places >= 0]
    if np.any(used != np.round(used)) or len(np.unique(used)) < len(used) or np.any(used >= blank.size):
        raise _computed(site)
    gaps = np.zeros(len(places), bool) if entry in stand_in else np.isnan(_read(site, site.observed)) & (places >= 0)
    return Outcome(site, entry, places.astype(np.int64), gaps, blank)


def _read(site: Site, observed: ex.Expr) -> np.ndarray:
    """What the flattened site observes, (size,)."""
    alone = replace(site, observed=observed)
    array = observed_values(Model("", (alone,)))[site.name]
    return np.array(array, float).reshape(math.prod(site.shape))


def _computed(site: Site) -> InferenceError:
    assert site.observed is not None
    return InferenceError.of(
        "E632", site.observed.span or site.span, f"`{site.name}` observes something computed from the data",
        fix="observe an argument of the model as it stands, so that a drawn value can be put in its place",
    )  # fmt: skip
