"""Which elements of the data lie beyond the ends of ragged plates: they are padding and may hold anything.

Data that are only ever read element by element inside `plate s in S { plate t in len[s] { … } }`, as `y[s, t]` or
`y[s, t - 1]`, have no meaning beyond `len[s]`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.language import syntax
from ppl.language.constants import OPERATORS, NotConstant, evaluate
from ppl.language.walk import Placed, children, expressions, reads, statements, target_binders, target_of


@dataclass(frozen=True)
class Use:
    """One read of data: its indices, and those of them with ranges that depend on outer indices."""

    items: tuple[syntax.Expression, ...]
    ragged: tuple[syntax.Binder, ...]

    def inside(self, shape: tuple[int, ...], values: Mapping[str, Any]) -> np.ndarray | None:
        """Which elements over the indexed dimensions it may read, those before a start included.

        None where that cannot be told.
        """
        rank = len(self.items)
        if len(shape) < rank:
            return None
        places = {_index_name(item): place for place, item in enumerate(self.items)}
        counters = {
            name: np.arange(shape[place]).reshape([-1 if d == place else 1 for d in range(rank)])
            for name, place in places.items()
        }
        found = np.ones(shape[:rank], bool)
        try:
            for binder in self.ragged:
                found &= counters[binder.name.name] < _value(binder.range.stop, values, counters)
        except (NotConstant, KeyError, IndexError, ValueError):
            return None
        return found


def ragged_uses(program: syntax.Program, names: Collection[str]) -> dict[str, list[Use]]:
    """The uses of each of the names that is only used inside ragged plates, by their indices."""
    found: dict[str, list[Use] | None] = {}
    for placed in statements(program):
        for name, items, binders in _uses(placed):
            if name in names:
                use = _use(items, binders)
                known = found.setdefault(name, [])
                found[name] = None if use is None or known is None else [*known, use]
    return {name: uses for name, uses in found.items() if uses}


def overwritten(value: np.ndarray, uses: list[Use], values: Mapping[str, Any]) -> np.ndarray:
    """The array with its padding replaced by an element that is read."""
    inside = [use.inside(value.shape, values) for use in uses]
    ranks = {mask.ndim for mask in inside if mask is not None}
    if any(mask is None for mask in inside) or len(ranks) != 1:
        return value
    read = np.logical_or.reduce([mask for mask in inside if mask is not None])
    if read.all() or not read.any():
        return value
    rows = value[read]
    whole = ~np.isnan(rows.reshape(len(rows), -1).astype(float)).any(axis=1)
    changed = value.copy()
    changed[~read] = rows[int(np.argmax(whole))]
    return changed


Read = tuple[str, tuple[syntax.Expression, ...], tuple[syntax.Binder, ...]]


def _uses(placed: Placed) -> Iterator[Read]:
    """Every read of a name with its indices and the binders around it, and the observation of one."""
    binders = tuple(block.binder for block in placed.blocks) + target_binders(placed.statement)
    for expression in expressions(placed.statement):
        yield from _reads(expression, binders)
    target = target_of(placed.statement)
    if target is not None:
        yield target.name.name, tuple(i.name if isinstance(i, syntax.Binder) else i for i in target.indices), binders


def _reads(node: syntax.Node, binders: tuple[syntax.Binder, ...]) -> Iterator[Read]:
    if isinstance(node, syntax.Comprehension):
        for binder in node.binders:
            yield from _reads(binder.range, binders)
            binders = (*binders, binder)
        yield from _reads(node.body, binders)
    elif isinstance(node, syntax.Name):
        yield node.name, (), binders
    elif isinstance(node, syntax.Index) and isinstance(node.base, syntax.Name):
        yield node.base.name, node.items, binders
        for item in node.items:
            yield from _reads(item, binders)
    else:
        for part in children(node):
            if not (isinstance(node, syntax.Call) and part is node.function):
                yield from _reads(part, binders)


def _use(items: tuple[syntax.Expression, ...], binders: tuple[syntax.Binder, ...]) -> Use | None:
    """The use, where its indices are those of blocks, ragged ones among them, or lags of these."""
    names = [_index_name(item) for item in items]
    ragged = tuple(
        binder
        for place, binder in enumerate(binders)
        if binder.name.name in names and _depends(binder, binders[:place])
    )
    return Use(items, ragged) if ragged and all(names) and len(set(names)) == len(names) else None


def _depends(binder: syntax.Binder, outer: tuple[syntax.Binder, ...]) -> bool:
    indices = {other.name.name for other in outer}
    return any(name.name in indices for name, _ in reads(binder.range))


def _index_name(item: syntax.Expression) -> str:
    """`t` of `t` and of `t - 1`."""
    lag = isinstance(item, syntax.Binary) and item.operator == "-" and isinstance(item.right, syntax.Number)
    item = item.left if lag else item  # type: ignore[attr-defined]
    return item.name if isinstance(item, syntax.Name) else ""


def _value(expression: syntax.Expression, values: Mapping[str, Any], counters: Mapping[str, np.ndarray]) -> Any:
    """The value of an end of a range, for each element of the outer indices."""
    match expression:
        case syntax.Name(name=name) if name in counters:
            return counters[name]
        case syntax.Index(base=syntax.Name(name=name), items=items):
            return np.asarray(values[name])[tuple(_value(item, values, counters) for item in items)]
        case syntax.Binary(operator=symbol, left=left, right=right) if symbol in OPERATORS:
            return OPERATORS[symbol](_value(left, values, counters), _value(right, values, counters))
    return evaluate(expression, values)
