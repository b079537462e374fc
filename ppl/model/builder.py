"""`Builder`: how both doors make a `Model`, statement by statement.

It checks distributions and their arguments, finds out which dimensions are plates, and gives back for each
statement the expression by which later ones read it: an array with the plates as leading dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.constraints import SUPPORTS, is_within
from ppl.distributions import DISTRIBUTIONS, Distribution, Parameter
from ppl.errors import Diagnostic, ModelError
from ppl.model import construct, messages
from ppl.model import expressions as ex
from ppl.model.expressions import Dim, Expr, Type
from ppl.model.missing import without_gaps
from ppl.model.model import (
    Batch,
    Deterministic,
    DistributionUse,
    Factor,
    Model,
    Note,
    Param,
    Site,
    Statement,
    SupportOf,
)
from ppl.model.placement import name_leading, place, place_event
from ppl.model.ragged import check_reads, filled
from ppl.model.recurrence import with_recurrences
from ppl.model.resolve import NumpyLanguage, Resolved, Resolver, evaluate
from ppl.model.streamed import check_streams
from ppl.source import Span, nearest


class Builder:
    """Collects the statements of one model. `name` is the model's.

    Missing observations are dropped or made latent at the end, unless `keep_gaps`.
    """

    def __init__(self, name: str, keep_gaps: bool = False) -> None:
        self.name = name
        self.keep_gaps = keep_gaps
        self.statements: list[Statement] = []
        self.predicted: list[Statement] = []
        self.in_predict = False
        self._axes: dict[str, Axis] = {}
        self._batches: dict[Axis, Batch] = {}
        self.ragged: dict[str, Expr] = {}

    def axis(self, name: str, size: int, start: int = 0, span: Span | None = None, extent: str | None = None) -> Axis:
        """The plate of that name; opened again it must have the same range. The extent is the name unless given."""
        known = self._axes.get(name)
        if known is None:
            construct.check_room([size], span)
            known = self._axes[name] = Axis(name, size, start, len(self._axes), extent or name)
        elif (known.size, known.start) != (size, start):
            raise ModelError.of(
                "E309", span, f"plate `{name}` runs over {start}:{start + size} here and over "
                f"{known.start}:{known.stop} elsewhere", "give the plates different names",
            )  # fmt: skip
        return known

    def subsample(self, axis: Axis, size: int, span: Span | None = None) -> None:
        """Let each step of a fit see only `size` random elements of a plate."""
        if size < axis.size:
            self._batches[axis] = Batch(axis, size, axis.size, span)

    def has_axis(self, name: str, size: int, start: int) -> bool:
        """Whether a plate of that name runs over another range."""
        known = self._axes.get(name)
        return known is not None and (known.size, known.start) != (size, start)

    def model(self) -> Model:
        batches = tuple(self._batches.values())
        model = with_recurrences(Model(self.name, tuple(self.statements), tuple(self.predicted), batches))
        check_streams(model)
        return model if self.keep_gaps else without_gaps(model)

    def scratch(self) -> Builder:
        """One to try statements out with: it knows the same plates."""
        other = Builder(self.name, self.keep_gaps)
        other._axes, other.ragged = self._axes, dict(self.ragged)
        return other

    # Statements ----------------------------------------------------------------------------------

    def sample(
        self,
        name: str,
        use: DistributionUse,
        plates: Sequence[Axis] = (),
        observed: Expr | None = None,
        span: Span | None = None,
        notes: Sequence[Note] = (),
        positional: bool = False,
        release: bool = False,
        present: Expr | None = None,
    ) -> Expr:
        """`name ~ use` inside `plates`, for the elements that are `present`.

        With `release` the observed value only tells the shape, and the site is latent.

        Leading dimensions of the arguments beyond the distribution's own become plates: those of `plates` that
        fit where `positional`, new ones outside any plate.
        """
        family = use.family
        sizes = core_sizes(use)
        parts = [(value, len(family.parameter(p).core_dimensions)) for p, value in use.arguments.items()]
        parts += [] if observed is None else [(observed, len(family.event_dimensions))]
        axes: tuple[Axis, ...] = ()
        if positional and plates:
            placed = place(name, parts, plates, span)
        else:
            axes = self._batch_axes(name, parts, plates, span)
            placed = [name_leading(value, core, axes) for value, core in parts]
        placed = [self._within(part, present) for part in placed]
        use = replace(use, arguments=dict(zip(use.arguments, placed, strict=False)))
        observed = None if observed is None else placed[-1]
        every = (*plates, *axes)
        self._check_axes(use.expressions if observed is None else (*use.expressions, observed), every, span)
        dims = tuple(replace(sizes[core], origin=0) for core in family.event_dimensions)
        lengths = {core: dim.size for core, dim in sizes.items()}
        support_of = support_of_use(use, lengths)
        _check_room(name, support_of, dims, span)
        if observed is None or release:
            support_of = simplest(support_of)
        value = None if release else observed
        site = Site(name, every, span, use, dims, support_of, value, tuple(notes), present=present)
        if observed is not None and not release:
            _check_observed(site, observed)
        return self._add(site)

    def deterministic(
        self,
        name: str,
        value: Expr,
        plates: Sequence[Axis] = (),
        span: Span | None = None,
        positional: bool = False,
        present: Expr | None = None,
    ) -> Expr:
        """`name = value`, for the elements that are `present`.

        Where `positional`, leading dimensions that fit `plates` stand for them.
        """
        value = place_event(name, value, plates, span) if positional else value
        value = self._within(value, present)
        self._check_axes((value,), plates, span)
        return self._add(Deterministic(name, tuple(plates), span, value, present=present))

    def factor(
        self,
        name: str,
        value: Expr,
        plates: Sequence[Axis] = (),
        span: Span | None = None,
        positional: bool = False,
        present: Expr | None = None,
    ) -> None:
        """`factor name = value`, for the elements that are `present`.

        Where `positional`, the dimensions of `value` stand for `plates`.
        """
        value = place(name, [(value, 0)], plates, span)[0] if positional and plates else value
        value = self._within(value, present)
        self._check_axes((value,), plates, span)
        if value.type.dims:
            raise ModelError.of(
                "E301", value.span or span, f"a factor must be a scalar, it {messages.extent(value.type)}", "sum it"
            )
        if present is not None:
            value = construct.call("where", [present, value, construct.constant(0.0)], value.span)
        self._add(Factor(name, tuple(plates), span, value))

    def param(
        self,
        name: str,
        initial: Any,
        support: SupportOf,
        dims: Sequence[Dim] = (),
        span: Span | None = None,
        network: bool = False,
    ) -> Expr:
        return self._add(Param(name, (), span, tuple(dims), support, initial, network=network))

    def _add(self, statement: Statement) -> Expr:
        (self.predicted if self.in_predict else self.statements).append(statement)
        if isinstance(statement, Factor):
            return construct.constant(0.0)
        if statement.present is not None:
            self.ragged[statement.name] = statement.present
        model = Model(self.name, (statement,))
        value = ex.Value(model.value_type(statement.name), statement.span, statement.name)
        return construct.lift(value, statement.axes, [axis.extent for axis in statement.axes])

    def _within(self, value: Expr, present: Expr | None) -> Expr:
        """A part of a statement that reads nothing beyond the ends of ragged plates."""
        check_reads(value, self.ragged, value.span)
        return value if present is None else filled(value, present)

    # Which dimensions are plates -----------------------------------------------------------------

    def _batch_axes(
        self, name: str, parts: Sequence[tuple[Expr, int]], plates: Sequence[Axis], span: Span | None
    ) -> tuple[Axis, ...]:
        """New plates for the leading dimensions beyond the core that the parts agree on; none inside plates."""
        heads = [Type((), value.type.dims[: len(value.type.dims) - core]) for value, core in parts]
        where = next((value.span for (value, _), head in zip(parts, heads, strict=True) if head.dims), None)
        batch = construct.unify(heads, where or span, [messages.written(value) for value, _ in parts])
        if not batch:
            return ()
        if not plates:
            return tuple(
                self.axis(_implicit_name(name, position, dim), dim.size, 0, span) for position, dim in enumerate(batch)
            )
        culprit = next(value for value, core in parts if len(value.type.dims) >= len(batch) + core)
        name, index = messages.written(culprit), ", ".join(axis.name for axis in plates[-len(batch) :])
        whole = [dim.label for dim in batch] == [axis.extent for axis in plates[-len(batch) :]]
        labels = " and ".join(f"`{dim.label}`" for dim in batch if dim.label)
        expected = f"write `{name}[{index}]`" if whole else f"open a plate over {labels} too" if labels else ""
        found = f"{name} {messages.extent(Type((), batch))}, where a single element for each `{plates[-1].name}` is"
        raise ModelError.of("E302", culprit.span or span, f"{found} expected", expected)

    def _check_axes(self, parts: Sequence[Expr], plates: Sequence[Axis], span: Span | None) -> None:
        for part in parts:
            for axis in part.type.axes:
                if axis not in plates:
                    raise ModelError.of("E103", part.span or span, f"index `{axis.name}` is used outside its plate")


def _implicit_name(name: str, position: int, dim: Dim) -> str:
    return dim.label if dim.label and not dim.label.isdigit() else f"{name}_{position}"


# Distributions -------------------------------------------------------------------------------------


def distribution(
    name: str, positional: Sequence[Expr], keywords: Mapping[str, Expr], span: Span | None = None
) -> DistributionUse:
    """A use of a registered distribution, with arity, supports and static values of its arguments checked."""
    if name not in DISTRIBUTIONS:
        near = DISTRIBUTIONS.suggest(name)
        raise ModelError.of("E105", span, f"no distribution `{name}`", f"did you mean `{near}`?" if near else "")
    family = DISTRIBUTIONS[name]
    return checked_use(family, _bind_arguments(family, positional, keywords, span), span)


def checked_use(family: Distribution, arguments: dict[str, Expr], span: Span | None) -> DistributionUse:
    """A use of a family, with the supports and shapes of its arguments checked."""
    use = DistributionUse(family, arguments, span)
    problems = [p for key, value in arguments.items() if (p := _check_support(family, key, value, span))]
    if problems:
        raise ModelError(problems)
    core_sizes(use)
    return use


def signature_text(family: Distribution) -> str:
    """`normal(loc, scale)`."""
    return f"{family.name}({', '.join(p.name for p in family.positional)})"


def _bind_arguments(
    family: Distribution, positional: Sequence[Expr], keywords: Mapping[str, Expr], span: Span | None
) -> dict[str, Expr]:
    slots = family.positional
    required = [p for p in slots if p.default is None and not p.optional]
    given: dict[str, Expr] = dict(zip((p.name for p in slots), positional, strict=False))
    known = {p.name: p for p in family.parameters}
    count = len(positional) + len(keywords)
    takes = f"{signature_text(family)} takes {len(slots)} argument{'s' * (len(slots) != 1)}, {count} given"
    if len(positional) > len(slots):
        raise ModelError.of("E303", span, takes)
    for key, value in keywords.items():
        if key not in known:
            near = nearest(key, known)
            raise ModelError.of(
                "E303", span, f"{family.name} has no parameter `{key}`",
                f"did you mean `{near}`?" if near else f"it has {', '.join(known)}",
            )  # fmt: skip
        if key in given:
            raise ModelError.of("E303", span, f"`{key}` is given twice")
        given[key] = value
    replaced = {known[key].instead_of for key in given if known[key].instead_of}
    for other in replaced:
        rivals = [key for key in given if known[key].instead_of == other or key == other]
        if len(rivals) > 1:
            raise ModelError.of("E303", span, f"give one of {', '.join(f'`{r}`' for r in rivals)}, not both")
    missing = [p.name for p in required if p.name not in given and p.name not in replaced]
    if missing:
        raise ModelError.of("E303", span, f"{takes}: " + ", ".join(f"`{m}`" for m in missing)
                            + (" is missing" if len(missing) == 1 else " are missing"))  # fmt: skip
    for p in slots:
        if p.name not in given and p.default is not None and p.name not in replaced:
            given[p.name] = construct.constant(p.default)
    return {p.name: given[p.name] for p in family.parameters if p.name in given}


_WHOLE_LINE = "real"


def _check_support(family: Distribution, key: str, value: Expr, span: Span | None) -> Diagnostic | None:
    parameter = family.parameter(key)
    support = SUPPORTS[parameter.support]
    where = value.span or span
    if support.name in ("real", "integer") or support.event_rank > 1:
        return None
    if value.type.static:
        found = evaluate(value)
        if found.event_rank >= support.event_rank:
            good = np.asarray(support.contains(found.array))
            if not np.all(good):
                shown = messages.bad_element(value, found, good)
                return Diagnostic("E305", where, f"`{key}` of {family.name} must be {support.describe}, {shown}")
        return None
    if value.type.domain == _WHOLE_LINE and not is_within(_WHOLE_LINE, support.name):
        return Diagnostic(
            "E304",
            where,
            f"{key} must be {support.describe}, {_named_or_it(where)} is real",
            _other_form(family, parameter, where),
        )
    return None


def _named_or_it(where: Span | None) -> str:
    text = where.text if where is not None else ""
    name = text.split("[")[0].strip()
    return f"`{name}`" if name.isidentifier() else "it"


def _other_form(family: Distribution, parameter: Parameter, where: Span | None) -> str:
    """`did you mean poisson(log_rate = eta[n])?` where a form over the whole line exists."""
    for other in family.parameters:
        if other.instead_of == parameter.name and other.support == "real" and where is not None:
            return f"did you mean {family.name}({other.name} = {where.text})?"
    if parameter.support == "positive" and where is not None and where.text.isidentifier():
        return f"give it a positive prior, such as `{where.text} ~ half_normal(1)`"
    return ""


def core_sizes(use: DistributionUse) -> dict[str, Dim]:
    """Lengths of the core dimensions, from the trailing dimensions of the arguments or given as a number."""
    sizes: dict[str, Dim] = {}
    for key, value in use.arguments.items():
        parameter = use.family.parameter(key)
        core, span = parameter.core_dimensions, value.span or use.span
        if parameter.length_of:
            sizes[parameter.length_of] = Dim(_static_length(value, f"`{key}` of {use.name}", span))
        elif core:
            tail = replace(value.type, dims=value.type.dims[-len(core) :])
            construct.match_core(core, tail, sizes, f"`{key}` of `{use.name}`", span)
    return sizes


def _static_length(value: Expr, what: str, span: Span | None) -> int:
    if value.type.static and not value.type.axes and not value.type.dims:
        array = evaluate(value).array
        if array.dtype.kind in "iu":
            return int(array)
    raise ModelError.of("E310", span, f"{what} must be a whole number known from data")


def support_of_use(use: DistributionUse, lengths: Mapping[str, int]) -> SupportOf:
    """The support of a draw, where the core dimensions have these lengths."""
    support = use.family.support(use.arguments, lengths)
    return SupportOf(support.name, tuple(_as_expression(a) for a in support.arguments))


def _check_room(name: str, support_of: SupportOf, dims: Sequence[Dim], span: Span | None) -> None:
    """A value of a support such as the simplex has at least one element."""
    bijection = SUPPORTS[support_of.name].bijection
    event = tuple(dim.size for dim in dims)
    if bijection is not None and min(bijection.unconstrained(event), default=0) < 0:
        raise ModelError.of("E305", span, f"`{name}` has no elements", f"a {support_of.name} has at least one")


def _as_expression(argument: Any) -> Expr:
    return argument if isinstance(argument, Expr) else construct.constant(argument)


_SIMPLER = {("greater_than", 0.0): "positive", ("interval", 0.0, 1.0): "unit_interval"}


def simplest(support: SupportOf) -> SupportOf:
    """The same support by its own name, where its ends are plain numbers."""
    ends = [a.value for a in support.arguments if isinstance(a, ex.Constant) and not a.type.dims]
    simpler = _SIMPLER.get((support.name, *ends)) if len(ends) == len(support.arguments) else None
    return support if simpler is None else SupportOf(simpler)


def _check_observed(site: Site, observed: Expr) -> None:
    """Shape and, where the support is known from data alone, the values."""
    if observed.type.event != tuple(dim.size for dim in site.dims):
        given = f"{messages.written(observed)} {messages.extent(observed.type)}"
        draw = f"a draw of {site.distribution.name} {messages.extent(Type((), site.dims))}"
        raise ModelError.of("E302", observed.span or site.span, f"{given}, {draw}")
    if not observed.type.static or any(not a.type.static for a in site.support.arguments):
        return
    support = SUPPORTS[site.support.name]
    arguments = [evaluate(argument) for argument in site.support.arguments]
    found = evaluate(observed)
    value, *ends = Resolver(NumpyLanguage()).align([found, *arguments])
    gaps = np.any(np.isnan(value), axis=tuple(range(-support.event_rank, 0)))
    inside = np.asarray(support.contains(value, *ends)) | gaps
    if not np.all(inside):
        _raise_outside(site, support.describe, Resolved(value, found.axes, found.event_rank), arguments, inside)


def _raise_outside(
    site: Site, describe: str, found: Resolved[Any], arguments: Sequence[Resolved[Any]], inside: np.ndarray
) -> None:
    where = messages.first_false(inside)
    axes = union([found.axes, *(argument.axes for argument in arguments)])
    places = dict(zip(axes, where, strict=False))
    at = ", ".join(str(places[axis] + axis.start) for axis in site.axes if axis in places)
    name = f"{site.name}[{at}]" if at else site.name
    if not site.dims:
        name += f" = {messages.number(np.broadcast_to(found.array, inside.shape)[where])}"
    pairs = zip(site.support.arguments, arguments, strict=True)
    ends = [messages.range_end(expression, argument, places) for expression, argument in pairs]
    outside = f"is outside {ends[0]}..{ends[1]}" if len(ends) == 2 else f"is not {describe.format(*ends)}"
    raise ModelError.of("E504", site.span, f"{name} {outside}: the log density is -inf for every parameter value")
