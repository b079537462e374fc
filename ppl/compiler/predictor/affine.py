"""The affine number that the parameters of a distribution read latents through, found in their expressions."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace

from ppl.axes import Axis
from ppl.compiler.collapse.linear import Kinds, Term, fingerprint, split
from ppl.constraints import SUPPORTS, is_within
from ppl.functions import FUNCTIONS
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr, values_read
from ppl.model.rewrite import rewritten

TOTAL = frozenset({
    "add", "subtract", "multiply", "negative", "positive", "exp", "expit", "inv_logit", "sigmoid", "normal_cdf",
    "softplus", "square", "tanh", "erf", "log_sigmoid", "log_normal_cdf",
})  # fmt: skip
"""Smooth functions of all real numbers. Quotients are too where what is below is positive."""
READS = (ex.Gather, ex.Named, ex.SliceOf, ex.Lift)


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine expression: the `nodes` at which it occurs, all alike, and its terms, whose factors are coordinates of
    `sites` as they stand, perhaps with their sign changed.
    """

    nodes: tuple[Expr, ...]
    terms: tuple[Term, ...]
    sites: frozenset[str]

    @property
    def node(self) -> Expr:
        return self.nodes[0]

    def is_at(self, node: Expr) -> bool:
        """Whether an expression is the affine one, or minus it."""
        return any(signless(node)[0] is each for each in self.nodes)


def predictor(
    rows: tuple[Axis, ...], arguments: Iterable[Expr], latents: frozenset[str], sizes: Mapping[str, int]
) -> Affine | None:
    """The one affine number that arguments read the latents through, element by element; None where there is none.

    Of several that share no site the one of the most coordinates: the others are known then.
    """
    arguments = tuple(arguments)
    found = _maximal(rows, arguments, latents)
    if not found:
        return None
    if len(found) == 1:
        return found[0]
    apart = [each for each in found if not any(each.sites & other.sites for other in found if other is not each)]
    if not apart:
        return None
    return predictor(rows, arguments, max(apart, key=lambda each: sum(sizes[name] for name in each.sites)).sites, sizes)


def _maximal(rows: tuple[Axis, ...], arguments: tuple[Expr, ...], latents: frozenset[str]) -> list[Affine] | None:
    """The largest affine parts of the arguments; None where something else reads a latent."""
    found: dict[Hashable, Affine] = {}
    seen: set[int] = set()
    left = list(arguments)
    while left:
        node = left.pop()
        if id(node) in seen or not values_read(node) & latents:
            continue
        seen.add(id(node))
        node = signless(node)[0]
        parts = None if node.type.dims else _affine_terms(node, rows, latents)
        if parts is not None:
            key = fingerprint(node)
            first = found.get(key)
            sites = frozenset(values_read(*(part.factor for part in parts if part.factor is not None)) & latents)
            found[key] = replace(first, nodes=(*first.nodes, node)) if first else Affine((node,), tuple(parts), sites)
        elif _is_total(node, latents):
            left += node.children
        else:
            return None
    return list(found.values())


def _is_total(node: Expr, latents: frozenset[str]) -> bool:
    if not isinstance(node, ex.Call):
        return False
    if node.function == "divide":
        below = node.arguments[1]
        positive = below.type.domain in SUPPORTS and is_within(below.type.domain, "positive")
        return positive or not values_read(below) & latents
    return node.function in TOTAL


def _affine_terms(node: Expr, rows: tuple[Axis, ...], latents: Collection[str]) -> list[Term] | None:
    """The terms of an expression, each with coordinates as they stand for its factor; None where it is not affine."""

    def known(part: Expr) -> bool:
        return not values_read(part) & set(latents)

    def whole(part: Expr, plates: Collection[Axis]) -> bool:
        return _is_read(part, latents)

    found = split(node, Kinds(rows, known, whole))
    factors = [part.factor for part in found if part.factor is not None]
    return found if all(_is_read(signless(factor)[0], latents) for factor in factors) else None


def _is_read(node: Expr, latents: Collection[str]) -> bool:
    """Whether an expression is elements of a latent, picked by what is known."""
    while isinstance(node, READS):
        if any(values_read(child) & set(latents) for child in node.children[1:]):
            return False
        node = node.base
    return isinstance(node, ex.Value) and node.name in latents


def lookups_inside(root: Expr) -> Expr:
    """`root` with elements of sums and the like, looked up along plates, as sums of elements."""
    return rewritten(root, _looked_up)


def _looked_up(node: Expr) -> Expr | None:
    if not isinstance(node, ex.Gather) or not isinstance(node.base, ex.Lift) or None in node.items:
        return None
    base, axes = node.base.base, node.base.axes
    if not isinstance(base, ex.Call) or not FUNCTIONS[base.function].elementwise or base.type.dims:
        return None
    parts = [_elements(part, axes, node.items) for part in base.arguments]
    return construct.call(base.function, parts, node.span, **dict(base.static))


def _elements(part: Expr, axes: tuple[Axis, ...], items: tuple[Expr | None, ...]) -> Expr:
    mine = [(axis, item) for axis, item in zip(axes, items, strict=True) if axis in part.type.axes]
    if not mine:
        return lookups_inside(part)
    lifted = construct.lift(part, [axis for axis, _ in mine])
    return lookups_inside(construct.gather(lifted, [item for _, item in mine], part.span))


def signless(factor: Expr) -> tuple[Expr, float]:
    """A factor without the signs before it, and their product."""
    sign = 1.0
    while isinstance(factor, ex.Call) and factor.function == "negative":
        (factor,), sign = factor.arguments, -sign
    return factor, sign


def log_linear(node: Expr, found: Affine) -> bool:
    """Whether an expression is the exponential of plus or minus the affine one, times what is known."""
    if not isinstance(node, ex.Call):
        return False
    if node.function == "exp":
        return found.is_at(node.arguments[0])
    if node.function not in ("multiply", "divide"):
        return False
    reading = [part for part in node.arguments if values_read(part) & found.sites]
    return len(reading) == 1 and log_linear(reading[0], found)


def elements(rows: Iterable[Axis]) -> int:
    return math.prod(axis.size for axis in rows)
