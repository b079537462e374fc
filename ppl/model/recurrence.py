"""Statements that depend on their own past: which they are, and one step of them.

Statements are lowered as if all steps were known at once: `s[t - 1]` reads the value of the whole statement `s` at
other positions. Where a value follows from its own past by computation alone, that is a circle; `with_recurrences`
opens it. A latent site that reads its own past is no circle: given its value, the lag is a shifted read of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ppl.axes import Axis, Layout, union
from ppl.errors import ModelError
from ppl.functions import UNKNOWN
from ppl.model import construct, messages
from ppl.model import expressions as ex
from ppl.model.circles import circles
from ppl.model.expressions import Expr, Type
from ppl.model.hoisting import Hoisting
from ppl.model.model import Deterministic, Model, Site, Statement
from ppl.model.resolve import NumpyLanguage, Resolver, evaluate


def with_recurrences(model: Model) -> Model:
    """The model with deterministic statements that depend on their own past as recurrences. Raises ModelError."""
    return replace(model, statements=_opened(model.statements), predicted=_opened(model.predicted))


def _opened(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    circular = {s.name: s for s in statements if isinstance(s, Deterministic)}
    opened: dict[str, Statement] = {}
    for group in circles({name: statement.reads for name, statement in circular.items()}):
        members = [circular[name] for name in group]
        recurrence = _recurrence(members)
        for number, member in enumerate(members):
            kind = replace(member.value.type, axes=union([member.axes]), domain=UNKNOWN)
            opened[member.name] = replace(member, value=ex.State(kind, member.value.span, recurrence, number))
    return tuple(opened.get(statement.name, statement) for statement in statements) if opened else tuple(statements)


def _recurrence(members: Sequence[Deterministic]) -> ex.Recurrence:
    written = {member.name: member.value for member in members}
    unroller = Unroller.of(members, written.values())
    for member in members:
        unroller.now(member.name, unroller.step(member.value))
    if unroller.mixed:
        plates = ", ".join(f"`{axis.name}`" for axis in unroller.mixed)
        raise unsupported(members, f"reads other elements along {plates} in its own past")
    axes = union([[unroller.time], *(member.axes for member in members)])
    return ex.Recurrence(
        type=Type(axes, (), UNKNOWN, static=False),
        span=members[0].span,
        time=unroller.time,
        names=tuple(written),
        written=tuple(written.values()),
        steps=tuple(unroller.current[name] for name in written),
        pasts=tuple(unroller.pasts),
        given=tuple(unroller.inputs),
        inputs=tuple(unroller.inputs.values()),
    )


def unsupported(members: Iterable[Statement], why: str, instead: str = "") -> ModelError:
    first, *rest = members
    others = "".join(f", `{member.name}`" for member in rest)
    return ModelError.of("E801", first.span, f"`{first.name}`{others} {why}, which is not supported yet", instead)


def written(statement: Statement) -> tuple[Expr, ...]:
    """What a statement reads to get its value, recurrences as they were written."""
    if isinstance(statement, Site):
        return statement.distribution.expressions
    return tuple(part.written if isinstance(part, ex.State) else part for part in statement.inputs)


class Unroller(Hoisting):
    """Makes expressions over all steps of `members` into expressions for one step.

    In these, `pasts` stand for reads of earlier steps, and the keys of `inputs` for all that does not depend on the
    members. `current` has what a read of the present step of a member is. `mixed` are the plates whose elements read
    those of others.
    """

    def __init__(self, members: Sequence[Statement], time: Axis) -> None:
        super().__init__()
        self.time = time
        self.pasts: list[ex.Past] = []
        self.current: dict[str, Expr] = {}
        self.mixed: tuple[Axis, ...] = ()
        self._members = {member.name: number for number, member in enumerate(members)}
        self._statements = members

    @classmethod
    def of(cls, members: Sequence[Statement], roots: Iterable[Expr]) -> Unroller:
        """For the index along which all the members look back. Raises ModelError where there is none."""
        names = {member.name for member in members}
        shared = set.intersection(*(set(member.axes) for member in members))
        for node in ex.walk(*roots):
            history = _history(node, names)
            if history is not None:
                pairs = zip(history.base.axes, history.items, strict=False)  # type: ignore[attr-defined]
                shared &= {axis for axis, item in pairs if item is not None}
        if not shared:
            raise unsupported(members, "depends on itself along no index of its own or along several")
        return cls(members, min(shared, key=lambda axis: -axis.order))

    def step(self, root: Expr) -> Expr:
        """`root` at one step. Raises ModelError where it is read in a way that has no meaning for one."""
        stepped = self.inside(root)
        if stepped is None:
            by_lag = "a sum over the past can go by lags, as in sum([x[t - 1 - k] if k < t else 0 for k in K])"
            raise unsupported(self._statements, "is read as a whole in its own past", by_lag)
        return stepped

    def now(self, name: str, value: Expr) -> Expr:
        """Say what a read of the present step of a member is."""
        self.current[name] = self.depending(value)
        return value

    def changed(self, node: Expr) -> Expr | None:
        if isinstance(node, ex.Value) and node.name in self._members:
            return self.current.get(node.name)
        if _history(node, self._members) is not None:
            return self._past(node)  # type: ignore[arg-type]
        return super().changed(node)

    def rebuilt(self, node: Expr, children: Sequence[Expr]) -> Expr | None:
        if isinstance(node, ex.Named | ex.Lift):
            axes = node.axes if isinstance(node, ex.Lift) else (node.axis,)
            if self.time in axes:
                return None
            self._mix(axes)
        return super().rebuilt(node, children)

    def _mix(self, axes: Sequence[Axis]) -> None:
        plates = {axis for member in self._statements for axis in member.axes}
        self.mixed = union([self.mixed, [axis for axis in axes if axis in plates]])

    def _past(self, node: ex.Gather) -> Expr | None:
        """A read of earlier steps, `x[t - 1]` or `x[t - 1 - k]` for the index `k` of something else."""
        base = node.base
        assert isinstance(base, ex.Lift)
        value = base.base
        assert isinstance(value, ex.Value)
        place = base.axes.index(self.time)
        item = node.items[place]
        rest = [other for number, other in enumerate(node.items) if number != place]
        if item is None or any(o is not None and (o.type.dims or not o.type.static) for o in node.items):
            return None
        axes = union([item.type.axes, [self.time]])
        extra = tuple(axis for axis in axes if axis != self.time)
        if set(extra) & set(value.type.axes):
            return None
        positions = self._positions(item, value.name, axes)
        kind = replace(value.type, axes=union([value.type.axes, extra]))
        leaf = ex.Value(kind, node.span, f"past {value.name} {len(self.pasts)}")
        self.pasts.append(ex.Past(leaf, self._members[value.name], extra, positions))
        others = tuple(axis for axis in base.axes if axis != self.time)
        lifted = self.depending(construct.lift(leaf, others))
        self.depending(leaf)
        self._mix(others)
        if all(other is None for other in rest):
            return lifted
        return self.depending(replace(node, base=lifted, items=tuple(rest)))

    def _positions(self, item: Expr, name: str, axes: tuple[Axis, ...]) -> np.ndarray:
        """(steps, further axes of the item). Raises ModelError where one that is used is not earlier."""
        positions = self._over(item, axes)
        now = np.arange(self.time.size).reshape(-1, *(1,) * (positions.ndim - 1))
        used = np.ones(positions.shape, bool)
        if isinstance(item, ex.Call) and item.function == "where" and item.arguments[0].type.static:
            used = self._over(item.arguments[0], axes)  # the guard of a read that is out of range
        late = used & (positions >= now)
        if np.any(late):
            step, *_ = messages.first_false(~late)
            at, read = step + self.time.start, int(positions[messages.first_false(~late)]) + self.time.start
            index = self.time.name
            raise ModelError.of(
                "E506", item.span, f"`{name}` at {index} = {at} depends on `{name}` at {read}, which is not earlier",
                f"read `{name}[{index} - 1]`, guarded with `if {index} == {self.time.start}`",
            )  # fmt: skip
        return np.where(positions < now, positions, 0)

    def _over(self, node: Expr, axes: tuple[Axis, ...]) -> np.ndarray:
        """A static value over all of `axes`, that of the steps first."""
        found = evaluate(node)
        array = Resolver(NumpyLanguage()).expand(found, Layout(axes, 0))
        full = np.broadcast_to(array, tuple(axis.size for axis in axes))
        return np.moveaxis(full, axes.index(self.time), 0)


def _history(node: Expr, names: Iterable[str]) -> ex.Gather | None:
    """The node, where it reads a member at positions of its own choice: `x[…]` of the whole `x`."""
    if not isinstance(node, ex.Gather) or not isinstance(node.base, ex.Lift):
        return None
    value = node.base.base
    return node if isinstance(value, ex.Value) and value.name in names else None
