"""From a decorated function and data to a `Model`: the function is called once, with symbols for what is random."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.embedding.data import Absent, as_data
from ppl.embedding.spans import byte_offset, caller_span, file_source
from ppl.embedding.state import CURRENT, Tracing
from ppl.embedding.streams import streamed_data
from ppl.errors import DataError, Diagnostic, ModelError
from ppl.model import Builder, Model
from ppl.source import Source, Span, nearest
from ppl.streams import Column

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def trace(
    function: Callable[..., Any], data: Mapping[str, Any], base: int = 0, absent: bool = False
) -> tuple[Model, dict[str, np.ndarray]]:
    """The model of a function bound to data, and the data arrays that it reads, by name.

    Where `absent`, outcomes may be missing from the data: their sites are then latent. An argument with a default may
    always be. What the function returns is ignored. Raises DataError for arguments, ModelError for the rest.
    """
    if CURRENT.get() is not None:
        raise ModelError.of(
            "E112", caller_span(), f"model `{function.__name__}` is used inside another model",
            "call a plain function, whose samples then belong to this model",
        )  # fmt: skip
    if base:
        raise DataError.of(
            "E515", definition_span(function), f"base={base}: a function indexes as Python does, from 0",
            f"subtract it in the model where an index is used: `index - {base}`",
        )  # fmt: skip
    arguments = _bind(function, data, absent)
    state = Tracing(Builder(function.__name__, keep_gaps=absent))
    token = CURRENT.set(state)
    try:
        function(*arguments.args, **arguments.kwargs)
    finally:
        CURRENT.reset(token)
    return state.builder.model(), {name: node.value for name, node in state.data.items()}


def _bind(function: Callable[..., Any], data: Mapping[str, Any], absent: bool) -> inspect.BoundArguments:
    signature = inspect.signature(function)
    parameters = {name: p for name, p in signature.parameters.items() if p.kind in _NAMED}
    surplus = [name for name in data if name not in parameters]
    _check_complete(function, parameters, data, surplus, absent)
    bound = signature.bind_partial()
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound.arguments[name] = {key: _argument(key, data[key]) for key in surplus}
        elif name in data and name in parameters:
            bound.arguments[name] = _argument(name, data[name])
        elif name in parameters and parameter.default is inspect.Parameter.empty:
            bound.arguments[name] = Absent(name)
    bound.apply_defaults()
    return bound


def _argument(name: str, value: Any) -> Any:
    return streamed_data(name, value) if isinstance(value, Column) else as_data(name, value)


def _check_complete(
    function: Callable[..., Any],
    parameters: Mapping[str, inspect.Parameter],
    data: Mapping[str, Any],
    surplus: list[str],
    absent: bool,
) -> None:
    """Every argument without a default is there, and none with one was misspelt."""
    spans = _parameter_spans(function)
    problems = []
    for name, parameter in parameters.items():
        if name in data:
            continue
        near = nearest(name, surplus)
        optional = parameter.default is not inspect.Parameter.empty or absent
        if optional and (near is None or min(len(name), len(near)) < 3):
            continue
        fix = f"did you mean `{near}`?" if near else f"given are: {', '.join(sorted(data)) or 'none'}"
        problems.append(Diagnostic("E511", spans.get(name), f"`{name}` is not in the data", fix))
    if problems:
        raise DataError(problems)


def _parameter_spans(function: Callable[..., Any]) -> dict[str, Span]:
    """Where each parameter stands in the definition; empty where the source cannot be read."""
    found = _definition(function)
    if found is None:
        return {}
    source, node = found
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return {part.arg: _span(source, part.lineno, part.col_offset, len(part.arg)) for part in every}


def definition_span(function: Callable[..., Any]) -> Span | None:
    """The `def name` of a function, None where the source cannot be read."""
    found = _definition(function)
    if found is None:
        return None
    source, node = found
    return _span(source, node.lineno, node.col_offset, len(f"def {node.name}"))


def _definition(function: Callable[..., Any]) -> tuple[Source, ast.FunctionDef] | None:
    code = inspect.unwrap(function).__code__
    source = file_source(code.co_filename, code.co_firstlineno)
    try:
        tree = ast.parse(source.text)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return source, node
    return None


def _span(source: Source, line: int, column: int, length: int) -> Span:
    start = byte_offset(source, line, column)
    return source.span(start, start + length)
