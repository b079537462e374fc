"""What one fit has staged or compiled and another may use again.

Programs have the data folded in, so that they are kept by content: that of the generated code or of the whole plan, of
the data, of the guide and of whatever else says which function was recorded. New data are new content, of whatever
shape, and are staged anew; where data are arguments of a program, in blocks of rows and with JAX, they are not part of
its content. Nothing is looked up by identity but functions and classes, which an entry keeps alive.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import FunctionType
from typing import Any

import numpy as np

MOST_KEPT, MOST_BYTES = 64, 1 << 26
"""Sets of programs, the last used ones, and bytes of data in all of them."""
MOST_DATA = 1 << 24
"""Bytes of data above which nothing is kept: staging is nothing beside the work then."""

_CACHES = ("_loaded", "_last")
"""Fields of loops, systems and blocks that only spare work."""

_PLAIN = (str, bytes, int, float, bool, type(None))
"""Types of which a value is what it prints as."""

Programs = dict[Any, Any]


@dataclass(frozen=True)
class _Entry:
    """Programs with so many bytes of data folded in, and the functions that their content names by identity."""

    programs: Programs
    functions: list[Callable[..., Any]]
    size: int


_kept: OrderedDict[bytes, _Entry] = OrderedDict()


class _Unknown(Exception):
    """A value whose content cannot be told."""


def programs_for(backend: str, programs: Iterable[Any], data: Mapping[str, Any], *others: Any) -> Programs:
    """The programs kept for this content, to be added to; a fresh dictionary where there are none or may be none.

    The content is all that says which functions are staged, and what they give: generated `programs`, the data, and
    `others` besides.
    """
    size = sum(value.nbytes for value in data.values() if isinstance(value, np.ndarray))
    if size > MOST_DATA:
        return {}
    content = _content((backend, list(programs), dict(data), others))
    if content is None:
        return {}
    key = content.digest.digest()
    found = _kept.setdefault(key, _Entry({}, content.functions, size))
    _kept.move_to_end(key)
    while len(_kept) > MOST_KEPT or sum(entry.size for entry in _kept.values()) > MOST_BYTES:
        _kept.popitem(last=False)
    return found.programs


def part_of(programs: Programs, *others: Any) -> Programs:
    """Of the programs kept for some content those of this content besides."""
    content = _content(others)
    if content is None:
        return {}
    entry: _Entry = programs.setdefault(content.digest.digest(), _Entry({}, content.functions, 0))
    return entry.programs


def _content(value: Any) -> _Content | None:
    """None for what cannot be told."""
    content = _Content()
    try:
        content.add(value)
    except (_Unknown, RecursionError):
        return None
    return content


def forget() -> None:
    """Drop everything that is kept."""
    _kept.clear()


class _Content:
    """A digest of nested values; of functions by which object their code is, so that they are listed to be kept.

    Of a value that is met again only the place where it was met first counts: expressions share their parts.
    """

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=20)
        self.functions: list[Callable[..., Any]] = []
        self._seen: dict[int, tuple[int, Any]] = {}

    def add(self, value: Any) -> None:
        """Raises _Unknown."""
        if not isinstance(value, _PLAIN):
            if id(value) in self._seen:
                self._text(f"again {self._seen[id(value)][0]}")
                return
            self._seen[id(value)] = len(self._seen), value  # which holds it, so that no other gets its identity
        self.digest.update(type(value).__name__.encode())
        if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
            array = np.ascontiguousarray(value)
            self._text(f"{array.dtype.str}{array.shape}")
            self.digest.update(array.data if array.ndim else array.tobytes())
        elif isinstance(value, _PLAIN):
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
        elif getattr(value, "__dict__", None) == {}:  # without state: its class
            self.add(type(value))
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
