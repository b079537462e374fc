"""From ordered statements and bound data to the model: what each statement means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from ppl.axes import Axis, union
from ppl.errors import DataError, Diagnostic, ModelError
from ppl.functions import UNKNOWN
from ppl.language import networks, parameters, syntax
from ppl.language.binding import bind, declarations
from ppl.language.meaning import Scope, not_yet
from ppl.language.names import unused_data
from ppl.language.order import Step, ordered
from ppl.language.scans import past_name, past_reads
from ppl.language.unknown import Unknown
from ppl.language.walk import target_of
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.builder import Builder
from ppl.model.expressions import Expr, Type
from ppl.model.messages import extent
from ppl.model.model import Model, Note
from ppl.model.networks import Network
from ppl.model.notes import NOTES, not_positive
from ppl.model.resolve import evaluate
from ppl.streams import Column


def bind_program(
    program: syntax.Program, data: Mapping[str, Any], base: int, absent: bool, afresh: bool = False
) -> tuple[Model, dict[str, Any]]:
    """The model of a checked program with every shape known, and its data.

    With `absent` observed data may be missing; their sites are then latent. With `afresh` so are those of observed data
    that a scan looks back on, of which only the shape is used. Raises `DataError` for the data and `ModelError` with
    every problem of the statements.
    """
    steps = ordered(program)
    outcomes = frozenset(_observed_names(program, steps)) if absent else frozenset()
    bound = bind(program, data, base, outcomes)
    released = outcomes - bound.keys()
    if afresh:
        scans = [step for step in steps if isinstance(step.statement, syntax.Scan)]
        released |= outcomes & frozenset(name for scan in scans for name in past_reads(scan, outcomes))
    model = Lowering(program, steps, bound, released, absent).model()
    unused = unused_data(program, bound)
    if unused:
        raise DataError(unused)
    return model, bound


def _observed_names(program: syntax.Program, steps: tuple[Step, ...]) -> set[str]:
    declared = declarations(program)
    statements = [step.statement for step in _with_bodies(steps) if step.scope == "model"]
    targets = {s.target.name.name for s in statements if isinstance(s, syntax.Sample)}
    return targets & declared.keys()


def _with_bodies(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        yield from _with_bodies(step.body)


class Lowering:
    """Goes through the steps and builds; collects the errors of all of them."""

    def __init__(
        self,
        program: syntax.Program,
        steps: tuple[Step, ...],
        bound: Mapping[str, Any],
        released: frozenset[str],
        absent: bool,
    ) -> None:
        self._steps = steps
        self._bound = bound
        self._builder = Builder(program.source.name, keep_gaps=absent)
        self._declared = declarations(program)
        self._values: dict[str, Expr | None] = {}
        self._data: dict[str, Expr] = {}
        self._nets: dict[str, Network] = {}
        self._functions = {s.name.name: s for s in program.statements if isinstance(s, syntax.Def)}
        self._errors: list[Diagnostic] = []
        self._unknown: list[Unknown] = []
        self._trying = False
        self._observed_data = _observed_names(program, steps)
        self._released = released
        self._gappy = frozenset(
            name for name, value in bound.items() if not isinstance(value, Column) and np.any(np.isnan(value))
        )

    def model(self) -> Model:
        self._go_through(self._steps)
        if self._errors:
            raise ModelError(self._errors)
        if self._unknown:
            found = [(unknown, f"`{unknown.name}` is not in the data, but read here") for unknown in self._unknown]
            raise DataError([Diagnostic("E511", unknown.span, text) for unknown, text in found])
        return self._builder.model()

    def _go_through(self, steps: Iterable[Step]) -> None:
        for step in steps:
            try:
                _STATEMENTS[type(step.statement)](self, step, step.statement)
            except Unknown as unknown:
                self._unknown.append(unknown)
                self._fail(step)
            except ModelError as error:
                self._errors.extend(error.diagnostics)
                self._fail(step)

    def _fail(self, step: Step) -> None:
        for key in step.defines:
            self._values[key] = None

    def _scope(self, step: Step) -> tuple[Scope, tuple[Axis, ...]]:
        """The names that a step sees, and the plates around it, its own left side's included."""
        scope = Scope(
            self._values,
            step.locals,
            functions=self._functions,
            trying=self._trying,
            nets=self._nets,
            ragged=self._builder.ragged,
        )
        axes: list[Axis] = []
        target = step.statement.target if isinstance(step.statement, _TARGETED) else None
        own = [index for index in target.indices if isinstance(index, syntax.Binder)] if target else []
        for binder in (*step.binders, *own):
            reach = scope.extent(binder.range)
            axes.append(self._axis(binder, reach.start, reach.size))
            scope = scope.with_index(binder, axes[-1], reach.present(axes[-1]))
        return scope, tuple(axes)

    def _axis(self, binder: syntax.Binder, start: int, size: int) -> Axis:
        """Plates are told apart by index and range: the same index over another range is another plate."""
        name, extent = binder.name.name, binder.range.span.text
        if self._builder.has_axis(name, size, start):
            name = f"{name} in {extent}"
        return self._builder.axis(name, size, start, binder.span, extent)

    # One method a statement ----------------------------------------------------------------------

    def _data_declaration(self, step: Step, statement: syntax.Data) -> None:
        labels = [parameters.label(dimension) for dimension in statement.type.dimensions]
        for name in statement.names:
            if isinstance(column := self._bound.get(name.name), Column):
                self._values[name.name] = self._data[name.name] = construct.streamed(
                    name.name, column, name.span, labels
                )
            elif name.name in self._bound:
                value = np.asarray(self._bound[name.name])
                if name.name in self._gappy - self._observed_data:
                    found = f"{np.isnan(value).sum()} of {value.size} missing, and `{name.name}` has no distribution"
                    raise ModelError.of("E501", name.span, found, f"write `{name.name} ~ …`, or drop the rows")
                if statement.missing and name.name not in self._gappy and self._declared[name.name].is_whole:
                    value = value.astype(np.int64)
                self._values[name.name] = self._data[name.name] = construct.data(name.name, value, name.span, labels)

    def _param(self, step: Step, statement: syntax.Param) -> None:
        scope, _ = self._scope(step)
        support, dims = parameters.declared(scope, statement.type)
        start = parameters.start(scope, statement, support, dims)
        self._values[statement.name.name] = self._builder.param(
            statement.name.name, start, support, dims, statement.name.span
        )

    def _sample(self, step: Step, statement: syntax.Sample) -> None:
        scope, axes = self._scope(step)
        name = statement.target.name
        use = scope.distribution(statement.distribution)
        plates = self._target_axes(statement.target, axes, scope)
        self._builder.in_predict = step.scope == "predict"
        data = name.name in self._declared and not self._builder.in_predict
        observed = self._observed(statement.target, plates, scope) if data else None
        notes = [_note(scope, note) for note in step.notes if not NOTES[note.name].of_plates and not data]
        self._subsample(step, statement, scope)
        value = self._builder.sample(
            name.name,
            use,
            plates,
            observed,
            statement.target.span,
            notes,
            release=name.name in self._released,
            present=scope.guard,
        )
        if not data or name.name not in self._bound or name.name in self._gappy | self._released:
            self._values[step.key or name.name] = self._after_first_values(name.name, value, plates)

    def _subsample(self, step: Step, statement: syntax.Sample, scope: Scope) -> None:
        """Plates around a statement, or of its own left side, that are noted `@minibatch`."""
        own = [index for index in statement.target.indices if isinstance(index, syntax.Binder)]
        noted = [*step.batches, *((own[0], n) for n in step.notes if own and NOTES[n.name].of_plates)]
        for binder, note in noted:
            (size,) = _note(scope, note).arguments
            self._builder.subsample(scope.indices[binder.name.name], size, note.span)

    def _after_first_values(self, name: str, value: Expr, plates: tuple[Axis, ...]) -> Expr:
        """Incomplete data as readers see them: elements that have no distribution stand before those that have one."""
        if name not in self._gappy - self._released or len(plates) != 1 or not plates[0].start:
            return value
        first = construct.slice_of(self._data[name], 0, 0, plates[0].start)
        if np.any(np.isnan(evaluate(first).array)):
            found = (
                f"a value of `{name}` is missing before element {plates[0].start}, from where on it has a distribution"
            )
            raise ModelError.of("E501", self._data[name].span, found, "drop these rows")
        return construct.call("concatenate", [first, value])

    def _observed(self, target: syntax.Target, plates: tuple[Axis, ...], scope: Scope) -> Expr:
        """The data left of `~`, indexed as it is written; a stand-in of the declared shape where it is absent."""
        name = target.name.name
        value: Expr | None = self._data.get(name)
        if name in self._released:
            declared = self._declared[name]
            shape = [scope.length(length) for length in declared.lengths]
            value = construct.data(
                name, np.zeros(shape), target.name.span, [parameters.label(d) for d in declared.lengths]
            )
        if value is None:
            raise Unknown(name, target.name.span)
        indices = [scope.expression(i.name if isinstance(i, syntax.Binder) else i) for i in target.indices]
        return construct.index(replace(value, span=target.name.span), indices, target.span) if indices else value

    def _target_axes(self, target: syntax.Target, axes: tuple[Axis, ...], scope: Scope) -> tuple[Axis, ...]:
        """The plates in the order in which the left side names them."""
        written = []
        for index in target.indices:
            node = index.name if isinstance(index, syntax.Binder) else index
            if isinstance(node, syntax.Name) and node.name in scope.indices:
                written.append(scope.indices[node.name])
            else:
                raise ModelError.of(
                    "E107", index.span, "left of `~` and `=` an index must be one of the enclosing plates'"
                )
        return tuple(written) if set(written) == set(axes) else axes

    def _assign(self, step: Step, statement: syntax.Assign) -> None:
        scope, axes = self._scope(step)
        value = scope.expression(statement.value)
        local = bool(axes) and not statement.target.indices
        if local or (value.type.static and step.scope == "model"):
            plates = self._target_axes(statement.target, axes, scope) if not local else ()
            self._values[step.key] = construct.lift(value, plates)
            return
        self._builder.in_predict = step.scope == "predict"
        plates = self._target_axes(statement.target, axes, scope)
        self._values[step.key] = self._builder.deterministic(
            statement.target.name.name, value, plates, statement.target.span, present=scope.guard
        )

    def _factor(self, step: Step, statement: syntax.Factor) -> None:
        scope, axes = self._scope(step)
        self._builder.in_predict = False
        value = scope.expression(statement.value)
        plates = self._target_axes(statement.target, axes, scope)
        self._builder.factor(statement.target.name.name, value, plates, statement.span, present=scope.guard)
        self._values[step.key] = construct.lift(value, plates)

    def _scan(self, step: Step, statement: syntax.Scan) -> None:
        """A scan in which no value depends on its own past is a plate: what it looks back on is known."""
        around, notes = (*step.binders, statement.binder), step.notes
        body = [
            replace(
                inner,
                binders=(*around, *inner.binders),
                notes=(*notes, *inner.notes),
                batches=(*step.batches, *inner.batches),
            )
            for inner in step.body
        ]
        past = past_reads(step, self._released | self._gappy)
        self._check_first_values(step, statement, past)
        expected = self._announced(body, past) if past else {}
        self._values |= expected
        self._go_through(body)
        self._check_shapes(body, expected)

    def _check_first_values(self, step: Step, statement: syntax.Scan, past: frozenset[str]) -> None:
        """Outcomes that are drawn must be drawn from their first element on."""
        drawn = sorted(past & self._released)
        if drawn and self._scope(step)[0].extent(statement.binder.range).start > 0:
            raise not_yet(statement.header, f"drawing `{drawn[0]}` from a later element than its first on")

    def _announced(self, body: Sequence[Step], names: Collection[str]) -> dict[str, Expr]:
        """For each name that is read before its statement its value as readers see it, by lowering on trial.

        While a name is unknown, conditional expressions that read it are their other branch: the start of a recurrence
        tells its shape. Without such a start it is a single number.
        """
        found: dict[str, Expr] = {}
        for _ in names:
            trial = copy(self)
            trial._builder, trial._trying = self._builder.scratch(), True
            trial._values = {**self._values, **dict.fromkeys(names), **found}
            trial._errors, trial._unknown = [], []
            trial._go_through(body)
            for step in body:
                name = past_name(step, names)
                value = trial._values.get(name) if name else None
                if name and value is not None:
                    found.setdefault(name, self._announced_value(step, name, value))
        for step in body:
            name = past_name(step, names)
            if name and name not in found:
                found[name] = self._announced_value(step, name, None)
        return found

    def _announced_value(self, step: Step, name: str, value: Expr | None) -> Expr:
        if isinstance(step.statement, syntax.Sample) and value is not None:
            return value
        assert isinstance(step.statement, _TARGETED)
        scope, axes = self._scope(step)
        plates = self._target_axes(step.statement.target, axes, scope)
        dims = () if value is None else value.type.dims[len(plates) :]
        kind = Type(union([plates]), tuple(replace(dim, origin=0) for dim in dims), UNKNOWN, static=False)
        whole = construct.lift(ex.Value(kind, step.statement.target.span, step.statement.target.name.name), plates)
        return self._after_first_values(name, whole, plates)

    def _check_shapes(self, body: Sequence[Step], expected: Mapping[str, Expr]) -> None:
        """A step of a recurrence must have the shape of its start."""
        for step in body:
            for key in step.defines:
                value = self._values.get(key)
                if key in expected and value is not None and value.type.event != expected[key].type.event:
                    target = target_of(step.statement)
                    assert target is not None
                    start, later = (extent(each.type) for each in (expected[key], value))
                    found = f"`{target.name.name}` {start} by its start, and {later} by its steps"
                    self._errors.append(Diagnostic("E301", target.span, found))

    def _declared_elsewhere(self, step: Step, statement: syntax.Statement) -> None:
        """`def`s are inlined where they are called."""

    def _net(self, step: Step, statement: syntax.Net) -> None:
        scope, _ = self._scope(step)
        self._nets[statement.name.name] = networks.declared(scope, self._builder, statement)

    def _later(self, step: Step, statement: syntax.Statement) -> None:
        names = {syntax.Submodel: "`model`", syntax.Use: "`use`"}
        raise not_yet(statement.span, names[type(statement)])


_TARGETED = (syntax.Sample, syntax.Assign, syntax.Factor)

_STATEMENTS: dict[type[syntax.Statement], Callable[[Lowering, Step, Any], None]] = {
    syntax.Data: Lowering._data_declaration,
    syntax.Param: Lowering._param,
    syntax.Sample: Lowering._sample,
    syntax.Assign: Lowering._assign,
    syntax.Factor: Lowering._factor,
    syntax.Def: Lowering._declared_elsewhere,
    syntax.Scan: Lowering._scan,
    syntax.Net: Lowering._net,
    syntax.Submodel: Lowering._later,
    syntax.Use: Lowering._later,
}


def _note(scope: Scope, note: syntax.Note) -> Note:
    """A note with the values of its arguments: a text, a number, or a network and what it is applied to."""
    if not note.arguments:
        return Note(note.name, (), note.span)
    (argument,) = note.arguments
    if isinstance(argument, syntax.Text):
        return Note(note.name, (argument.value,), note.span)
    encoder = argument.base if isinstance(argument, syntax.Index) else argument
    if isinstance(encoder, syntax.Call) and encoder.function.name in scope.nets:
        return networks.encoded(scope, note, encoder, argument)
    number = scope.number(argument, f"the argument of `@{note.name}`")
    if number < 1:
        raise not_positive(note.name, number, argument.span)
    return Note(note.name, (number,), note.span)
