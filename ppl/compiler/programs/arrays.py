"""Array programs: a table of operations, each written once, printed as a readable Python function.

`Recorder` is the resolver's array language that writes operations down instead of performing them. Equal
operations share one entry, so common subexpressions cost nothing. What depends on data alone is split off
into `prepare(data)`, which runs once; the rest is `run(…)`.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ppl.blocks import Blocks
from ppl.functions import Function
from ppl.loops import Loop
from ppl.model.resolve import ArrayLanguage, Key
from ppl.ode import System

Ref = int


@dataclass(frozen=True)
class Operation:
    """One array operation. `template` has a `{}` for each operand; `static` ones depend on data alone."""

    template: str
    operands: tuple[Ref, ...]
    static: bool
    atomic: bool = False


_INFIX = {
    "add": "{} + {}", "subtract": "{} - {}", "multiply": "{} * {}", "divide": "{} / {}", "power": "{} ** {}",
    "remainder": "{} % {}", "floor_divide": "{} // {}", "less": "{} < {}", "less_equal": "{} <= {}",
    "greater": "{} > {}", "greater_equal": "{} >= {}", "equal": "{} == {}", "not_equal": "{} != {}",
    "negative": "-{}",
}  # fmt: skip

_LINE = 100


@dataclass
class Recorder(ArrayLanguage[Ref]):
    """Writes operations into a table.

    `bound` holds the callables, `arrays` the array constants and `loops` the recurrences that they name.
    """

    operations: list[Operation] = field(default_factory=list)
    bound: dict[str, Callable[..., Any]] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    loops: dict[str, Loop | System | Blocks] = field(default_factory=dict)
    hints: dict[Ref, str] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Ref] = field(default_factory=dict)

    def record(
        self, template: str, operands: Sequence[Ref] = (), static: bool | None = None, atomic: bool = False
    ) -> Ref:
        """The entry of an operation, the existing one where an equal one was recorded."""
        if static is None:
            static = all(self.operations[operand].static for operand in operands)
        key = (template, *operands)
        if key not in self._known:
            self._known[key] = len(self.operations)
            self.operations.append(Operation(template, tuple(operands), static, atomic))
        return self._known[key]

    def input(self, text: str) -> Ref:
        """An argument of `run`, as Python text."""
        return self.record(text.replace("{", "{{").replace("}", "}}"), static=False, atomic=True)

    def function(self, name: str, implementation: Callable[..., Any]) -> str:
        """The name under which generated code calls an implementation (its `xp` is filled in later)."""
        self.bound[name] = implementation
        return name

    def loop(self, name: str, loop: Loop | System | Blocks) -> str:
        """The name under which generated code finds a recurrence or a differential equation."""
        while name in self.loops:
            name += "_"
        self.loops[name] = loop
        return name

    def constant(self, value: Any) -> Ref:
        array = np.asarray(value)
        if array.ndim == 0:
            return self.record(_literal(array.item()), static=True, atomic=True)
        for name, known in self.arrays.items():
            if known.dtype == array.dtype and np.array_equal(known, array):
                return self.record(name, static=True, atomic=True)
        name = f"array_{len(self.arrays)}"
        self.arrays[name] = array
        return self.record(name, static=True, atomic=True)

    def data(self, name: str, value: np.ndarray) -> Ref:
        return self.record(f"data[{name!r}]", static=True, atomic=True)

    def given(self, name: str) -> Ref:
        return self.input(f"values[{name!r}]")

    def apply(self, function: Function, arguments: Sequence[Ref], static: dict[str, Any]) -> Ref:
        if function.name in _INFIX and not static:
            return self.record(_INFIX[function.name], arguments)
        name = self.function(function.name, function.implementation)
        parts = ["{}"] * len(arguments) + [f"{key}={value!r}" for key, value in static.items()]
        return self.record(f"{name}({', '.join(parts)})", arguments)

    def invoke(
        self, name: str, implementation: Callable[..., Any], positional: Sequence[Ref], named: Mapping[str, Ref]
    ) -> Ref:
        """A call of any implementation with positional and named array arguments."""
        self.function(name, implementation)
        parts = ["{}"] * len(positional) + [f"{key}={{}}" for key in named]
        return self.record(f"{name}({', '.join(parts)})", (*positional, *named.values()))

    def take(self, array: Ref, key: Key) -> Ref:
        parts = [_key_text(part) for part in key]
        refs = [part for part in key if isinstance(part, int)]
        if refs == [key[-1]] and all(part == slice(None) for part in key[:-1]):
            return self.record(f"xp.take({{}}, {{}}, axis={len(key) - 1})", (array, refs[0]))
        if not all(self.operations[ref].static for ref in refs):
            items = "".join(f"{part!r}, " if isinstance(part, slice) else f"{_key_text(part)}, " for part in key)
            return self.record(f"xp.element({{}}, ({items.rstrip()}))", (array, *refs))
        return self.record("{}[" + ", ".join(parts) + "]", (array, *refs))

    def transpose(self, array: Ref, permutation: tuple[int, ...]) -> Ref:
        if permutation == (1, 0):
            return self.record("{}.T", (array,))
        return self.record(f"xp.transpose({{}}, {permutation})", (array,))

    def reshape(self, array: Ref, shape: tuple[int, ...]) -> Ref:
        return self.record(f"xp.reshape({{}}, {shape})", (array,))

    def stretch(self, array: Ref, dimension: int, size: int) -> Ref:
        return self.record(f"xp.repeat({{}}, {size}, axis={dimension})", (array,))

    def counter(self, array: Ref, dimension: int) -> Ref:
        return self.record(f"xp.arange({{}}.shape[{dimension}])", (array,))

    def matmul(self, left: Ref, right: Ref) -> Ref:
        return self.record("{} @ {}", (left, right))

    def sum(self, array: Ref, positions: Sequence[int]) -> Ref:
        if not positions:
            return array
        axis = positions[0] if len(positions) == 1 else tuple(positions)
        return self.record(f"xp.sum({{}}, axis={axis})", (array,))

    def scale(self, array: Ref, factor: float) -> Ref:
        return array if factor == 1 else self.record(_INFIX["multiply"], (self.constant(factor), array))


def _key_text(part: Any) -> str:
    if part is None:
        return "None"
    if part is Ellipsis:
        return "..."
    if isinstance(part, slice):
        start = "" if part.start is None else str(part.start)
        stop = "" if part.stop is None else str(part.stop)
        return f"{start}:{stop}"
    return "{}"


def _literal(value: Any) -> str:
    if isinstance(value, float) and not np.isfinite(value):
        return f"float('{value}')"
    return repr(value)


@dataclass(frozen=True)
class ArrayProgram:
    """A generated pair of functions `prepare(data)` and `run(…, prepared)`, with its source.

    `load(xp)` gives the two functions over an array name space.
    """

    source: str
    bound: dict[str, Callable[..., Any]] = field(repr=False)
    arrays: dict[str, np.ndarray] = field(repr=False)
    loops: dict[str, Loop | System | Blocks] = field(repr=False, default_factory=dict)

    @property
    def listing(self) -> str:
        """The source with that of the steps of its recurrences."""
        steps = [f"\n\n# {name}\n{loop.one.listing}" for name, loop in self.loops.items()]
        return "".join([self.source, *steps])

    def load(self, xp: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
        names: dict[str, Any] = {"xp": xp, "float": float, "True": True, **self.arrays, **self.loops}
        names |= {name: _with_namespace(function, xp) for name, function in self.bound.items()}
        exec(compile(self.source, "<generated>", "exec"), names)
        return names["prepare"], names["run"]


def _with_namespace(function: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    def call(*arguments: Any, **named: Any) -> Any:
        return function(xp, *arguments, **named)

    return call


def write_program(
    recorder: Recorder, arguments: Sequence[str], outputs: Mapping[str, Mapping[str, Ref]], doc: str
) -> ArrayProgram:
    """Print a recorder's operations as `prepare` and `run`, which returns one dictionary for each output group."""
    printer = _Printer(recorder, [ref for group in outputs.values() for ref in group.values()])
    returned = []
    for group in outputs.values():
        entries = ", ".join(f"{name!r}: {printer.text(ref, bare=True)}" for name, ref in group.items())
        returned.append(f"{{{entries}}}")
    prepared = [printer.names[ref] for ref in printer.prepared]
    lines = ["def prepare(data):", f'    """What {doc} needs that depends on data alone."""']
    lines += [f"    {line}" for line in printer.static_lines]
    lines += [f"    return ({', '.join(prepared)}{',' * (len(prepared) == 1)})", "", ""]
    lines += [f"def run({', '.join([*arguments, 'prepared'])}):", f'    """{doc[0].upper()}{doc[1:]}."""']
    if prepared:
        lines.append(f"    ({', '.join(prepared)}{',' * (len(prepared) == 1)}) = prepared")
    lines += [f"    {line}" for line in printer.lines]
    lines.append(f"    return {', '.join(returned)}")
    return ArrayProgram("\n".join(lines) + "\n", dict(recorder.bound), dict(recorder.arrays), dict(recorder.loops))


class _Printer:
    """Decides which operations get a variable and prints the rest inside their one reader."""

    def __init__(self, recorder: Recorder, outputs: Sequence[Ref]) -> None:
        self.recorder = recorder
        self.names: dict[Ref, str] = {}
        self.lines: list[str] = []
        self.static_lines: list[str] = []
        self.prepared: list[Ref] = []
        self._taken = {*recorder.bound, *recorder.arrays, *recorder.loops, *keyword.kwlist}
        self._taken |= {"xp", "data", "values", "rng", "prepared"}
        live = self._live(outputs)
        uses = dict.fromkeys(live, 0)
        for ref in live:
            for operand in recorder.operations[ref].operands:
                uses[operand] += 1
        crossing = {
            operand for ref in live if not recorder.operations[ref].static
            for operand in recorder.operations[ref].operands if recorder.operations[operand].static
        } | {ref for ref in outputs if recorder.operations[ref].static}  # fmt: skip
        for ref in live:
            self._place(ref, uses[ref], ref in crossing)

    def _live(self, outputs: Sequence[Ref]) -> list[Ref]:
        live = set(outputs)
        for ref in range(len(self.recorder.operations) - 1, -1, -1):
            if ref in live or self.recorder.operations[ref].template.startswith("draw_"):
                live.add(ref)
                live.update(self.recorder.operations[ref].operands)
        return sorted(live)

    def _place(self, ref: Ref, uses: int, crossing: bool) -> None:
        operation = self.recorder.operations[ref]
        literal = operation.atomic and not operation.template.startswith("data[")
        if operation.static and crossing and not literal:
            self._assign(ref, self.static_lines, "c")
            self.prepared.append(ref)
        elif operation.static:
            if (uses > 1 or ref in self.recorder.hints) and not operation.atomic:
                self._assign(ref, self.static_lines, "c")
        elif (
            ref in self.recorder.hints
            or operation.template.startswith("draw_")
            or (uses > 1 and not operation.atomic)
            or len(self.text(ref)) > _LINE
        ):
            self._assign(ref, self.lines, "t")

    def _assign(self, ref: Ref, lines: list[str], prefix: str) -> None:
        text = self.text(ref, bare=True)
        name = self.recorder.hints.get(ref, "") or f"{prefix}{sum(n.startswith(prefix) for n in self.names.values())}"
        name = "".join(character if character.isalnum() or character == "_" else "_" for character in name)
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        self.names[ref] = name
        lines.append(f"{name} = {text}")

    def text(self, ref: Ref, bare: bool = False) -> str:
        if ref in self.names:
            return self.names[ref]
        operation = self.recorder.operations[ref]
        infix = operation.template in _INFIX_TEMPLATES
        inner = [self.text(o, bare=not infix and not operation.template.startswith("{}")) for o in operation.operands]
        text = operation.template.format(*inner)
        negative = operation.atomic and text.startswith("-")
        return f"({text})" if (infix or negative) and not bare else text


_INFIX_TEMPLATES = {*_INFIX.values(), "{} @ {}"}
