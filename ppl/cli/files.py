"""Models and files named in a command."""

from __future__ import annotations

import os
import pathlib
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ppl.program import Program


class Problem(Exception):
    """Something about the files named in a command; the message is all a user needs."""


def read_text(path: pathlib.Path) -> str:
    """The text of a file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Problem(f"{path}: not text in UTF-8 (byte {error.start})") from None


def read_model(spec: str) -> Program:
    """The model in a `.ppl` file or in a Python file, there after a colon its name where there are several."""
    from ppl.program import parse

    path, name = _split_model(spec)
    return _model_in_python(path, name) if path.suffix == ".py" else parse(read_text(path), str(path))


def _split_model(spec: str) -> tuple[pathlib.Path, str]:
    """`file.py:name` to its parts; the name is empty where it is not given."""
    head, separator, name = spec.rpartition(".py:")
    return (pathlib.Path(f"{head}.py"), name) if separator else (pathlib.Path(spec), "")


def _model_in_python(path: pathlib.Path, name: str) -> Program:
    """The one model that a Python file defines, or the one of that name."""
    import importlib.util

    from ppl.program import Program

    read_text(path)
    spec = importlib.util.spec_from_file_location(path.stem, path.absolute())
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.absolute().parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise Problem(f"{error.filename}:{error.lineno}: {error.msg}") from None
    found = {key: value for key, value in vars(module).items() if isinstance(value, Program)}
    if name in found:
        return found[name]
    if len(found) == 1 and not name:
        return next(iter(found.values()))
    known = f"it has {', '.join(found)}" if found else "it has no function decorated with @ppl.model"
    raise Problem(f"{path}: no model `{name}`; {known}" if name else f"{path}: which model? {known}")


def check_folder(path: pathlib.Path | None) -> None:
    """Say before the work that its result could not be written."""
    if path is None:
        return
    folder = path.absolute().parent
    if not folder.is_dir():
        raise Problem(f"{path}: there is no folder {folder}")
    if path.is_dir():
        raise Problem(f"{path}: is a folder")
    special = path.exists() and not path.is_file()  # such as a pipe: written to directly
    if not special and not os.access(folder, os.W_OK):
        raise Problem(f"{path}: no permission to write in {folder}")


def line_in(error: Exception, model: str) -> str:
    """`file:line` where an exception was raised by the statements of the user's own Python file; empty otherwise."""
    path, _ = _split_model(model)
    frames = traceback.extract_tb(error.__traceback__)
    if path.suffix != ".py" or not frames or pathlib.Path(frames[-1].filename).absolute() != path.absolute():
        return ""
    return f"{path}:{frames[-1].lineno}"
