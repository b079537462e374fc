"""What NumPy's functions mean on symbols: a table from each to an operation of the language.

Functions of the registry stand for the NumPy names they declare; those with keywords of their own (`axis`, `keepdims`,
…) are written out in `numpy_functions.py`.
"""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from ppl.embedding.numpy_functions import WRITTEN_OUT, Handler, along_axis, apply_function, reduce_axes
from ppl.embedding.operand import Operand
from ppl.embedding.spans import caller_span
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS, Function
from ppl.source import Span, nearest


def call_numpy(function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """`function(*arguments, **keywords)`, some of them symbols. Raises ModelError where it has no meaning here."""
    span = caller_span()
    handler = numpy_table().get(function) or _special_ufunc(function)
    if handler is None:
        raise _unsupported(function, span)
    return _call(handler, numpy_name(function), span, arguments, keywords)


def call_record(function: Function, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """A function of the language called by its own name, some of the arguments symbols."""
    return _call(_handler_of(function), f"ppl.{function.name}", caller_span(), arguments, keywords)


def _call(handler: Handler, name: str, span: Span | None, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    try:
        inspect.signature(handler).bind(span, *arguments, **keywords)
    except TypeError as error:
        raise ModelError.of("E311", span, f"`{name}` on symbols: {error}") from None
    return handler(span, *arguments, **keywords)


_REDUCTIONS = {np.add: "sum", np.multiply: "prod", np.minimum: "min", np.maximum: "max", np.logaddexp: "log_sum_exp"}


def call_ufunc(ufunc: np.ufunc, method: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """A universal function, or its `reduce` or `outer` method, some of the arguments symbols."""
    if method == "__call__":
        return call_numpy(ufunc, arguments, keywords)
    span = caller_span()
    if method == "reduce" and ufunc in _REDUCTIONS and set(keywords) <= {"axis", "keepdims"}:
        return reduce_axes(_REDUCTIONS[ufunc], span, *arguments, **{"axis": 0, **keywords})
    if method == "outer" and ufunc is np.multiply and not keywords:
        return apply_function("outer", span, *arguments)
    raise ModelError.of("E311", span, f"{numpy_name(ufunc)}.{method} does not work on symbols")


@cache
def numpy_table() -> dict[Callable[..., Any], Handler]:
    """Every NumPy function that works on symbols."""
    table: dict[Callable[..., Any], Handler] = {}
    for function in FUNCTIONS.values():
        for name in function.numpy:
            found = _lookup(np, name.removeprefix("numpy.")) if name.startswith("numpy.") else None
            if found is not None:
                table[found] = _handler_of(function)
    table.update({found: handler for name, handler in WRITTEN_OUT.items() if (found := _lookup(np, name)) is not None})
    return table


def _lookup(module: Any, path: str) -> Any:
    """`linalg.inv` of a module, or None where this version lacks it."""
    for name in path.split("."):
        module = getattr(module, name, None)
    return module


def _special_ufunc(function: Callable[..., Any]) -> Handler | None:
    """The handler of a universal function of SciPy, which is imported if one of its functions comes here."""
    special = sys.modules.get("scipy.special")
    for record in FUNCTIONS.values() if special is not None else ():
        for name in record.numpy:
            if name.startswith("scipy.special.") and _lookup(special, name.rpartition(".")[2]) is function:
                return _handler_of(record)
    return None


def _handler_of(function: Function) -> Handler:
    if function.signature == "(...)->()":
        return partial(reduce_axes, function.name)
    if function.signature == "(n)->(n)":
        return partial(along_axis, function.name)
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY
    names = [inspect.Parameter("span", kinds[1])]
    names += [inspect.Parameter(name.rstrip("…"), kinds[not name.endswith("…")]) for name in function.parameters]
    names += [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in function.lengths]
    takes = len(function.parameters) if function.lengths else None

    def handler(span: Span | None, *arguments: Any, **lengths: Any) -> Operand:
        lengths.update(zip(function.lengths, arguments[takes:] if takes else (), strict=False))
        static = {name: operator.index(length) for name, length in lengths.items()}
        return apply_function(function.name, span, *arguments[:takes], **static)

    handler.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]
    return handler


def numpy_name(function: Callable[..., Any]) -> str:
    """How a person writes a function: `np.linalg.det`."""
    name = function.__name__
    if isinstance(function, np.ufunc):
        return f"np.{name}" if getattr(np, name, None) is function else f"scipy.special.{name}"
    return f"{function.__module__}.{name}".replace("numpy.", "np.", 1)


_INSTEAD = {
    "np.log10": "np.log(x) / np.log(10)",
    "np.log2": "np.log(x) / np.log(2)",
    "np.exp2": "2**x",
    "np.linalg.slogdet": "ppl.log_determinant(x)",
    "np.linalg.norm": "np.sqrt(np.sum(np.square(x)))",
    "np.average": "np.sum(weights * x) / np.sum(weights)",
}
"""What to write for some functions that have no counterpart in the language."""


def _unsupported(function: Callable[..., Any], span: Span | None) -> ModelError:
    known = [numpy_name(member).removeprefix("np.") for member in numpy_table()]
    name = numpy_name(function)
    if name in _INSTEAD:
        return ModelError.of("E311", span, f"`{name}` does not work on symbols", fix=f"write: {_INSTEAD[name]}")
    near = nearest(name.removeprefix("np."), known)
    expected = f"the nearest that does is `np.{near}`" if near else "`ppl list functions` names those that do"
    return ModelError.of("E311", span, f"`{name}` does not work on symbols", expected)
