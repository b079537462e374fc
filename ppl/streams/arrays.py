"""Sources of arrays: in memory, in `.npy` files, and batches copied to temporary files."""

from __future__ import annotations

import math
import pathlib
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.errors import DataError
from ppl.streams.column import even_edges


@dataclass(frozen=True)
class FileArray:
    """An array in C order in a file. It is read, not mapped, so that its pages do not count as memory in use."""

    path: pathlib.Path
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def of_npy(cls, path: pathlib.Path) -> FileArray:
        """Raises DataError for what is no array of numbers by rows."""
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise DataError.of("E522", None, f"{path} is not in NumPy's format: {error}") from None
        if not isinstance(array, np.memmap) or not array.ndim or array.dtype.kind not in "biuf":
            raise DataError.of("E522", None, f"{path} holds no array of numbers with rows")
        if not array.flags.c_contiguous:
            raise DataError.of("E522", None, f"{path} is stored by columns", "save it in C order: np.ascontiguousarray")
        return cls(path, array.offset, array.dtype, array.shape)

    def __getitem__(self, rows: slice) -> np.ndarray:
        width = math.prod(self.shape[1:])
        count = (rows.stop - rows.start) * width
        start = self.offset + rows.start * width * self.dtype.itemsize
        found = np.fromfile(self.path, self.dtype, count, offset=start)
        if len(found) != count:
            raise DataError.of("E522", None, f"{self.path} has become shorter while it was read")
        return found.reshape(-1, *self.shape[1:])


class ArraySource:
    """Arrays with equally many rows. `words` says of columns that were left out where they hold what is no number."""

    words: Mapping[str, str] = {}

    def __init__(self, arrays: Mapping[str, FileArray | np.ndarray], description: str = "", keep: Any = None) -> None:
        lengths = {name: array.shape[0] for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            found = ", ".join(f"{name} {length}" for name, length in lengths.items()) or "none"
            raise DataError.of("E522", None, f"the columns differ in their numbers of rows: {found}")
        self._arrays, self._keep = arrays, keep
        self.names = list(arrays)
        self.rows = next(iter(lengths.values()))
        files = [str(array.path) for array in arrays.values() if isinstance(array, FileArray)]
        named = ", ".join(files) if len(files) == len(arrays) else "arrays " + ", ".join(arrays)
        self.description = description or named
        if not self.rows:
            raise DataError.of("E522", None, f"there are no rows in {self.description}")
        widest = max(math.prod(a.shape[1:]) * a.dtype.itemsize for a in arrays.values())
        self.edges = even_edges(self.rows, widest)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._arrays[name].shape[1:]

    def dtype(self, name: str) -> np.dtype[Any]:
        return self._arrays[name].dtype

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._arrays[name][start:stop]


def spooled(batches: Iterable[Any], description: str) -> ArraySource:
    """Batches copied to temporary files, which last as long as the source. Raises DataError for batches that differ."""
    folder = tempfile.TemporaryDirectory(prefix="ppl-")
    root = pathlib.Path(folder.name)
    kinds: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    rows = 0
    with ExitStack() as open_files:
        files: dict[str, Any] = {}
        for number, batch in enumerate(batches):
            arrays = _checked(batch, number, kinds)
            if not kinds:
                kinds = {name: (_wide(array.dtype), array.shape[1:]) for name, array in arrays.items()}
                files = {n: open_files.enter_context(open(root / str(k), "wb")) for k, n in enumerate(kinds)}
            for name, array in arrays.items():
                files[name].write(np.ascontiguousarray(array, kinds[name][0]).data)
            rows += len(next(iter(arrays.values())))
    if not rows:
        raise DataError.of("E522", None, f"there are no rows in {description}")
    found = {n: FileArray(root / str(k), 0, t, (rows, *shape)) for k, (n, (t, shape)) in enumerate(kinds.items())}
    return ArraySource(found, description, folder)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Whole numbers may be larger in a later batch."""
    return np.dtype(np.int64) if dtype.kind in "iu" else dtype


def _checked(batch: Any, number: int, kinds: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(batch, Mapping) or not batch:
        found = f"batch {number} is of type {type(batch).__name__}"
        raise DataError.of("E522", None, found, 'expected a mapping from names to arrays: {"X": …, "y": …}')
    arrays = {str(name): np.asarray(value) for name, value in batch.items()}
    shapes = {name: array.shape[1:] for name, array in arrays.items()}
    alike = not kinds or shapes == {name: shape for name, (_, shape) in kinds.items()}
    whole = all(kinds[n][0].kind not in "ib" or a.dtype.kind in "iub" for n, a in arrays.items() if n in kinds)
    numbers = all(array.ndim and array.dtype.kind in "biuf" for array in arrays.values())
    if not (alike and whole and numbers) or len({len(array) for array in arrays.values()}) != 1:
        shown = ", ".join(f"{name} {array.dtype}{array.shape}" for name, array in arrays.items())
        expected = "each has the same names, with arrays of numbers and equally many rows"
        raise DataError.of("E522", None, f"batch {number} is {shown}", expected)
    return arrays
