"""Which products of sites a polynomial expression has: what decides whether a log density is quadratic in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ppl.compiler.conjugacy.rules import number
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import Deterministic, Model

Monomial = tuple[str, ...]
"""Names of sites, sorted, each as often as it is a factor. Elements of a site are not told apart."""
Monomials = frozenset[Monomial]
ONE: Monomials = frozenset([()])
HIGHEST, MOST = 6, 200
"""The degree above which, and the number of monomials beyond which, an expression is taken as no polynomial."""

_MOVING = (ex.SliceOf, ex.Named, ex.Lift)
_SUMS = ("add", "subtract", "negative", "positive", "sum", "mean", "stack", "concatenate", "transpose", "diag",
         "diagonal", "trace")  # fmt: skip
_PRODUCTS = ("multiply", "dot", "matmul")
_SOLVES = ("solve", "solve_matrix", "solve_lower", "solve_lower_matrix", "solve_upper", "solve_upper_matrix")


def monomials(model: Model, root: Expr, sites: frozenset[str]) -> Monomials | None:
    """The products of `sites` in an expression, every other site being a constant; None where it is no polynomial."""
    found: dict[int, Monomials | None] = {}
    for node in ex.walk(root):
        if isinstance(node, ex.Value):
            found[id(node)] = _value(model, node, sites)
            continue
        parts = [found[id(child)] for child in node.children]
        if any(part is None for part in parts):
            found[id(node)] = None
        elif all(part == ONE for part in parts):
            found[id(node)] = ONE
        else:
            found[id(node)] = _limited(_combined(node, [part for part in parts if part is not None]))
    return found[id(root)]


def _value(model: Model, node: ex.Value, sites: frozenset[str]) -> Monomials | None:
    if node.name in sites:
        return frozenset([(node.name,)])
    statement = model.by_name.get(node.name)
    return monomials(model, statement.value, sites) if isinstance(statement, Deterministic) else ONE


def _limited(found: Monomials | None) -> Monomials | None:
    if found is None or len(found) > MOST or max(map(len, found)) > HIGHEST:
        return None
    return found


def _combined(node: Expr, parts: list[Monomials]) -> Monomials | None:
    if isinstance(node, _MOVING):
        return parts[0]
    if isinstance(node, ex.Gather):
        return parts[0] if all(part == ONE for part in parts[1:]) else None
    if not isinstance(node, ex.Call):
        return None
    if node.function in _SUMS:
        return frozenset().union(*parts)
    if node.function in _PRODUCTS:
        return _product(*parts)
    rule = _RULES.get(node.function)
    return None if rule is None else rule(node, parts)


def _product(left: Monomials, right: Monomials) -> Monomials:
    return frozenset(tuple(sorted((*one, *other))) for one in left for other in right)


def _first_by_constant(node: Any, parts: list[Monomials]) -> Monomials | None:
    return parts[0] if parts[1] == ONE else None


def _last_by_constant(node: Any, parts: list[Monomials]) -> Monomials | None:
    return parts[1] if parts[0] == ONE else None


def _power(node: Any, parts: list[Monomials]) -> Monomials | None:
    exponent = number(node.arguments[1])
    if exponent == 1.0:
        return parts[0]
    return _product(parts[0], parts[0]) if exponent == 2.0 else None


def _choice(node: Any, parts: list[Monomials]) -> Monomials | None:
    return parts[1] | parts[2] if parts[0] == ONE else None


_RULES: Mapping[str, Callable[[Any, list[Monomials]], Monomials | None]] = {
    "divide": _first_by_constant,
    "square": lambda node, parts: _product(parts[0], parts[0]),
    "power": _power,
    "where": _choice,
    **dict.fromkeys(_SOLVES, _last_by_constant),
}
