"""`Builder`: how both doors make a `Model`, statement by statement.

It checks distributions and their arguments, finds out which dimensions are plates, and gives back for each
statement the expression by which later ones read it: an array with the plates as leading dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ppl.axes import Axis
from ppl.errors import ModelError
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
from ppl.model.observed import check_observed, check_room
from ppl.model.placement import name_leading, place, place_event
from ppl.model.ragged import check_reads, filled
from ppl.model.recurrence import with_recurrences
from ppl.model.streamed import check_streams
from ppl.model.uses import core_sizes, simplest, support_of_use
from ppl.source import Span


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
        check_room(name, support_of, dims, span)
        if observed is None or release:
            support_of = simplest(support_of)
        value = None if release else observed
        site = Site(name, every, span, use, dims, support_of, value, tuple(notes), present=present)
        if observed is not None and not release:
            check_observed(site, observed)
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
