"""Data at the Python door: concrete NumPy arrays that remember the argument they are until they meet a symbol."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from ppl.embedding.indexing import take
from ppl.embedding.numpy_table import call_numpy
from ppl.embedding.operand import Operand, as_operand
from ppl.embedding.spans import caller_span
from ppl.embedding.state import CURRENT
from ppl.embedding.symbol import Symbol, wrap
from ppl.errors import DataError, ModelError
from ppl.model import construct
from ppl.model.expressions import Expr
from ppl.source import Span


class DataArray(np.ndarray):
    """An array given as data.

    NumPy works on it natively. `name` is the argument it is, None for anything computed from one. A symbol in an
    index or in arithmetic turns it into an expression. `inserted` are dimensions that an index with `None` put in
    front of a meeting with a symbol; see `Operand`.
    """

    name: str | None
    inserted: tuple[int, ...]

    def __array_finalize__(self, source: Any) -> None:
        self.name = None
        self.inserted = ()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if any(isinstance(value, Symbol) for value in inputs):
            return NotImplemented
        outputs = keywords.get("out", ())
        for output in outputs:
            if isinstance(output, DataArray) and output.name is not None:
                output._refuse_change()
        if outputs:
            keywords["out"] = tuple(_plain(output) for output in outputs)
        result = getattr(ufunc, method)(*(_plain(value) for value in inputs), **keywords)
        if len(outputs) == 1 and result is keywords["out"][0]:
            return outputs[0]
        return tuple(map(computed, result)) if isinstance(result, tuple) else computed(result)

    def __array_function__(self, function: Any, types: Any, arguments: Any, keywords: Any) -> Any:
        if any(issubclass(kind, Symbol) for kind in types):
            return NotImplemented
        if any(isinstance(argument, Symbol) for argument in (*arguments, *keywords.values())):
            return wrap(call_numpy(function, arguments, keywords))
        return computed(super().__array_function__(function, types, arguments, keywords))

    def __getitem__(self, key: Any) -> Any:
        if _has_symbol(key):
            span = caller_span()
            return Symbol(take(as_operand(self, span), key, span))
        part = super().__getitem__(key)
        keys = key if isinstance(key, tuple) else (key,)
        if isinstance(part, DataArray) and not self.inserted and _only_inserts(keys):
            part.name = self.name
            part.inserted = tuple(i for i, item in enumerate(_spelled_out(keys, self.ndim)) if item is None)
        return part

    def __setitem__(self, key: Any, value: Any) -> None:
        if self.name is not None:
            self._refuse_change()
        super().__setitem__(key, value)

    def _refuse_change(self) -> NoReturn:
        raise ModelError.of(
            "E312", caller_span(), f"data `{self.name}` cannot be changed in place", "work on a copy: "
            f"{self.name} = {self.name}.copy()",
        )  # fmt: skip


def array(value: Any) -> DataArray:
    """An array of numbers that a symbol may index, as data may be: `array([1.0, 2.0])[k]`."""
    return np.array(value).view(DataArray)


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, DataArray) else value


def computed(value: Any) -> Any:
    """Arrays computed from data can be indexed by symbols too."""
    return value.view(DataArray) if type(value) is np.ndarray and value.ndim else value


def _has_symbol(key: Any) -> bool:
    return isinstance(key, Symbol) or (isinstance(key, tuple) and any(isinstance(part, Symbol) for part in key))


def _only_inserts(keys: tuple[Any, ...]) -> bool:
    return all(part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in keys)


def _spelled_out(keys: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    used = sum(isinstance(part, slice) for part in keys)
    place = next((i for i, part in enumerate(keys) if part is Ellipsis), None)
    return keys if place is None else (*keys[:place], *(slice(None),) * (rank - used), *keys[place + 1 :])


@as_operand.register
def _data(value: DataArray, span: Span | None) -> Operand:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ModelError.of("E313", span, f"`{value.name or 'an array'}` holds {array.dtype}, not numbers")
    base = array.squeeze(value.inserted) if value.inserted else array
    if value.name is None:
        return Operand(construct.constant(base, span), value.inserted)
    return Operand(_node(value.name, base, span), value.inserted)


def _node(name: str, array: np.ndarray, span: Span | None) -> Expr:
    """One node for each data name of a model."""
    state = CURRENT.get()
    if state is None:
        return construct.data(name, array, span)
    if name not in state.data:
        state.data[name] = construct.data(name, array)
    return state.data[name]


def as_data(name: str, value: Any) -> Any:
    """A data entry as a function receives it.

    Arrays, lists and other sequences of numbers become a read-only `DataArray` of float64, int64 or bool; masked
    elements, and None in a list, become NaN. Scalars become Python's; texts, dictionaries and the like stay.
    """
    if value is None or isinstance(value, str | bytes | dict) or callable(value):
        return value
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value) and value.dtype.kind in "biuf":
        value = np.ma.filled(value.astype(float), np.nan)
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and array.ndim:
            array = array.astype(float)
    except (TypeError, ValueError):
        return value
    if array.dtype.kind == "c":
        raise DataError.of("E513", None, f"`{name}` holds complex numbers", "real numbers are expected")
    if array.dtype.kind not in "biuf":
        return value
    if not array.ndim:
        return array.item()
    wide = {"b": np.bool_, "f": np.float64}.get(array.dtype.kind, np.int64)
    result = array.astype(wide).view(DataArray)
    result.flags.writeable = False
    result.name = name
    return result


class Absent:
    """An outcome that the data leave out: its site is then drawn. Anything else made of it raises DataError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, key: Any) -> Absent:
        return self

    def _missing(self, *arguments: Any, **keywords: Any) -> NoReturn:
        raise DataError.of("E511", caller_span(), f"`{self.name}` is not in the data, and more than an outcome")

    __array_ufunc__ = __array_function__ = __array__ = _missing
    __len__ = __iter__ = __bool__ = __float__ = __int__ = __index__ = _missing
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _missing
    __pow__ = __rpow__ = __mod__ = __matmul__ = __rmatmul__ = __neg__ = __abs__ = _missing
    __lt__ = __le__ = __gt__ = __ge__ = _missing


@as_operand.register
def _absent(value: Absent, span: Span | None) -> NoReturn:
    raise DataError.of("E511", span, f"`{value.name}` is not in the data, and more than an outcome")
