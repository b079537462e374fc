"""Files: data read from JSON, results written so that nobody ever sees half of a file."""

from __future__ import annotations

import json
import math
import pathlib
from typing import Any

from ppl.errors import DataError
from ppl.streams.writing import replacing


def read_json_data(path: pathlib.Path) -> dict[str, Any]:
    """The data in a JSON file: an object with names and numbers or (nested) lists; null is NaN, a missing value.

    Raises DataError where the file is not that, OSError where there is none.
    """
    content = _parsed(path)
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"the value {content!r}"
        example = '{"N": 3, "y": [1.2, 0.4, null]}'
        raise DataError.of("E521", None, f"{path} holds {kind}", f"expected an object with the data's names: {example}")
    return content


class _Repeated(Exception):
    """A name that stands twice in one JSON object."""


def _parsed(path: pathlib.Path) -> Any:
    """What a JSON file holds, NaN for null."""
    text = _decoded(path)
    if not text.strip():
        raise DataError.of("E521", None, f"{path} is empty", "expected a JSON object; without any data that is {}")
    try:
        return _without_null(json.loads(text, object_pairs_hook=_object))
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}:{error.colno}"
        raise DataError.of("E521", None, f"{where} is not JSON: {error.msg[0].lower()}{error.msg[1:]}") from None
    except _Repeated as error:
        found = f"{path} has the name `{error}` twice in one object"
        raise DataError.of("E521", None, found, "remove one, or rename it") from None
    except RecursionError:
        raise DataError.of("E521", None, f"{path} is nested too deeply", "expected numbers and lists of them") from None
    except ValueError as error:  # whole numbers of thousands of digits
        raise DataError.of("E521", None, f"{path} has a number that cannot be read: {error}") from None


def _decoded(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError.of("E521", None, f"{path} is not text in UTF-8 (byte {error.start})", "expected JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Repeated(name)
        found[name] = value
    return found


def _without_null(value: Any) -> Any:
    """`value` with NaN for each None in lists and objects."""
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_without_null(each) for each in value]
    return math.nan if value is None else value


def write_json(path: pathlib.Path, content: dict[str, dict[str, float]]) -> None:
    """Numbers by name, in strict JSON: what is not finite is null. Raises OSError."""
    finite = {
        name: {key: number if math.isfinite(number) else None for key, number in numbers.items()}
        for name, numbers in content.items()
    }
    with replacing(path) as file:
        file.write((json.dumps(finite, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode())
