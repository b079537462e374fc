"""What can go wrong, as records and as exceptions.

    PPLError                  something a user can mend; carries one or more `Diagnostic` records
    ├── ModelError            the model itself: syntax, names, graph, shapes, unsupported inference
    ├── DataError             the data do not fit the model's declarations
    └── InferenceError        a fit could not be started, or a saved fit could not be read
    InternalError             a bug of ours, never the user's fault

Every phase collects all the diagnostics it can and raises once. `Diagnostic.render` is the only place
where a record becomes text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ppl.source import Span


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong (code `E…`) or worth a warning (code `W…`).

    `found` says what stands there, `expected` what should or how to mend it in passing; `fix` is the
    smallest rewrite, printed on a line of its own.
    """

    code: str
    span: Span | None
    found: str
    expected: str = ""
    fix: str = ""

    @property
    def message(self) -> str:
        return f"{self.found}; {self.expected}" if self.expected else self.found

    def render(self) -> str:
        if self.span is None:
            lines = [f"{self.code} {self.message}"]
            indent = ""
        else:
            lines = [f"{self.code} {self.span.location}", self.span.excerpt(self.message)]
            indent = " " * (len(str(self.span.line)) + 1)
        if self.fix:
            lines.append(f"{indent}= {self.fix}")
        return "\n".join(lines)


class PPLError(Exception):
    """Base of everything a user can mend. `diagnostics` holds the records, in source order."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=_source_order))
        super().__init__("\n".join(record.render() for record in self.diagnostics))

    @classmethod
    def of(cls, code: str, span: Span | None, found: str, expected: str = "", fix: str = "") -> Self:
        """An exception with a single record."""
        return cls([Diagnostic(code, span, found, expected, fix)])


class ModelError(PPLError):
    """The model is wrong: syntax, names, graph, shapes, or an inference it does not allow."""


class DataError(PPLError):
    """The data do not fit what the model declares."""


class InferenceError(PPLError):
    """A fit could not be started or a saved fit could not be read."""


class InternalError(Exception):
    """A bug in this package. The message says what to report."""

    def __init__(self, what: str) -> None:
        super().__init__(f"internal error, please report it with the model that shows it: {what}")


class UncertainFitWarning(UserWarning):
    """A fit was returned that should not be relied on without a look at its verdict."""


def _source_order(record: Diagnostic) -> tuple[str, int, str]:
    if record.span is None:
        return ("", -1, record.code)
    return (record.span.source.name, record.span.start, record.code)
