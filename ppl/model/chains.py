"""Sites whose every element reads the one just before it along a plate: hidden Markov chains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ppl.axes import Axis, Layout, union
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import Deterministic, Model, Site, Statement
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate
from ppl.model.rewrite import rewritten, with_every_expression


@dataclass(frozen=True)
class Chain:
    """A site that follows itself along the plate `time`. `before` is the axis of the states of the element before."""

    site: str
    time: Axis
    before: Axis


def chain_of(model: Model, site: Site, before: Axis) -> Chain | None:
    """How a site follows itself; None where it does in another way, or not at all."""
    if site.name not in model.circular:
        return None
    for time in reversed(site.axes):
        chain = Chain(site.name, time, before)
        if site.name not in opened(model, [chain]).circular:
            return chain
    return None


def opened(model: Model, chains: Iterable[Chain]) -> Model:
    """The model in which the chains read `Before` instead of their own earlier elements."""
    chains = list(chains)
    if not chains:
        return model

    def change(node: Expr) -> Expr | None:
        chain = next((chain for chain in chains if _is_before(node, chain)), None)
        return None if chain is None else ex.Before(node.type, node.span, chain.site)

    return replace(
        model,
        statements=tuple(with_every_expression(s, lambda part: rewritten(part, change)) for s in model.statements),
    )


def looks_back(model: Model, statement: Statement) -> frozenset[str]:
    """The chains of an opened model whose earlier element a statement reads, directly or through deterministic ones."""
    found: set[str] = set()
    for node in ex.walk(*statement.inputs):
        if isinstance(node, ex.Before):
            found.add(node.name)
        elif isinstance(node, ex.Value) and isinstance(parent := model.by_name[node.name], Deterministic):
            found |= looks_back(model, parent)
    return frozenset(found)


def _is_before(node: Expr, chain: Chain) -> bool:
    """Whether a node is the element just before of the chain's site, wherever it is used."""
    if not isinstance(node, ex.Gather) or not isinstance(node.base, ex.Lift):
        return False
    lifted, (item, *others) = node.base, node.items
    if not isinstance(lifted.base, ex.Value) or lifted.base.name != chain.site or lifted.axes != (chain.time,):
        return False
    if item is None or not item.type.static or item.type.dims or any(other is not None for other in others):
        return False
    axes = union([item.type.axes, [chain.time]])
    positions = _over(item, axes)
    used = np.ones(positions.shape, bool)
    if isinstance(item, ex.Call) and item.function == "where" and item.arguments[0].type.static:
        used = _over(item.arguments[0], axes)  # the guard of a read that is out of range
    shape = [chain.time.size if axis == chain.time else 1 for axis in axes]
    now = np.arange(chain.time.size).reshape(shape)
    return bool(np.all(~used | (positions == now - 1)))


def _over(node: Expr, axes: tuple[Axis, ...]) -> np.ndarray:
    array = Resolver(NumpyLanguage()).expand(evaluate(node), Layout(axes, 0))
    return np.broadcast_to(array, tuple(axis.size for axis in axes))
