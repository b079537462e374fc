"""The model that is being traced: the one piece of context, in a context variable."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import reduce

from ppl.axes import Axis
from ppl.errors import ModelError
from ppl.model import Builder
from ppl.model.expressions import Data, Expr
from ppl.model.ragged import both
from ppl.source import Span


@dataclass
class Tracing:
    """The builder of a model, the plates and name scopes that are open, and the data that have entered expressions.

    `present` has for each open plate which of its elements exist, None for all.
    """

    builder: Builder
    plates: list[Axis] = field(default_factory=list)
    present: list[Expr | None] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    data: dict[str, Data] = field(default_factory=dict)

    @property
    def guard(self) -> Expr | None:
        """Which elements of all open plates exist; None for all."""
        return reduce(both, self.present, None)

    def scoped(self, name: str) -> str:
        """A name as the model has it: behind those of the open scopes."""
        return ".".join([*self.scopes, name])


CURRENT: ContextVar[Tracing | None] = ContextVar("ppl_tracing", default=None)


def tracing(what: str, span: Span | None) -> Tracing:
    """The model being traced. Raises ModelError outside one; `what` is the call that needs it."""
    state = CURRENT.get()
    if state is None:
        raise ModelError.of(
            "E111", span, f"`ppl.{what}` outside a model", "call it in a function decorated with `@ppl.model`"
        )
    return state
