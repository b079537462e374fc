"""Files: data read from JSON, results written so that nobody ever sees half of a file."""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from ppl.errors import DataError


def read_json_data(path: pathlib.Path) -> dict[str, Any]:
    """The data in a JSON file: an object with names and numbers or (nested) lists; null is NaN, a missing value.

    Raises DataError where the file is not that, OSError where there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise DataError.of("E521", None, f"{path} is not text in UTF-8 (byte {error.start})", "expected JSON") from None
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise DataError.of("E521", None, f"{where} is not JSON: {error.msg[0].lower()}{error.msg[1:]}") from None
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"the value {content!r}"
        example = '{"N": 3, "y": [1.2, 0.4, null]}'
        raise DataError.of("E521", None, f"{path} holds {kind}", f"expected an object with the data's names: {example}")
    return {name: _without_null(value) for name, value in content.items()}


def _without_null(value: Any) -> Any:
    if value is None:
        return math.nan
    return [_without_null(each) for each in value] if isinstance(value, list) else value


def write_json(path: pathlib.Path, content: dict[str, dict[str, float]]) -> None:
    """Numbers by name, in strict JSON: what is not finite is null. Raises OSError."""
    finite = {
        name: {key: number if math.isfinite(number) else None for key, number in numbers.items()}
        for name, numbers in content.items()
    }
    with replacing(path) as file:
        file.write((json.dumps(finite, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())


@contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A binary file to write that becomes `path` when the block ends well; otherwise `path` stays as it was.

    What is not a regular file (a pipe, a terminal) is written directly. Raises OSError.
    """
    target = pathlib.Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        with open(target, "wb") as file:
            yield file
        return
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
