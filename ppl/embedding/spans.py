"""Where the user's code stands: spans from the running frame, exact to the expression.

Python keeps for every instruction the characters it came from (`code.co_positions`), so that a caret can stand under
the one call or operator that is wrong.
"""

from __future__ import annotations

import ast
import linecache
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import TypeVar

from ppl.errors import ModelError
from ppl.model.expressions import Expr
from ppl.source import Source, Span

T = TypeVar("T")

_LIBRARIES = frozenset({"ppl", "numpy", "scipy"})
"""Frames of these packages are passed over: what the user wrote is below them."""


def caller_span() -> Span | None:
    """The expression of the user's code that is being evaluated now."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _LIBRARIES:
        frame = frame.f_back
    return None if frame is None else _instruction_span(frame.f_code, frame.f_code.co_filename, frame.f_lasti)


@lru_cache(maxsize=10_000)
def _instruction_span(code: CodeType, filename: str, instruction: int) -> Span:
    """`filename` is part of the key: equal code may stand in two files."""
    line, end_line, start, end = next(islice(code.co_positions(), instruction // 2, None))
    line = line or code.co_firstlineno
    source = file_source(filename, end_line or line)
    if start is None or end is None or end_line is None:
        text = source.line(line)
        first = source.offset(line, 1 + len(text) - len(text.lstrip()))
        return source.span(first, first + max(1, len(text.strip())))
    return source.span(byte_offset(source, line, start), byte_offset(source, end_line, end))


def file_source(filename: str, line: int = 1) -> Source:
    """The text of a Python file. If it cannot be read, blank lines up to `line`, so that a location can be given."""
    return _source(filename, "".join(linecache.getlines(filename)) or "\n" * line)


@lru_cache(maxsize=256)
def _source(filename: str, text: str) -> Source:
    here = os.path.join(os.getcwd(), "")
    return Source(filename.removeprefix(here), text)


def byte_offset(source: Source, line: int, column: int) -> int:
    """Character offset of a line (from 1) and a column in bytes of UTF-8 (from 0): Python's positions."""
    characters = len(source.line(line).encode()[:column].decode(errors="ignore"))
    return source.offset(line, characters + 1)


@dataclass(frozen=True)
class Parts:
    """What an expression is made of: its syntax, and the spans of its operands or arguments.

    `receiver` is what stands before the dot of a call.
    """

    node: ast.expr
    operands: tuple[Span, ...] = ()
    keywords: tuple[tuple[str, Span], ...] = ()
    receiver: Span | None = None

    def keyword(self, name: str) -> Span | None:
        return dict(self.keywords).get(name)


def parts_of(span: Span | None) -> Parts | None:
    """The parts of the expression at `span`; None where it cannot be read."""
    if span is None:
        return None
    wrapped = Source("", f"({span.text})")
    try:
        node = ast.parse(wrapped.text, mode="eval").body
    except (SyntaxError, ValueError):
        return None

    def locate(part: ast.expr) -> Span:
        start = byte_offset(wrapped, part.lineno, part.col_offset)
        end = byte_offset(wrapped, part.end_lineno or part.lineno, part.end_col_offset or part.col_offset)
        return span.source.span(span.start + start - 1, span.start + end - 1)

    keywords: tuple[tuple[str, Span], ...] = ()
    receiver = None
    if isinstance(node, ast.Call):
        keywords = tuple((k.arg, locate(k.value)) for k in node.keywords if k.arg is not None)
        receiver = locate(node.func.value) if isinstance(node.func, ast.Attribute) else None
    return Parts(node, tuple(locate(part) for part in _operands(node)), keywords, receiver)


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.Compare) and len(node.comparators) == 1:
        return [node.left, node.comparators[0]]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Subscript):
        return [node.value, *(node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice])]
    if isinstance(node, ast.Call) and not any(isinstance(argument, ast.Starred) for argument in node.args):
        return list(node.args)
    return []


def located(build: Callable[[Sequence[Expr]], T], operands: Sequence[Expr], span: Span | None) -> T:
    """`build(operands)`; should it fail, again with each operand located where it is used, not where it was made."""
    try:
        return build(operands)
    except ModelError:
        spans = _operand_spans(span, len(operands))
        if spans is None:
            raise
    return build([replace(operand, span=place) for operand, place in zip(operands, spans, strict=True)])


def _operand_spans(span: Span | None, count: int) -> tuple[Span, ...] | None:
    parts = parts_of(span)
    if parts is None:
        return None
    if len(parts.operands) == count:
        return parts.operands
    if parts.receiver is not None and len(parts.operands) == count - 1:
        return (parts.receiver, *parts.operands)
    return None
