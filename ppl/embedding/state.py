"""The model that is being traced: the one piece of context, in a context variable."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.model import Builder
from ppl.model.expressions import Data
from ppl.source import Span


@dataclass
class Tracing:
    """The builder of a model, the plates that are open, and the data that have entered expressions."""

    builder: Builder
    plates: list[Axis] = field(default_factory=list)
    data: dict[str, Data] = field(default_factory=dict)


CURRENT: ContextVar[Tracing | None] = ContextVar("ppl_tracing", default=None)


def tracing(what: str, span: Span | None) -> Tracing:
    """The model being traced. Raises ModelError outside one; `what` is the call that needs it."""
    state = CURRENT.get()
    if state is None:
        raise ModelError.of(
            "E111", span, f"`ppl.{what}` outside a model", "call it in a function decorated with `@ppl.model`"
        )
    return state
