"""Distributions and functions as Python names: `Normal` for `normal`, `expit` on symbols and arrays."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.distributions import DISTRIBUTIONS, Distribution, Parameter
from ppl.embedding.data import computed
from ppl.embedding.numpy_table import call_record
from ppl.embedding.operand import as_operand
from ppl.embedding.spans import caller_span, parts_of
from ppl.embedding.symbol import Symbol, wrap
from ppl.errors import ModelError
from ppl.functions import FUNCTIONS, Function, for_ranks
from ppl.model import DistributionUse
from ppl.model import distribution as use_distribution
from ppl.model.expressions import Expr
from ppl.numeric import NUMPY
from ppl.source import Span, nearest


def camel_case(name: str) -> str:
    """`HalfCauchy` for `half_cauchy`."""
    return "".join(part.capitalize() for part in name.split("_"))


def constructor_names() -> list[str]:
    """The constructors of all registered distributions, sorted."""
    return sorted(camel_case(name) for name in DISTRIBUTIONS)


@cache
def constructor(name: str) -> Callable[..., DistributionUse]:
    """The constructor called `name`, capitals inside it not counting (`LogNormal` is `Lognormal`).

    Raises AttributeError, with the nearest name, where there is none.
    """
    folded = {camel_case(member).casefold(): member for member in DISTRIBUTIONS}
    member = folded.get(name.casefold()) if name[:1].isupper() else None
    if member is None:
        near = nearest(name, constructor_names()) if name[:1].isupper() else None
        raise AttributeError(f"no distribution {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    return _constructor_of(DISTRIBUTIONS[member])


def _constructor_of(family: Distribution) -> Callable[..., DistributionUse]:
    def construct_use(*arguments: Any, **keywords: Any) -> DistributionUse:
        span = caller_span()
        given = {key: value for key, value in keywords.items() if value is not None}
        try:
            return _use(family, arguments, given, span, {})
        except ModelError:
            pass
        try:
            return _use(family, arguments, given, span, _places(span))
        except ModelError as error:
            raise _in_python(error, family.name) from None

    construct_use.__name__ = construct_use.__qualname__ = camel_case(family.name)
    construct_use.__module__ = "ppl"
    construct_use.__doc__ = _documentation(family)
    construct_use.__signature__ = _signature(family)  # type: ignore[attr-defined]
    return construct_use


def _use(
    family: Distribution,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any],
    span: Span | None,
    places: Mapping[int | str, Span],
) -> DistributionUse:
    """The use of a distribution; `places` says where arguments stand, by position or keyword."""

    def expression(key: int | str, value: Any) -> Expr:
        result = as_operand(value, places.get(key, span)).whole()
        return replace(result, span=places[key]) if key in places else result

    positional = [expression(position, value) for position, value in enumerate(arguments)]
    named = {key: expression(key, value) for key, value in keywords.items()}
    return use_distribution(family.name, positional, named, span)


def _places(span: Span | None) -> dict[int | str, Span]:
    parts = parts_of(span)
    return {} if parts is None else {**dict(enumerate(parts.operands)), **dict(parts.keywords)}


def _in_python(error: ModelError, name: str) -> ModelError:
    """The same problems with the distribution written as it is here."""
    written = camel_case(name)

    def rewrite(text: str) -> str:
        return re.sub(rf"\b{name}\b", written, re.sub(rf"\b{name}\(", f"ppl.{written}(", text))

    return ModelError(
        [
            replace(record, found=rewrite(record.found), expected=rewrite(record.expected), fix=rewrite(record.fix))
            for record in error.diagnostics
        ]
    )


def _signature(family: Distribution) -> inspect.Signature:
    replaceable = {parameter.instead_of for parameter in family.parameters}
    parameters = []
    optional = False
    for p in family.parameters:
        absent = p.optional or p.name in replaceable or bool(p.instead_of) or optional
        default = p.default if p.default is not None else None if absent else inspect.Parameter.empty
        kind = inspect.Parameter.KEYWORD_ONLY if p.instead_of else inspect.Parameter.POSITIONAL_OR_KEYWORD
        optional = optional or (default is not inspect.Parameter.empty and not p.instead_of)
        parameters.append(inspect.Parameter(p.name, kind, default=default))
    parameters.sort(key=lambda parameter: parameter.kind)
    return inspect.Signature(parameters, return_annotation=DistributionUse)


def _documentation(family: Distribution) -> str:
    lines = [f"    {p.name}: {_describe(p)}" for p in family.parameters]
    return "\n".join([family.doc, "", "Parameters:", *lines])


def _describe(parameter: Parameter) -> str:
    core = f", shape ({', '.join(parameter.core_dimensions)})" if parameter.core_dimensions else ""
    instead = f", instead of `{parameter.instead_of}`" if parameter.instead_of else ""
    default = f", default {parameter.default:g}" if parameter.default is not None else ""
    return SUPPORTS[parameter.support].describe + core + instead + default


# Functions -----------------------------------------------------------------------------------------


@cache
def function(name: str) -> Callable[..., Any]:
    """A function of the language that works on symbols and on plain arrays.

    Raises AttributeError, with the nearest name, where there is none.
    """
    if name not in FUNCTIONS:
        near = FUNCTIONS.suggest(name)
        raise AttributeError(f"no function {name!r}" + (f"; did you mean {near!r}?" if near else ""))
    record = FUNCTIONS[name]

    def call(*arguments: Any, **keywords: Any) -> Any:
        if any(_is_symbolic(argument) for argument in arguments):
            return wrap(call_record(record, arguments, keywords))
        return computed(_call_plain(record, arguments, **keywords))

    call.__name__ = call.__qualname__ = name
    call.__module__ = "ppl"
    call.__doc__ = record.doc
    return call


def _is_symbolic(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_symbolic(element) for element in value)
    return isinstance(value, Symbol)


def _call_plain(record: Function, arguments: Sequence[Any], axis: int | None = None, **lengths: Any) -> Any:
    """On arrays, as on symbols: `axis` is that of a reduction or of a function of vectors."""
    if record.lengths:
        takes = len(record.parameters)
        lengths.update(zip(record.lengths, arguments[takes:], strict=False))
        return record.implementation(NUMPY, *map(np.asarray, arguments[:takes]), **lengths)
    arrays = [np.asarray(argument) for argument in arguments]
    record = for_ranks(record, [array.ndim for array in arrays])
    if record.signature == "(...)->()":
        return record.implementation(NUMPY, *arrays, axis=axis, event_rank=arrays[0].ndim)
    if record.variadic:
        return record.implementation(NUMPY, *arrays, event_rank=arrays[0].ndim)
    if axis is None:
        return record.implementation(NUMPY, *arrays)
    return np.moveaxis(record.implementation(NUMPY, np.moveaxis(arrays[0], axis, -1)), -1, axis)
