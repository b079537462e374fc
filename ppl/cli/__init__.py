"""The command line: `ppl check`, `explain`, `fit`, `calibrate`, `predict`, `graph`, `fmt` and `list`.

Exit codes: 0 done; 1 the model, the data or a file is wrong, or a calibration found something; 2 the command is wrong;
3 a bug of ours; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence

from ppl.cli.arguments import parser
from ppl.cli.files import Problem, line_in
from ppl.errors import InternalError, PPLError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except PPLError as error:
        print(error, file=sys.stderr)
        return 1
    except (Problem, InternalError, KeyboardInterrupt, OSError, MemoryError) as error:
        return _complain(error)
    except Exception as error:
        return _unexpected(error, vars(arguments).get("model") or "")


def _complain(error: BaseException) -> int:
    if isinstance(error, BrokenPipeError):
        # nobody reads any more: keep the interpreter from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, KeyboardInterrupt):
        message, code = "interrupted", 130
    elif isinstance(error, OSError):
        message, code = f"{error.filename or 'input or output'}: {error.strerror or error}", 1
    elif isinstance(error, MemoryError):
        message, code = f"out of memory: {error or 'the data are too large for this machine'}", 1
    else:
        message, code = str(error), 3 if isinstance(error, InternalError) else 1
    print(f"ppl: {message}", file=sys.stderr)
    return code


def _unexpected(error: Exception, model: str) -> int:
    """An exception that is not ours: raised by the statements of the user's Python file, or else a bug."""
    where = line_in(error, model)
    if where:
        return _complain(Problem(f"{where}: {type(error).__name__}: {error}"))
    traceback.print_exception(error)
    return _complain(InternalError(f"{type(error).__name__}: {error}"))
