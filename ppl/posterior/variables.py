"""What a user can ask a fit about: named arrays with plates and event dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ppl.axes import Axis
from ppl.model.model import Deterministic, Model, Param, Site, Statement
from ppl.model.resolve import mask

Kind = Literal["latent", "param", "deterministic", "predicted", "outcome"]


@dataclass(frozen=True)
class Variable:
    """The value of one statement. Indices of a plate count from the plate's start, those of an event from 0.

    `absent` are the elements beyond the ends of ragged plates, by their places in the flattened array.
    """

    name: str
    kind: Kind
    axes: tuple[Axis, ...]
    event: tuple[int, ...]
    absent: tuple[int, ...] = ()

    @classmethod
    def of(cls, statement: Statement, kind: Kind) -> Variable:
        if isinstance(statement, Deterministic):
            event = statement.value.type.event
        else:
            assert isinstance(statement, Site | Param)
            event = tuple(dim.size for dim in statement.dims)
        return cls(statement.name, kind, statement.axes, event, _absent(statement, event))

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes) + self.event

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def element_names(self) -> Iterator[str]:
        """`theta[0]`, `theta[1]`, … in the order of the flattened array; the bare name of a scalar."""
        starts = [axis.start for axis in self.axes] + [0] * len(self.event)
        for index in np.ndindex(*self.shape):
            shown = ", ".join(str(i + start) for i, start in zip(index, starts, strict=True))
            yield f"{self.name}[{shown}]" if index else self.name

    def describe(self) -> str:
        """`8 elements (school: 8)`: the shape, with the plates in it."""
        plates = ", ".join(str(axis) for axis in self.axes)
        shape = " x ".join(map(str, self.shape)) or "1"
        return f"{shape} element{'s' * (self.size != 1)}{f' ({plates})' if plates else ''}"

    def to_json(self) -> dict[str, Any]:
        axes = [[axis.name, axis.size, axis.start] for axis in self.axes]
        absent = {"absent": list(self.absent)} if self.absent else {}
        return {"name": self.name, "kind": self.kind, "axes": axes, "event": list(self.event), **absent}

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Variable:
        axes = tuple(Axis(name, size, start) for name, size, start in record["axes"])
        return cls(record["name"], record["kind"], axes, tuple(record["event"]), tuple(record.get("absent", ())))

    def blank(self, array: np.ndarray) -> np.ndarray:
        """An array (…, *shape) with NaN in place of the elements that do not exist."""
        if not self.absent:
            return array
        flat = np.array(array, float).reshape(-1, self.size)
        flat[:, list(self.absent)] = np.nan
        return flat.reshape(np.shape(array))


def _absent(statement: Statement, event: tuple[int, ...]) -> tuple[int, ...]:
    if statement.present is None:
        return ()
    exists = mask(statement.present, statement.axes)
    full = np.broadcast_to(exists.reshape(*exists.shape, *[1] * len(event)), (*exists.shape, *event))
    return tuple(int(place) for place in np.flatnonzero(~full))


def model_variables(model: Model) -> dict[str, Variable]:
    """Everything a model has a value for, in its order: observed sites are outcomes, the predict block comes last."""
    found: dict[str, Variable] = {}
    for statement in model.statements:
        if isinstance(statement, Deterministic):
            found[statement.name] = Variable.of(statement, "deterministic")
        elif isinstance(statement, Param):
            found[statement.name] = Variable.of(statement, "param")
        elif isinstance(statement, Site):
            found[statement.name] = Variable.of(statement, "latent" if statement.observed is None else "outcome")
    found |= {s.name: Variable.of(s, "predicted") for s in model.predicted if isinstance(s, Site | Deterministic)}
    return found
