"""The data named in a command: JSON objects, and files of rows."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ppl.cli.files import Problem

if TYPE_CHECKING:
    from ppl.streams import Column

TABLES = (".parquet", ".pq", ".csv")
ARRAY = ".npy"


def read_data(arguments: argparse.Namespace) -> dict[str, Any]:
    """The data in all files after `--data`, each name in one of them."""
    tables = [spec for spec in arguments.data if spec.endswith(TABLES)]
    columns = _columns(arguments.column)
    if columns and len(tables) != 1:
        raise Problem(f"--column names columns of one Parquet or CSV file, and there are {len(tables)}")
    if arguments.stream and all(spec.endswith(".json") for spec in arguments.data):
        raise Problem("--stream reads Parquet, CSV and .npy files row by row, and there is none")
    found: dict[str, Any] = {}
    where: dict[str, str] = {}
    for spec in arguments.data:
        read = _read(spec, columns, arguments.stream)
        for name in sorted(read.keys() & where.keys()):
            raise Problem(f"`{name}` is in {where[name]} and in {spec}")
        found |= read
        where |= dict.fromkeys(read, spec)
    return found


def _read(spec: str, columns: Mapping[str, str | list[str]] | None, stream: bool) -> Mapping[str, Any]:
    if spec.endswith(TABLES):
        return _rows(pathlib.Path(spec), columns, stream)
    if spec.endswith(ARRAY):
        name, separator, path = spec.partition("=")
        named = separator and name.isidentifier()
        return _rows({name: path} if named else pathlib.Path(spec), None, stream)
    from ppl.posterior import read_json_data

    return read_json_data(pathlib.Path(spec))


def _rows(source: Any, columns: Mapping[str, str | list[str]] | None, stream: bool) -> Mapping[str, Any]:
    """Columns to be read row by row, or arrays of all their rows."""
    from ppl.streams import open_data

    table: Mapping[str, Column] = open_data(source, columns)
    return dict(table) if stream else {name: column.load() for name, column in table.items()}


def _columns(specs: list[str] | None) -> dict[str, str | list[str]] | None:
    """`X=x1,x2` and `y=label` as `open_data` takes them: those with a comma stand side by side."""
    found: dict[str, str | list[str]] = {}
    for spec in specs or []:
        name, separator, parts = spec.partition("=")
        listed = [part for part in parts.split(",") if part]
        if not (separator and name and listed):
            raise Problem(f"--column {spec}: expected NAME=COLUMN or NAME=COLUMN,COLUMN,…")
        found[name] = listed if "," in parts else parts
    return found or None
