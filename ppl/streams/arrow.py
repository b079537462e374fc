"""Sources read with pyarrow: Parquet by row groups, CSV copied once to temporary files."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from ppl.errors import DataError
from ppl.streams.arrays import ArraySource, spooled


class ParquetSource:
    """A Parquet file. Its row groups are read whole, column by column; the last one of each column is kept."""

    words: Mapping[str, str] = {}

    def __init__(self, path: pathlib.Path) -> None:
        try:
            self._file = pyarrow.parquet.ParquetFile(path, memory_map=False)
        except pa.ArrowInvalid as error:
            raise DataError.of("E522", None, f"{path} is not a Parquet file: {error}") from None
        groups = self._file.metadata.num_row_groups
        sizes = [self._file.metadata.row_group(group).num_rows for group in range(groups)]
        self.description, self.rows = str(path), sum(sizes)
        if not self.rows:
            raise DataError.of("E522", None, f"there are no rows in {path}")
        self.edges = np.cumsum([0, *sizes])
        schema = self._file.schema_arrow
        self._kinds = {field.name: kind for field in schema if (kind := _kind(field.type)) is not None}
        self._groups: dict[str, tuple[int, np.ndarray]] = {}
        self.names = list(self._kinds)

    def shape(self, name: str) -> tuple[int, ...]:
        return () if self._kinds[name][1] is None else self._group(name, 0).shape[1:]

    def dtype(self, name: str) -> np.dtype[Any]:
        return self._kinds[name][0]

    def read(self, name: str, start: int, stop: int) -> np.ndarray:
        first, last = np.searchsorted(self.edges, [start, stop - 1], side="right") - 1
        parts = []
        for group in range(int(first), int(last) + 1):
            begin = int(self.edges[group])
            parts.append(self._group(name, group)[max(0, start - begin) : stop - begin])
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _group(self, name: str, group: int) -> np.ndarray:
        if name not in self._groups or self._groups[name][0] != group:
            table = self._file.read_row_group(group, columns=[name])
            self._groups[name] = group, _numbers(name, table.column(name), self.description)
        return self._groups[name][1]


def spooled_csv(path: pathlib.Path) -> ArraySource:
    """A CSV file with names in its first line; columns that are no numbers are left out."""

    words: dict[str, str] = {}

    def batches() -> Iterator[dict[str, np.ndarray]]:
        try:
            for number, batch in enumerate(pyarrow.csv.open_csv(path)):
                if not number:
                    words.update(_words(batch))
                names = [field.name for field in batch.schema if _kind(field.type) is not None]
                yield {name: _numbers(name, batch.column(name), str(path)) for name in names}
        except pa.ArrowInvalid as error:
            raise DataError.of("E522", None, f"{path} cannot be read: {error}") from None

    source = spooled(batches(), str(path))
    source.words = words
    return source


def _words(batch: pa.RecordBatch) -> dict[str, str]:
    """Of columns of text that begin with a number: the first row that is none."""
    found = {}
    for field in batch.schema:
        if pa.types.is_string(field.type):
            numbers = map(_is_number, batch.column(field.name).to_pylist())
            row = next((row for row, number in enumerate(numbers) if not number), 0)
            if row:
                found[field.name] = f"row {row} is {batch.column(field.name)[row].as_py()!r}"
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kind(kind: pa.DataType) -> tuple[np.dtype[Any], int | None] | None:
    """The numbers of a column and, where rows are lists of them, that they are; None where there are no numbers."""
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _kind(kind.value_type)
        return None if inner is None or inner[1] is not None else (inner[0], 1)
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return np.dtype(kind.to_pandas_dtype()), None
    return None


def _numbers(name: str, column: Any, where: str) -> np.ndarray:
    """A column as an array; a null is NaN."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if not isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return np.asarray(array.to_numpy(zero_copy_only=False), float if array.null_count else None)
    flat = array.flatten()
    width, rest = divmod(len(flat), max(1, len(array)))
    if rest or array.null_count or pyarrow.compute.count_distinct(pyarrow.compute.list_value_length(array)).as_py() > 1:
        raise DataError.of(
            "E522", None, f"the lists in `{name}` of {where} differ in length", "each row has as many numbers"
        )
    return np.asarray(flat.to_numpy(zero_copy_only=False), float if flat.null_count else None).reshape(-1, width)
