"""Expected values of expressions over independent guide factors, as expressions of mean statistics.

`Expectation` rewrites an expression `e` into one for `E[e]`, `E[e^p]`, `E[log e]`, `E[log(1 - e)]` or `E[log |e|]`. The
sites in `soft` have a factor of an exponential family: wherever such a site is read, the mean of one of its statistics
takes its place. Everything else keeps its value. The rules are exact, and there is none where it would not be: then
`NotConjugate` tells which sites stand in the way, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ppl.compiler.conjugacy.rules import COMPLEMENTS, INVERSES, LOG_DETS, LOGS, MEANS, POWERS
from ppl.functions import UNKNOWN
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import Deterministic, Model
from ppl.model.rewrite import with_children

MEAN, LOG, RECIPROCAL, COMPLEMENT = "mean", "log", "reciprocal", "log complement"
INVERSE, LOG_DET = "inverse", "log determinant"
"""The statistics of a site whose means take its place: z, log z, 1 / z, log(1 - z); of a matrix its inverse and the log
of its determinant.
"""


class NotConjugate(Exception):
    """Sites are read in a way that has no expectation in mean statistics. The message says how, in words."""

    def __init__(self, sites: frozenset[str], why: str) -> None:
        super().__init__(why)
        self.sites = sites


def statistic_name(site: str, kind: str) -> str:
    """Under which the mean of a statistic is handed in; no name of a statement."""
    return f"mean {kind} of {site}" if kind != MEAN else f"mean of {site}"


@dataclass
class Expectation:
    """The rules over one model. `requests` collects which statistics of each soft site they have asked for."""

    model: Model
    soft: frozenset[str]
    requests: dict[str, set[str]] = field(default_factory=dict)

    def reads(self, *roots: Expr) -> frozenset[str]:
        """The soft sites that expressions read, looking through deterministic statements."""
        found: set[str] = set()
        for name in ex.values_read(*roots):
            statement = self.model.by_name.get(name)
            if isinstance(statement, Deterministic):
                found |= self.model.random_ancestors(statement) & self.soft
            elif name in self.soft:
                found.add(name)
        return frozenset(found)

    def mean(self, node: Expr) -> Expr:
        """E[e]."""
        return self._rewritten(node, MEAN, MEANS)

    def log(self, node: Expr) -> Expr:
        """E[log e]."""
        if not self.reads(node):
            return construct.call("log", [node])
        return self._rewritten(node, LOG, LOGS)

    def complement(self, node: Expr) -> Expr:
        """E[log(1 - e)]."""
        if not self.reads(node):
            return construct.call("log1p", [construct.call("negative", [node])])
        return self._rewritten(node, COMPLEMENT, COMPLEMENTS)

    def log_det(self, node: Expr) -> Expr:
        """E[log |e|] of a positive definite matrix."""
        if not self.reads(node):
            return construct.call("log_determinant", [node])
        return self._rewritten(node, LOG_DET, LOG_DETS)

    def inverse(self, node: Expr) -> Expr:
        """E[e^-1] of a matrix."""
        if not self.reads(node):
            return construct.call("inverse", [node])
        return self._rewritten(node, INVERSE, INVERSES)

    def power(self, node: Expr, exponent: float) -> Expr:
        """E[e^exponent]."""
        if exponent == 1.0:
            return self.mean(node)
        if not self.reads(node):
            return construct.call("power", [node, construct.constant(exponent)])
        if exponent == -1.0 and self._is_leaf(node):
            return self._rewritten(node, RECIPROCAL, {})
        if isinstance(node, ex.Value) and isinstance(parent := self.model.by_name[node.name], Deterministic):
            return self.power(parent.value, exponent)
        rule = POWERS.get(node.function) if isinstance(node, ex.Call) else None
        if rule is not None:
            return rule(self, node, exponent)
        if self._is_moved(node):
            return self._moved(node, lambda part: self.power(part, exponent))
        raise self.refused(node, f"to the power of {exponent:g}")

    # ------------------------------------------------------------------------------------------------

    def _rewritten(self, node: Expr, kind: str, rules: Mapping[str, Callable[..., Expr]]) -> Expr:
        if not self.reads(node):
            return node
        if isinstance(node, ex.Value):
            return self._value(node, kind)
        if self._is_moved(node):
            return self._moved(node, lambda part: self._rewritten_part(part, kind))
        rule = rules.get(node.function) if isinstance(node, ex.Call) else None
        if rule is None:
            raise self.refused(node, f"inside {_title(node)}")
        return rule(self, node)

    def _rewritten_part(self, part: Expr, kind: str) -> Expr:
        return {MEAN: self.mean, LOG: self.log, COMPLEMENT: self.complement, LOG_DET: self.log_det,
                INVERSE: self.inverse, RECIPROCAL: lambda node: self.power(node, -1.0)}[kind](part)  # fmt: skip

    def _value(self, node: ex.Value, kind: str) -> Expr:
        statement = self.model.by_name[node.name]
        if isinstance(statement, Deterministic):
            return self._rewritten_part(statement.value, kind)
        self.requests.setdefault(node.name, set()).add(kind)
        dims = node.type.dims[:-2] if kind == LOG_DET else node.type.dims
        return ex.Value(replace(node.type, dims=dims, domain=UNKNOWN), node.span, statistic_name(node.name, kind))

    def _is_leaf(self, node: Expr) -> bool:
        """Whether a node is a site, or an element of one, read as it stands."""
        while self._is_moved(node) and not isinstance(node, ex.Call):
            node = node.children[0]
        if not isinstance(node, ex.Value):
            return False
        statement = self.model.by_name[node.name]
        return not isinstance(statement, Deterministic) or self._is_leaf(statement.value)

    def _is_moved(self, node: Expr) -> bool:
        """Whether a node only moves elements about, or chooses among them, by what is not soft."""
        if isinstance(node, ex.Gather):
            return not self.reads(*(item for item in node.items if item is not None))
        if isinstance(node, ex.Call) and node.function == "where":
            return not self.reads(node.arguments[0])
        moving = isinstance(node, ex.Call) and node.function in ("stack", "concatenate", "positive")
        return moving or isinstance(node, ex.SliceOf | ex.Named | ex.Lift)

    def _moved(self, node: Expr, change: Callable[[Expr], Expr]) -> Expr:
        """`change` done to the elements that a node moves."""
        first = 1 if isinstance(node, ex.Call) and node.function == "where" else 0
        count = 1 if isinstance(node, ex.Gather) else len(node.children)
        parts = [change(part) if first <= place < count else part for place, part in enumerate(node.children)]
        moved = with_children(node, parts)
        return replace(moved, type=replace(moved.type, domain=UNKNOWN, static=all(part.type.static for part in parts)))

    def independent(self, node: Any) -> None:
        """Raises NotConjugate where two arguments of a product read the same site."""
        left, right = (self.reads(argument) for argument in node.arguments)
        if left & right:
            raise NotConjugate(left & right, "it is multiplied by itself")

    def refused(self, node: Expr, why: str) -> NotConjugate:
        return NotConjugate(self.reads(node), f"it is read {why}")


def _title(node: Expr) -> str:
    return f"`{node.function}`" if isinstance(node, ex.Call) else type(node).__name__.lower()
