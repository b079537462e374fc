"""From instructions to one straight-line Python function.

Arrays are written into those that are read no more. Larger ones come from an arena that all programs share, since
fresh memory costs more than most arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from ppl.backends.staging.instructions import Instruction, Listing
from ppl.backends.staging.shapes import Shape

_LARGE = 1024
"""Smaller arrays are freed at the end of the function only."""
_FROM_ARENA = 8192
"""Arrays of this size on are given memory that is used again by the next call."""
_KEYWORD_OUT = ("maximum(", "minimum(")
"""NumPy deprecates a third positional argument of these."""


@dataclass(frozen=True)
class Staged:
    """A replayable program: its source, what that names, and the function itself, which several threads may call.

    It has so many `instructions`, made from so many `recorded` calls.
    """

    source: str
    names: dict[str, Any] = field(repr=False)
    run: Callable[..., Any] = field(repr=False)
    instructions: int = 0
    recorded: int = 0


def emitted(listing: Listing, recorded: int = 0) -> Staged:
    """The program of a listing, which was made from so many recorded calls."""
    buffers = _Buffers(listing)
    parameters = [*listing.inputs, *(["arena"] if buffers.size else [])]
    results = ", ".join(buffers.result(name) for name in listing.results)
    lines = [*buffers.named, *buffers.lines, f"return ({results},)"]
    source = "\n    ".join([f"def replay({', '.join(parameters)}):", *lines])
    names = {**listing.names, "array": np.array}
    exec(compile(source, "<staged>", "exec"), names)
    replay: Callable[..., Any] = names["replay"]
    run = _with_arena(replay, buffers.size) if buffers.size else replay
    return Staged(source, listing.names, run, len(listing.instructions), recorded)


_ARENAS: list[np.ndarray] = []
"""Those not in use. Taking and giving back are single operations on a list, which threads may do."""


def _with_arena(replay: Callable[..., Any], size: int) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        try:
            arena = _ARENAS.pop()
        except IndexError:
            arena = np.empty(size)
        if arena.size < size:
            arena = np.empty(size)
        try:
            return replay(*arguments, arena)
        finally:
            _ARENAS.append(arena)

    return run


class _Buffers:
    """The lines of a listing: what each array is written into, and when it is read last.

    `named` are the lines that name parts of the arena, `size` how many numbers that must have.
    """

    def __init__(self, listing: Listing) -> None:
        self.lines: list[str] = []
        self.named: list[str] = []
        self.size = 0
        self._listing = listing
        self._shapes = {instruction.target: instruction.shape for instruction in listing.instructions}
        self._roots = self._all_roots()
        self._last = self._last_reads()
        self._returned = {root for name in listing.results for root in (name, *self._roots.get(name, ()))}
        self._owned: dict[str, Shape] = {}
        self._spans: dict[str, tuple[int, int]] = {}
        self._free: list[tuple[int, int]] = []
        self._views: dict[tuple[int, Shape], str] = {}
        for number, instruction in enumerate(listing.instructions):
            self._write(number, instruction)
            self._end(number, instruction)

    def _all_roots(self) -> dict[str, frozenset[str]]:
        """For each name the arrays that it may be a part of."""
        roots: dict[str, frozenset[str]] = {}
        for instruction in self._listing.instructions:
            if not instruction.store:
                under = frozenset(root for name in instruction.operands for root in roots.get(name, (name,)))
                roots[instruction.target] = (under if instruction.view else frozenset()) | {instruction.target}
        return roots

    def result(self, name: str) -> str:
        """A result as callers get it: an array of their own."""
        return name if self._roots.get(name, frozenset((name,))) <= self._shapes.keys() else f"array({name})"

    def _last_reads(self) -> dict[str, int]:
        """For each name the instruction that reads it, or a part of it, last; results are read after all."""
        last: dict[str, int] = {}
        for number, instruction in enumerate(self._listing.instructions):
            for name in (instruction.target, *instruction.operands):
                last.update(dict.fromkeys((name, *self._roots.get(name, ())), number))
        for name in self._listing.results:
            last.update(dict.fromkeys((name, *self._roots.get(name, ())), len(self._listing.instructions)))
        return last

    def _write(self, number: int, instruction: Instruction) -> None:
        text, target = instruction.text.format(*instruction.operands), instruction.target
        if instruction.store:
            self.lines.append(text)
            return
        if instruction.takes_out and instruction.shape:
            self._owned[target] = instruction.shape
            out = self._reused(number, instruction) or self._from_arena(target, instruction.shape)
            if out is not None:
                text = f"{text[:-1]}, {'out=' if text.startswith(_KEYWORD_OUT) else ''}{out})"
        self.lines.append(f"{target} = {text}")

    def _reused(self, number: int, instruction: Instruction) -> str | None:
        """An operand of the same shape that the program made itself and that nothing reads after this instruction."""
        if not instruction.elementwise:
            return None
        for name in instruction.operands:
            lent = name in self._spans and instruction.target in self._returned
            if self._owned.get(name) == instruction.shape and self._last[name] == number and not lent:
                if name in self._spans:
                    self._spans[instruction.target] = self._spans.pop(name)
                return name
        return None

    def _from_arena(self, target: str, shape: Shape) -> str | None:
        """The name of a free part of the arena, for an array that does not outlive the call."""
        size = prod(shape)
        if size < _FROM_ARENA or target in self._returned:
            return None
        fitting = [span for span in self._free if span[1] >= size]
        if fitting:
            span = min(fitting, key=lambda one: one[1])
            self._free.remove(span)
        else:
            span = (self.size, size)
            self.size += size
        self._spans[target] = span
        key = (span[0], shape)
        if key not in self._views:
            self._views[key] = f"w{len(self._views)}"
            self.named.append(f"{self._views[key]} = arena[{span[0]}:{span[0] + size}].reshape({shape})")
        return self._views[key]

    def _end(self, number: int, instruction: Instruction) -> None:
        """Give back what is read no more."""
        read = dict.fromkeys((*instruction.operands, instruction.target))
        ended = [root for name in read for root in (name, *self._roots.get(name, ())) if self._last.get(root) == number]
        for name in dict.fromkeys(ended):
            if name in self._spans:
                self._free.append(self._spans.pop(name))
        names = [name for name in dict.fromkeys(ended) if self._worth_freeing(name)]
        if names:
            self.lines.append(f"del {', '.join(names)}")

    def _worth_freeing(self, name: str) -> bool:
        return name in self._shapes and prod(self._shapes[name] or (0,)) >= _LARGE
