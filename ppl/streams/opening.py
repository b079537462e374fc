"""`open_data`: files and other data that need not fit into memory, as columns by name."""

from __future__ import annotations

import mmap
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ppl.errors import DataError
from ppl.source import nearest
from ppl.streams.arrays import ArraySource, FileArray, spooled
from ppl.streams.column import Column, Source

NAMES = Mapping[str, str | Sequence[str]]
ARROW = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}


class Table(Mapping[str, Column]):
    """Columns by name, for `model.fit(table)` or `model.fit({**table, "K": 3})`.

    To ask for one of the `words`, which were left out since they are not all numbers, raises DataError.
    """

    def __init__(self, columns: Mapping[str, Column], words: Mapping[str, str]) -> None:
        self._columns, self._words = dict(columns), words

    def __getitem__(self, name: str) -> Column:
        if name in self._words and name not in self._columns:
            raise _of_words(name, self._words[name])
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name} {column.shape}" for name, column in self.items())
        return f"<data read row by row: {shown}>"


def open_data(source: Any, columns: NAMES | Sequence[str] | None = None) -> Table:
    """Columns whose rows a fit reads when it needs them: once where statistics stand for them, else by `@minibatch`.

    `source` is the path of a Parquet or CSV file (with the extra `arrow`) or of an `.npy` file; a mapping from names to
    `.npy` paths, memory maps or arrays; or an iterable of batches, mappings from names to arrays with the rows in front
    (or a function that returns one). CSV files and batches are copied once to temporary files, since their rows cannot
    be found otherwise. `columns` picks columns, or says what they are to be called: `{"X": ["x1", "x2"], "y": "label"}`
    has those of a list side by side. Raises DataError.
    """
    found = _source(source)
    names: Iterable[tuple[str, str | Sequence[str]]]
    if columns is None:
        names = [(name, name) for name in found.names]
    elif isinstance(columns, Mapping):
        names = columns.items()
    else:
        names = [(name, name) for name in columns]
    words = found.words if columns is None else {}
    return Table({name: Column(_picked(found, name, what), name, name) for name, what in names}, words)


def _source(source: Any) -> Any:
    if isinstance(source, str | pathlib.Path):
        return _file(pathlib.Path(source))
    if isinstance(source, Mapping):
        return ArraySource({name: _array(name, value) for name, value in source.items()})
    batches = source() if callable(source) else source
    if not isinstance(batches, Iterable):
        found = f"data of type {type(source).__name__} cannot be read row by row"
        raise DataError.of("E522", None, found, "expected a path, a mapping from names to arrays, or batches of rows")
    return spooled(batches, "batches")


def _file(path: pathlib.Path) -> Any:
    if not path.exists():
        raise FileNotFoundError(2, "there is no such file", str(path))
    if path.suffix == ".npy":
        return ArraySource({path.stem: FileArray.of_npy(path)})
    kind = ARROW.get(path.suffix.lower())
    if kind is None:
        known = ", ".join([".npy", *ARROW])
        raise DataError.of("E522", None, f"{path} is of no kind that can be read row by row", f"there are {known}")
    try:
        from ppl.streams import arrow
    except ImportError:
        found = f"reading {path} needs pyarrow"
        raise DataError.of("E522", None, found, "install it: pip install 'ppl[arrow]'") from None
    readers: dict[str, Callable[[pathlib.Path], Any]] = {"parquet": arrow.ParquetSource, "csv": arrow.spooled_csv}
    return readers[kind](path)


def _of_words(name: str, said: str) -> DataError:
    return DataError.of("E522", None, f"`{name}` is no column of numbers: {said}", "drop the row, or write a number")


def _array(name: str, value: Any) -> FileArray | np.ndarray:
    if isinstance(value, str | pathlib.Path):
        return FileArray.of_npy(pathlib.Path(value))
    if isinstance(value, np.memmap) and isinstance(value.base, mmap.mmap) and value.flags.c_contiguous:
        return FileArray(pathlib.Path(str(value.filename)), value.offset, value.dtype, value.shape)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.ndim:
        raise DataError.of("E522", None, f"`{name}` is no array of numbers with rows")
    return array


def _picked(source: Any, name: str, what: str | Sequence[str]) -> Source:
    """The source with `name` as the name of a column of its own, or of several side by side."""
    parts = [what] if isinstance(what, str) else list(what)
    for part in parts:
        if part in source.words:
            raise _of_words(part, source.words[part])
        if part not in source.names:
            near = nearest(part, source.names)
            expected = f"did you mean `{near}`?" if near else f"there are {', '.join(source.names)}"
            raise DataError.of("E522", None, f"no column `{part}` in {source.description}", expected)
        if not isinstance(what, str) and source.shape(part):
            raise DataError.of("E522", None, f"`{part}` holds arrays, which cannot stand side by side in `{name}`")
    return source if parts == [name] and isinstance(what, str) else Picked(source, parts, isinstance(what, str))


class Picked:
    """One column of a source under another name, or several as the elements of one vector for each row."""

    def __init__(self, source: Any, parts: Sequence[str], single: bool) -> None:
        self._source, self._parts, self._single = source, parts, single
        self.description, self.rows, self.edges = source.description, source.rows, source.edges

    def shape(self, name: str) -> tuple[int, ...]:
        return self._source.shape(self._parts[0]) if self._single else (len(self._parts),)

    def dtype(self, name: str) -> np.dtype[Any]:
        return np.result_type(*(self._source.dtype(part) for part in self._parts))

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        found = [self._source.read(part, start, stop) for part in self._parts]
        return found[0] if self._single else np.stack(found, axis=1)
