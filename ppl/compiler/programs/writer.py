"""`Writer`: what all generated programs are written with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.axes import DRAW, Axis, Layout, union
from ppl.compiler.programs.arrays import ArrayProgram, Recorder, Ref, write_program
from ppl.compiler.programs.loops import ProgramResolver
from ppl.constraints import SUPPORTS
from ppl.functions import FUNCTIONS
from ppl.model.expressions import Call, Expr
from ppl.model.model import Deterministic, Model, Param, Site, Statement
from ppl.model.plan import Degree
from ppl.model.ragged import lowest
from ppl.model.resolve import Resolved


class _Values(dict[str, Resolved[Ref]]):
    """Values of statements. One that is not there becomes known when it is read: a lag may look ahead in the model."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def __missing__(self, name: str) -> Resolved[Ref]:
        return self._writer.known(self._writer.model.by_name[name])


@dataclass(frozen=True, eq=False)
class Weights:
    """How much what stands along an axis counts."""

    axis: Axis
    values: np.ndarray


class Writer:
    """A recorder and resolver over one model, with the values of statements as they become known."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.recorder = Recorder()
        self.resolver = ProgramResolver(self.recorder, _Values(self))

    @property
    def values(self) -> dict[str, Resolved[Ref]]:
        return self.resolver.values

    def given(self, statement: Statement, argument: str = "values") -> Resolved[Ref]:
        """The value of a statement handed in by the caller: (draw, plates…, event…)."""
        ref = self.recorder.input(f"{argument}[{statement.name!r}]")
        self.recorder.hints[ref] = statement.name
        axes = statement.axes if isinstance(statement, Param) else (DRAW, *statement.axes)
        rank = len(statement.dims) if isinstance(statement, Site | Param) else 0
        return self.resolver.in_order(ref, axes, rank)

    def returned(self, ref: Ref, axes: tuple[Axis, ...], event_rank: int) -> Ref:
        """An output as callers see it: (draw, plates in the statement's order…, event…), from canonical order."""
        want = (DRAW, *axes)
        have = union([want])
        order = [have.index(axis) for axis in want] + list(range(len(want), len(want) + event_rank))
        return ref if order == sorted(order) else self.recorder.transpose(ref, tuple(order))

    def stretched(self, item: Resolved[Ref], axes: tuple[Axis, ...]) -> tuple[Ref, tuple[Axis, ...]]:
        """The array with each of `axes` in full (the draw axis, where it is missing, of length 1), and all its axes."""
        if set(axes) <= set(item.axes):
            return item.array, item.axes
        want = Layout(union([item.axes, axes]), item.event_rank)
        array = self.resolver.lead(self.resolver.expand(item, want), item, want.axes)
        for axis in axes:
            if axis not in item.axes and axis != DRAW:
                array = self.recorder.stretch(array, want.position(axis), axis.size)
        return array, want.axes

    def known(self, statement: Statement) -> Resolved[Ref]:
        """The value of a statement where latents and learned parameters are given; remembered for its readers."""
        if isinstance(statement, Deterministic):
            value = self.deterministic(statement)
        elif isinstance(statement, Site) and statement.observed is not None:
            value = self.resolver(statement.observed)
        else:
            value = self.given(statement)
        self.values[statement.name] = value
        return value

    def deterministic(self, statement: Deterministic) -> Resolved[Ref]:
        value = self.resolver(statement.value)
        self.name(value.array, statement.name)
        return value

    def name(self, ref: Ref, hint: str) -> Ref:
        if not self.recorder.operations[ref].atomic:
            self.recorder.hints.setdefault(ref, hint)
        return ref

    def density(self, site: Site, value: Resolved[Ref]) -> Resolved[Ref]:
        """Elementwise log density of a site, over the axes its value and arguments have; 0 beyond ragged ends.

        There a discrete latent has its lowest value for sure.
        """
        found = self._chosen(site, value) or self._elementwise(site, value, site.distribution.arguments)
        return self.masked(site, value, found)

    def weighed(self, site: Site, more: Expr | None, weights: Weights | None) -> Resolved[Ref]:
        """The log density of an observed site, by weights along an axis that its parameters have, with something `more`
        added to each element; where there is more there are no such weights.
        """
        assert site.observed is not None
        assert more is None or weights is None or weights.axis.size == 1
        term = self.density(site, self.resolver(site.observed))
        if weights is not None and weights.axis in term.axes:
            term = self.times(term, weights)
        if more is None:
            return term
        return self._call("add", term, self.present(site, self.resolver(more)))

    def times(self, term: Resolved[Ref], weights: Weights) -> Resolved[Ref]:
        """A scalar term by weights."""
        values = Resolved(self.recorder.constant(weights.values), (weights.axis,), 0)
        return self._call("multiply", values, term)

    def masked(self, site: Site, value: Resolved[Ref], found: Resolved[Ref]) -> Resolved[Ref]:
        """A log density of a site, as it is beyond ragged ends: see `density`."""
        if site.present is None or not site.distribution.family.discrete:
            return self.present(site, found)
        sure = self.resolver.apply(FUNCTIONS["equal"], [value, self.resolver(lowest(site))], 0)
        numbers = (Resolved(self.recorder.constant(number), (), 0) for number in (0.0, float("-inf")))
        return self.present(site, found, self.resolver.apply(FUNCTIONS["where"], [sure, *numbers], 0))

    def expected(
        self, site: Site, formula: Callable[..., Any], ranks: Sequence[int], takes_parameters: bool
    ) -> Resolved[Ref]:
        """`formula` of the moments of a site, handed in by the caller, and of the parameters of its prior."""
        arguments = {name: self.resolver(part) for name, part in site.distribution.arguments.items()}
        if not takes_parameters:
            arguments = {}
        items = [
            self.resolver.in_order(self.recorder.input(f"moments[{site.name!r}][{place}]"), site.axes, rank)
            for place, rank in enumerate(ranks)
        ]
        refs = self.resolver.align([*items, *arguments.values()])
        name = f"expected_{site.name.replace('.', '_')}_log_prior"
        named = dict(zip(arguments, refs[len(items) :], strict=True))
        ref = self.recorder.invoke(name, formula, refs[: len(items)], named)
        return Resolved(ref, union(item.axes for item in [*items, *arguments.values()]), 0)

    def _elementwise(self, site: Site, value: Resolved[Ref], parts: Mapping[str, Expr]) -> Resolved[Ref]:
        family = site.distribution.family
        arguments = {name: self.resolver(part) for name, part in parts.items()}
        items = [value, *arguments.values()]
        first, *rest = self.resolver.align(items)
        ref = self.recorder.invoke(
            f"{family.name}_log_density", family.log_density, [first], dict(zip(arguments, rest, strict=True))
        )
        return Resolved(ref, union(item.axes for item in items), 0)

    def _chosen(self, site: Site, value: Resolved[Ref]) -> Resolved[Ref] | None:
        """Of an argument `a if c else b` with c known from data and over more axes than a and b: the density of each,
        and the choice after. It saves the density at every pair of a state and a plate's element (a change point).
        """
        parts = site.distribution.arguments
        choices = [(n, part) for n, part in parts.items() if isinstance(part, Call) and part.function == "where"]
        if len(choices) != 1 or site.dims:
            return None
        ((name, choice),) = choices
        condition, *branches = (self.resolver(part) for part in choice.arguments)
        wide = set(condition.axes) - set(value.axes)
        known = self.recorder.operations[condition.array].static
        if not known or not wide or any(wide & set(branch.axes) for branch in branches):
            return None
        terms = [self._elementwise(site, value, {**parts, name: branch}) for branch in choice.arguments[1:]]
        return self.resolver.apply(FUNCTIONS["where"], [condition, *terms], 0)

    def present(
        self, statement: Statement, term: Resolved[Ref], otherwise: Resolved[Ref] | None = None
    ) -> Resolved[Ref]:
        """A scalar term where the elements of a statement exist; 0 or `otherwise` beyond ragged ends."""
        if statement.present is None:
            return term
        otherwise = otherwise or Resolved(self.recorder.constant(0.0), (), 0)
        return self.resolver.apply(FUNCTIONS["where"], [self.resolver(statement.present), term, otherwise], 0)

    def reduced(self, term: Resolved[Ref], axes: tuple[Axis, ...], keep: tuple[Axis, ...]) -> Ref:
        """A term summed over its plates but those to `keep`; plates it lacks count as often as they have elements."""
        array, present = self.stretched(term, (DRAW, *keep))
        copies = int(np.prod([axis.size for axis in axes if axis not in present], initial=1))
        positions = [p for p, axis in enumerate(present) if axis != DRAW and axis not in keep]
        return self.recorder.scale(self.recorder.sum(array, positions), copies)

    def standardised(
        self, site: Site, raw: Resolved[Ref], degree: Degree | None
    ) -> tuple[Resolved[Ref], Resolved[Ref]]:
        """`loc + scale^(1 - d) (raw - d loc)` for a site that is centred to the degree d, and its log derivative.

        Where `degree` is None it is handed in by the caller.
        """
        loc, scale = (self.resolver(part) for part in location_and_scale(site))
        stretching = self._call("log", scale)
        if degree != 0.0:
            share = self._degree(site, degree)
            raw = self._call("subtract", raw, self._call("multiply", share, loc))
            one = Resolved(self.recorder.constant(1.0), (), 0)
            stretching = self._call("multiply", self._call("subtract", one, share), stretching)
            scale = self._call("exp", stretching)
        return self._call("add", loc, self._call("multiply", scale, raw)), stretching

    def _degree(self, site: Site, degree: Degree | None) -> Resolved[Ref]:
        if isinstance(degree, float):
            return Resolved(self.recorder.constant(degree), (), 0)
        if degree is None:
            ref = self.recorder.input(f"values[{degree_name(site.name)!r}]")
        else:
            ref = self.recorder.constant(np.reshape(degree, site.shape))
        return self.resolver.in_order(ref, site.axes, 0)

    def _call(self, function: str, *items: Resolved[Ref]) -> Resolved[Ref]:
        return self.resolver.apply(FUNCTIONS[function], list(items), 0)

    def support_call(self, site: Site, part: str, value: Resolved[Ref]) -> Resolved[Ref]:
        """`forward`, `inverse` or `log_det` of the bijection of a site's support."""
        support = SUPPORTS[site.support.name]
        if support.bijection is None:
            raise ValueError(f"{support.name} has no bijection")
        implementation: Callable[..., Any] = getattr(support.bijection, part)
        arguments = [self.resolver(argument) for argument in site.support.arguments]
        items = [value, *arguments]
        refs = self.resolver.align(items)
        ref = self.recorder.invoke(f"{support.name}_{part}", implementation, refs, {})
        axes = union(item.axes for item in items)
        if part != "log_det":
            return Resolved(ref, axes, value.event_rank)
        rest = len(site.dims) - support.event_rank  # a support of scalars holds for every element of an event
        return Resolved(self.recorder.sum(ref, range(len(axes), len(axes) + rest)), axes, 0)

    def program(self, arguments: Sequence[str], doc: str, **outputs: dict[str, Ref]) -> ArrayProgram:
        return write_program(self.recorder, arguments, outputs, doc)


def degree_name(name: str) -> str:
    """Under which callers hand in how centred the coordinates of a site are; no name of a statement."""
    return f"degree of {name}"


def location_and_scale(site: Site) -> tuple[Expr, Expr]:
    """The arguments of a location-scale family that move and stretch its standard form."""
    names = site.distribution.family.location_scale
    assert names is not None
    loc, scale = (site.distribution.arguments[name] for name in names)
    return loc, scale
