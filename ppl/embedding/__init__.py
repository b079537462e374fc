"""Door 2: models as decorated Python functions over NumPy."""

from ppl.embedding.combinators import censored, hurdle, mixture, ordered, truncated, zero_inflated, zero_sum
from ppl.embedding.constructors import constructor, constructor_names, function
from ppl.embedding.data import DataArray, array
from ppl.embedding.primitives import amortized, deterministic, factor, net, note, param, plate, predict, sample, scope
from ppl.embedding.scanning import scan
from ppl.embedding.symbol import Symbol
from ppl.embedding.tracing import definition_span, trace

__all__ = [
    "DataArray",
    "Symbol",
    "amortized",
    "array",
    "censored",
    "constructor",
    "constructor_names",
    "definition_span",
    "deterministic",
    "factor",
    "function",
    "hurdle",
    "mixture",
    "net",
    "note",
    "ordered",
    "param",
    "plate",
    "predict",
    "sample",
    "scan",
    "scope",
    "trace",
    "truncated",
    "zero_inflated",
    "zero_sum",
]
