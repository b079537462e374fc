"""Data that are read row by row at the Python door: something with a shape that symbols of plates index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ppl.embedding.indexing import take
from ppl.embedding.operand import Operand, as_operand
from ppl.embedding.spans import caller_span
from ppl.embedding.symbol import Symbol
from ppl.errors import DataError
from ppl.model import construct
from ppl.source import Span
from ppl.streams import Column


@dataclass(frozen=True, eq=False)
class StreamedData:
    """A column as a decorated function receives it: `x[n]` with the index of a plate, `len(x)`, `x.shape`."""

    column: Column

    @property
    def shape(self) -> tuple[int, ...]:
        return self.column.shape

    @property
    def ndim(self) -> int:
        return self.column.ndim

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, key: Any) -> Symbol:
        span = caller_span()
        return Symbol(take(as_operand(self, span), key, span))

    def _whole(self, *arguments: Any, **keywords: Any) -> NoReturn:
        np.asarray(self.column)
        raise AssertionError

    __array__ = __array_ufunc__ = __array_function__ = __iter__ = __bool__ = __float__ = __int__ = _whole


@as_operand.register
def _streamed(value: StreamedData, span: Span | None) -> Operand:
    return Operand(construct.streamed(value.column.name, value.column, span), ())


def streamed_data(name: str, column: Column) -> StreamedData:
    """A column under the name of its argument; whole numbers stay whole. Raises DataError for missing values."""
    facts = column.facts
    for place, what in ((facts.missing, "NaN"), (facts.infinite, "infinite")):
        if place is not None:
            raise DataError.of("E501", None, f"{name}: row {place} is {what}", "drop such rows")
    whole = column.source.dtype(column.key).kind in "biu"
    return StreamedData(column.called(name).counted(0) if whole else column.called(name))
