"""What one fit has staged or compiled and another may use again.

Programs have the data folded in, so that they are kept by content: that of the generated code and its constants, of the
data, of the guide's layout. New data are new content, of whatever shape, and are staged anew. Nothing is looked up by
identity but functions, which an entry keeps alive.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from types import FunctionType
from typing import Any

import numpy as np

from ppl.compiler.programs.arrays import ArrayProgram

MOST_KEPT = 8
"""Sets of programs, the last used ones."""
MOST_DATA = 1 << 24
"""Bytes of data above which nothing is kept: staging is nothing beside the work then."""

_CACHES = ("_loaded", "_last")
"""Fields of loops, systems and blocks that only spare work."""

Programs = dict[Any, Any]
_kept: OrderedDict[bytes, tuple[Programs, list[Callable[..., Any]]]] = OrderedDict()


class _Unknown(Exception):
    """A value whose content cannot be told."""


def programs_for(backend: str, programs: Iterable[ArrayProgram], data: Mapping[str, Any], *others: Any) -> Programs:
    """The programs kept for this content, to be added to; a fresh dictionary where there are none or may be none."""
    if sum(np.asarray(value).nbytes for value in data.values()) > MOST_DATA:
        return {}
    content = _Content()
    try:
        content.add((backend, list(programs), dict(data), others))
    except (_Unknown, RecursionError):
        return {}
    key = content.digest.digest()
    found, _ = _kept.setdefault(key, ({}, content.functions))
    _kept.move_to_end(key)
    while len(_kept) > MOST_KEPT:
        _kept.popitem(last=False)
    return found


def forget() -> None:
    """Drop everything that is kept."""
    _kept.clear()


class _Content:
    """A digest of nested values; of functions by which object their code is, so that they are listed to be kept."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=20)
        self.functions: list[Callable[..., Any]] = []

    def add(self, value: Any) -> None:
        """Raises _Unknown."""
        self.digest.update(type(value).__name__.encode())
        if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
            array = np.ascontiguousarray(value)
            self._text(f"{array.dtype.str}{array.shape}")
            self.digest.update(array.data if array.ndim else array.tobytes())
        elif isinstance(value, str | bytes | int | float | bool | type(None)):
            self._text(repr(value))
        elif isinstance(value, Mapping):
            self._all([part for item in value.items() for part in item])
        elif isinstance(value, list | tuple | frozenset):
            self._all(sorted(value, key=repr) if isinstance(value, frozenset) else value)
        elif is_dataclass(value) and not isinstance(value, type):
            self._all([getattr(value, field.name) for field in fields(value) if field.name not in _CACHES])
        elif isinstance(value, FunctionType):
            self._function(value)
        elif callable(value):
            self.functions.append(value)
            self._text(str(id(value)))
        else:
            raise _Unknown(type(value).__name__)

    def _function(self, function: FunctionType) -> None:
        """By its code, which functions made by one statement share, and what it closes over."""
        self.functions.append(function)
        self._text(str(id(function.__code__)))
        self.add((function.__defaults__, function.__kwdefaults__))
        try:
            self._all([cell.cell_contents for cell in function.__closure__ or ()])
        except ValueError as error:  # a cell that is not filled yet
            raise _Unknown(function.__name__) from error

    def _all(self, values: Any) -> None:
        self._text(str(len(values)))
        for value in values:
            self.add(value)

    def _text(self, text: str) -> None:
        self.digest.update(f"{len(text)}:{text}".encode())
