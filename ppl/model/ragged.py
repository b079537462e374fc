"""Ragged plates: ranges whose ends depend on the indices of outer plates.

The axis of such a plate runs over all its ranges together. Which elements exist is the `present` of a statement, a
condition that data alone decide. What depends on data alone is replaced beyond the ends, so that padding may hold
anything; a statement that reads others must stay within their ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ppl.axes import Axis, Layout, union
from ppl.errors import ModelError
from ppl.model import construct, messages
from ppl.model import expressions as ex
from ppl.model.expressions import Expr
from ppl.model.model import Site, Statement
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate, mask
from ppl.model.rewrite import with_children
from ppl.source import Span


@dataclass(frozen=True)
class Extent:
    """The range `start:stop` of an index. `first` and `end` are its ends where they differ by outer indices."""

    start: int
    stop: int
    first: Expr | None = None
    end: Expr | None = None

    @property
    def size(self) -> int:
        return self.stop - self.start

    @property
    def ragged(self) -> bool:
        return self.first is not None or self.end is not None

    def present(self, axis: Axis) -> Expr | None:
        """Which elements of the axis are in the range; None for all of them."""
        index = construct.axis_index(axis)
        found = None if self.end is None else construct.call("less", [index, self.end])
        if self.first is not None:
            started = construct.call("greater_equal", [index, self.first])
            found = started if found is None else construct.call("logical_and", [found, started])
        return None if found is None or np.all(evaluate(found).array) else found


def extent(first: Expr, end: Expr, span: Span | None) -> Extent:
    """The extent of a range whose ends are whole numbers known from data. Raises ModelError where it runs backwards."""
    pair = Resolver(NumpyLanguage()).align([evaluate(first), evaluate(end)])
    low, high = np.broadcast_arrays(*(np.asarray(each).astype(np.int64) for each in pair))
    if np.any(high < low):
        place = messages.first_false(high >= low)
        raise ModelError.of("E310", span, f"range {low[place]}:{high[place]} runs backwards")
    start = int(low.min()) if low.size else 0
    return Extent(
        start,
        int(high.max()) if high.size else start,
        first if first.type.axes else None,
        end if end.type.axes else None,
    )


def both(one: Expr | None, other: Expr | None) -> Expr | None:
    """The conjunction of two conditions, None being always true."""
    if one is None or other is None:
        return one or other
    return construct.call("logical_and", [one, other])


def filled(root: Expr, present: Expr) -> Expr:
    """`root` where what depends on data alone has, beyond the ends, its value at an element that exists."""
    done: dict[int, Expr] = {}
    for node in ex.walk(root):
        if node.type.static:
            continue
        kept = node.items if isinstance(node, ex.Gather) else ()
        children = [
            done.get(id(child), child) if not child.type.static or any(child is item for item in kept)
            else _replaced(child, present)
            for child in node.children
        ]  # fmt: skip
        same = all(new is old for new, old in zip(children, node.children, strict=True))
        done[id(node)] = node if same else with_children(node, children)
    return done[id(root)] if not root.type.static else _replaced(root, present)


def _replaced(node: Expr, present: Expr) -> Expr:
    axes = node.type.axes
    if isinstance(node, ex.AxisIndex | ex.Constant) or not set(axes) & set(present.type.axes):
        return node
    exists = mask(present, axes)
    if exists.all() or not exists.any():
        return node
    found = evaluate(node)
    array = np.broadcast_to(
        Resolver(NumpyLanguage()).expand(found, Layout(axes, found.event_rank)), (*exists.shape, *node.type.event)
    )
    rows = array[exists]
    whole = ~np.isnan(rows.reshape(len(rows), -1).astype(float)).any(axis=1)
    stand_in = construct.constant(rows[int(np.argmax(whole))])
    return construct.call("where", [construct.over(exists, axes), node, stand_in], node.span)


def check_reads(root: Expr, ragged: Mapping[str, Expr], span: Span | None) -> None:
    """Raises ModelError where an expression reads a ragged statement as a whole, padding and all."""
    readers = [node for node in ex.walk(root) if isinstance(node, ex.Gather | ex.Named)]
    harmless = {id(child) for node in readers for child in node.children}
    for node in ex.walk(root):
        if isinstance(node, ex.Lift) and isinstance(node.base, ex.Value) and node.base.name in ragged:
            whole = id(node) not in harmless
            if whole and not np.all(mask(ragged[node.base.name], node.axes)):
                raise not_there(node.base.name, span or node.span)


def check_index(
    value: Expr, items: Sequence[construct.Item], ragged: Mapping[str, Expr], guard: Expr | None, span: Span | None
) -> None:
    """Raises ModelError where `value[items]` reads elements of a ragged statement that do not exist.

    Where `guard` is false nothing is read. Indices that are random are not looked at.
    """
    if not isinstance(value, ex.Lift) or not isinstance(value.base, ex.Value) or value.base.name not in ragged:
        return
    if not all(isinstance(item, construct.Cut) or item.type.static for item in items):
        return
    name, plates = value.base.name, value.axes
    exists = construct.over(mask(ragged[name], union([value.base.type.axes])), union([value.base.type.axes]))
    read = construct.index(construct.lift(exists, plates), list(items)[: len(plates)], None, guard)
    if guard is not None:
        read = construct.call("logical_or", [construct.call("logical_not", [guard]), read])
    if not np.all(evaluate(read).array):
        raise not_there(name, span)


def not_there(name: str, span: Span | None) -> ModelError:
    return ModelError.of(
        "E315", span, f"`{name}` stands in a ragged plate, and some of the elements read here do not exist",
        f"stay within its range, as in sum([{name}[i, j] for j in n[i]])",
    )  # fmt: skip


def lowest(site: Site) -> Expr:
    """The least value of a discrete site: the one that elements beyond the ends have."""
    return site.support.arguments[0] if site.support.arguments else construct.constant(0)


def blanked(statement: Statement, draws: np.ndarray) -> np.ndarray:
    """Draws (draws, *shape) of a statement as users see them: real numbers beyond its ends are NaN."""
    if statement.present is None or draws.dtype.kind != "f":
        return draws
    exists = mask(statement.present, statement.axes)
    return np.where(exists.reshape(*exists.shape, *[1] * (draws.ndim - 1 - exists.ndim)), draws, np.nan)


def existing(site: Site) -> int:
    """How many numbers a draw of the site has, without those beyond its ends."""
    if site.present is None:
        return math.prod(site.shape)
    return int(mask(site.present, site.axes).sum()) * math.prod(dim.size for dim in site.dims)
