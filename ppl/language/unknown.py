"""`Unknown`: raised where a name is read whose definition has been answered already."""

from __future__ import annotations

from ppl.source import Span


class Unknown(Exception):
    """A name without a value, at `span`: its own definition failed, or it is an outcome that is not in the data.

    What reads it is skipped without a message of its own.
    """

    def __init__(self, name: str, span: Span) -> None:
        super().__init__(name)
        self.name = name
        self.span = span
