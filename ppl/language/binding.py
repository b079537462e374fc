"""Data meet their declarations: names, types, shapes, bounds and missing values.

`bind` checks everything it can and reports all of it at once. The codes of this phase:

    E501 a value is missing or infinite        E511 a declared name is not in the data
    E502 an index is out of range              E512 the shape is not the declared one
    E503 a value is outside its bounds         E513 the values are of another type
                                               E514 a declaration cannot be read
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from ppl.constraints.base import SUPPORTS
from ppl.errors import DataError, Diagnostic
from ppl.language import data_messages as messages
from ppl.language import syntax
from ppl.language.constants import NotConstant, evaluate
from ppl.language.conversion import Unfit, convert
from ppl.language.padding import Use, overwritten, ragged_uses
from ppl.language.streams import column_as
from ppl.source import Span, nearest
from ppl.streams import Column

Value = np.ndarray | int | float
ELEMENT_KINDS = {"real": "real", "int": "int", "bool": "bool", "index": "int"}


def bind(
    program: syntax.Program, data: Mapping[str, Any], base: int = 0, absent: frozenset[str] = frozenset()
) -> dict[str, Value]:
    """The data by name, as the declarations of `program` say: float64 or int64 arrays, Python numbers for scalars.

    Indices count from `base` in `data` and from 0 in the result. Integer sizes that are not given are read off
    the shapes of the arrays; other names may be left out only if they stand in `absent`. Data declared `missing`
    keep NaN in the place of a missing value, and are float64 whatever their type. Names in `data` that are not
    declared are left alone. Raises `DataError` with every error.
    """
    declared = declarations(program)
    binding = Binding(declared, data, base, absent, ragged_uses(program, declared))
    binding.convert_values()
    binding.infer_sizes()
    binding.overwrite_padding()
    binding.report_absent()
    for check in CHECKS:
        for name in binding.sound():
            streamed = isinstance(binding.values[name], Column)
            if not streamed or check in OF_SHAPES:
                check(binding, binding.declared[name])
            elif check is check_bounds:
                check_column(binding, binding.declared[name])
    if binding.errors:
        raise DataError(binding.errors)
    return {name: value if value.ndim else value.item() for name, value in binding.values.items()}


@dataclass(frozen=True)
class Declared:
    """One declared name with its type. `shared` says that its statement declares other names too."""

    name: str
    span: Span
    type: syntax.TypeExpression
    missing: bool
    shared: bool

    @property
    def kind(self) -> str:
        return self.type.name.name

    @property
    def is_whole(self) -> bool:
        """Whether the values are whole numbers."""
        return self.kind in ("int", "bool", "index")

    @property
    def is_size(self) -> bool:
        """Whether shapes may tell it: a scalar integer."""
        return self.kind == "int" and not self.type.dimensions and not self.missing

    @property
    def event_rank(self) -> int:
        """How many axes one value has: 0 for numbers, 1 for `simplex(K)`, 2 for matrices."""
        return SUPPORTS[self.kind].event_rank if self.kind not in ELEMENT_KINDS and self.kind in SUPPORTS else 0

    @property
    def lengths(self) -> tuple[syntax.Expression, ...]:
        """The expressions of the array's lengths, those of one value last."""
        return self.type.dimensions + self.type.arguments[:1] * self.event_rank


def declarations(program: syntax.Program) -> dict[str, Declared]:
    return {
        name.name: Declared(name.name, name.span, statement.type, statement.missing, len(statement.names) > 1)
        for statement in program.statements
        if isinstance(statement, syntax.Data)
        for name in statement.names
    }


@dataclass
class Binding:
    """The state of one binding: `values` fills, `errors` collects, `failed` names need no further check."""

    declared: Mapping[str, Declared]
    data: Mapping[str, Any]
    base: int
    absent: frozenset[str]
    ragged: Mapping[str, list[Use]] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    def report(self, declared: Declared, code: str, found: str, expected: str = "", fix: str = "") -> None:
        span = declared.span if code == "E511" else declared.type.span
        self.errors.append(Diagnostic(code, span, found, expected, fix))
        self.failed.add(declared.name)

    def sound(self) -> list[str]:
        """The names that have a value and no error so far."""
        return [name for name in self.declared if name in self.values and name not in self.failed]

    def convert_values(self) -> None:
        for name, declared in self.declared.items():
            if isinstance(column := self.data.get(name), Column):
                self._stream(declared, column)
            elif name in self.data:
                try:
                    kind = ELEMENT_KINDS.get(declared.kind, "real")
                    self.values[name] = convert(self.data[name], kind, declared.missing or name in self.ragged)
                except Unfit as error:
                    self.report(declared, error.code, f"{name}{error.found}", error.expected)

    def _stream(self, declared: Declared, column: Column) -> None:
        """A column under its declared name; its rows are checked by one pass through them."""
        value, problem = column_as(column, declared.name, declared.kind, self.base)
        if problem is None and declared.missing:
            problem = "E513", f"`{declared.name}` is read row by row", "that cannot be data with missing values"
        if problem is None:
            self.values[declared.name] = value  # type: ignore[assignment]
        else:
            self.report(declared, *problem)

    def infer_sizes(self) -> None:
        """Give every size that the data lack the length of the first array along the dimension it names."""
        origins: dict[str, tuple[str, int]] = {}
        for size, array, length in self._named_lengths():
            if size in self.data:
                continue
            origin, known = origins.setdefault(size, (array, length))
            if known != length:
                found = f"{array} has length {length} along {size}, {origin} has length {known}"
                self.report(self.declared[array], "E512", found)
        self.values.update({size: np.asarray(length) for size, (_, length) in origins.items()})

    def _named_lengths(self) -> Iterator[tuple[str, str, int]]:
        """(size, array, length) wherever a dimension of an array is the bare name of a declared size."""
        sizes = {name for name, declared in self.declared.items() if declared.is_size}
        for name in self.sound():
            lengths, shape = self.declared[name].lengths, self.values[name].shape
            if len(lengths) == len(shape):
                for expression, length in zip(lengths, shape, strict=True):
                    if isinstance(expression, syntax.Name) and expression.name in sizes:
                        yield expression.name, name, length

    def overwrite_padding(self) -> None:
        """What lies beyond the ends of ragged plates is never read: it takes the value of an element that is."""
        for name in self.sound():
            if name in self.ragged and not isinstance(self.values[name], Column):
                declared, value = self.declared[name], overwritten(self.values[name], self.ragged[name], self.values)
                whole = declared.is_whole and not declared.missing and not np.isnan(value).any()
                self.values[name] = value.astype(np.int64) if whole else value

    def report_absent(self) -> None:
        """Report what is neither given nor inferred, nor would be once an array that is wrong is put right."""
        given = {
            expression.name
            for name in self.declared.keys() & self.data.keys()
            for expression in self.declared[name].lengths
            if isinstance(expression, syntax.Name)
        }
        excused = self.absent | self.failed | given
        undeclared = set(self.data) - set(self.declared)
        for name, declared in self.declared.items():
            if name not in self.values and name not in excused:
                expected = messages.absent(nearest(name, undeclared), declared.is_size, self.data)
                self.report(declared, "E511", f"`{name}` is not in the data", expected)

    def evaluate(self, declared: Declared, expression: syntax.Expression) -> np.ndarray | None:
        """The value of a length, a bound or an argument; None where it cannot be told."""
        try:
            known = {name: self.values[name] for name in self.sound()}
            return evaluate(expression, {n: value for n, value in known.items() if not isinstance(value, Column)})
        except NotConstant as error:
            if error.name not in self.declared:
                suggestion = nearest(error.name, self.declared) if error.name else None
                self.report(declared, "E514", str(error), messages.did_you_mean(suggestion))
            return None

    def length(self, declared: Declared, expression: syntax.Expression) -> int | None:
        """The value of a length; None where it cannot be told, or is wrong, which is then reported."""
        value = self.evaluate(declared, expression)
        if value is None or (value.ndim == 0 and np.isfinite(value) and value == np.floor(value)):
            return None if value is None else int(value)
        self.report(declared, "E514", f"the length `{expression.span.text}` is not a whole number")
        return None


# Checks, in order: each sees only names that passed the ones before it ---------------------------------


def check_type(binding: Binding, declared: Declared) -> None:
    named = [*ELEMENT_KINDS, *(name for name, support in SUPPORTS.items() if not support.arguments)]
    if declared.kind not in named:
        suggestion = nearest(declared.kind, named)
        binding.report(declared, "E514", f"`{declared.kind}` is not a type", messages.did_you_mean(suggestion))
    elif not declared.type.arguments and (declared.kind == "index" or declared.event_rank):
        binding.report(declared, "E514", f"`{declared.kind}` needs its size", f"write `{declared.kind}(K)`")


def check_shape(binding: Binding, declared: Declared) -> None:
    shape = binding.values[declared.name].shape
    known = [binding.length(declared, expression) for expression in declared.lengths]
    if declared.name in binding.failed:
        return
    agree = len(known) == len(shape) and all(k in (None, n) for k, n in zip(known, shape, strict=True))
    if not agree:
        names = [expression.span.text for expression in declared.lengths]
        binding.report(declared, "E512", *messages.shape(declared.name, shape, names, known))


def check_length(binding: Binding, declared: Declared) -> None:
    """A size that arrays or plates have is not negative."""
    lengths = {e.name for each in binding.declared.values() for e in each.lengths if isinstance(e, syntax.Name)}
    value = binding.values[declared.name]
    if declared.is_size and declared.name in lengths and value < 0:
        binding.report(declared, "E503", f"{declared.name} = {value} is a length", "at least 0 is expected")


def check_finite(binding: Binding, declared: Declared) -> None:
    value = binding.values[declared.name]
    prefix = f"{declared.name}: " if declared.shared else ""
    absent = np.isnan(value)
    if absent.any() and not declared.missing:
        found = f"{messages.place(absent)} is NaN ({absent.sum()} of {value.size} missing)"
        binding.report(declared, "E501", prefix + found, "declare it `missing`, or drop the rows")
    elif np.isinf(value).any():
        binding.report(declared, "E501", f"{prefix}{messages.place(np.isinf(value))} is infinite")


def check_index(binding: Binding, declared: Declared) -> None:
    if declared.kind != "index":
        return
    given = binding.values[declared.name]
    binding.values[declared.name] = given - binding.base
    states = binding.length(declared, declared.type.arguments[0])
    known = given[~np.isnan(given)]
    if states is None or not known.size:
        return
    low, high = int(known.min()), int(known.max())
    if low < binding.base or high >= binding.base + states:
        prefix = f"{declared.name}: " if declared.shared else ""
        size = declared.type.arguments[0].span.text
        found, expected = messages.index_range(low, high, size, states, binding.base)
        binding.report(declared, "E502", prefix + found, expected)


def check_bounds(binding: Binding, declared: Declared) -> None:
    value = binding.values[declared.name]
    for bound in declared.type.bounds:
        limit = binding.evaluate(declared, bound.value)
        if bound.name not in messages.SIDES:
            binding.report(declared, "E514", f"`{bound.name}` is not a bound", "bounds are `lower` and `upper`")
        elif limit is not None and limit.ndim and limit.shape != value.shape:
            found = f"the bound `{bound.value.span.text}` has shape {limit.shape}, {declared.name} has {value.shape}"
            binding.report(declared, "E512", found)
        elif limit is not None:
            outside = value < limit if bound.name == "lower" else value > limit
            if outside.any():
                text = bound.value.span.text
                binding.report(
                    declared, "E503", messages.outside(declared.name, value, outside, bound.name, limit, text)
                )


def check_support(binding: Binding, declared: Declared) -> None:
    if declared.kind in ELEMENT_KINDS:
        return
    support = SUPPORTS[declared.kind]
    outside = ~np.asarray(support.contains(binding.values[declared.name]))
    if outside.any():
        binding.report(declared, "E503", f"{messages.element(declared.name, outside)} is not {support.describe}")


def check_column(binding: Binding, declared: Declared) -> None:
    """Index, bounds and support of data that are read row by row, by the smallest and the largest number in them."""
    column = cast(Column, binding.values[declared.name])
    for bound in declared.type.bounds:
        limit = binding.evaluate(declared, bound.value)
        extreme = column.facts.lowest if bound.name == "lower" else column.facts.highest
        if limit is not None and (limit.ndim or (extreme < limit if bound.name == "lower" else extreme > limit)):
            found = (
                f"{declared.name} has {extreme:g}, {messages.SIDES.get(bound.name, 'outside')} {bound.value.span.text}"
            )
            binding.report(declared, "E503", found)
    if declared.kind == "index":
        states = binding.length(declared, declared.type.arguments[0])
        low, high = int(column.facts.lowest) + binding.base, int(column.facts.highest) + binding.base
        if states is not None and (low < binding.base or high >= binding.base + states):
            text = declared.type.arguments[0].span.text
            binding.report(declared, "E502", *messages.index_range(low, high, text, states, binding.base))
    if declared.kind not in ELEMENT_KINDS:
        support = SUPPORTS[declared.kind]
        if not all(np.all(support.contains(rows)) for _, rows in column.blocks()):
            binding.report(declared, "E503", f"a value of {declared.name} is not {support.describe}")


OF_SHAPES = (check_type, check_shape)
CHECKS = (check_type, check_shape, check_length, check_finite, check_index, check_bounds, check_support)
