"""Which part of a flat vector belongs to which site."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.model.model import Site


@dataclass(frozen=True)
class Entry:
    """Elements `start:stop` of the vector, of shape `shape`."""

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class VectorLayout:
    """Named entries one after the other in a flat vector."""

    entries: tuple[Entry, ...]

    @classmethod
    def of_shapes(cls, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> VectorLayout:
        entries, start = [], 0
        for name, shape in shapes:
            stop = start + math.prod(shape)
            entries.append(Entry(name, start, stop, shape))
            start = stop
        return cls(tuple(entries))

    @classmethod
    def of_sites(cls, sites: Iterable[Site]) -> VectorLayout:
        """The unconstrained values of continuous sites: (plates…, unconstrained event…)."""
        return cls.of_shapes((site.name, unconstrained_shape(site)) for site in sites)

    @property
    def size(self) -> int:
        return self.entries[-1].stop if self.entries else 0

    def unpack(self, xp: Any, vector: Any) -> dict[str, Any]:
        """`(…, size)` to one array `(…, *shape)` for each entry."""
        lead = tuple(vector.shape[:-1])
        return {e.name: xp.reshape(vector[..., e.start : e.stop], lead + e.shape) for e in self.entries}

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """The inverse of `unpack`, on NumPy arrays."""
        parts = []
        for entry in self.entries:
            array = np.asarray(values[entry.name], float)
            lead = array.shape[: array.ndim - len(entry.shape)]
            parts.append(array.reshape((*lead, entry.stop - entry.start)))
        return np.concatenate(parts, axis=-1) if parts else np.zeros(0)

    def element_names(self) -> list[str]:
        """`theta[0]`, `theta[1]`, … one for each element of the vector."""
        names = []
        for entry in self.entries:
            for index in np.ndindex(*entry.shape):
                names.append(f"{entry.name}[{', '.join(map(str, index))}]" if index else entry.name)
        return names

    def __str__(self) -> str:
        return "\n".join(
            f"{e.name:<20} {e.start}:{e.stop}" + (f"  {' x '.join(map(str, e.shape))}" if e.shape else "")
            for e in self.entries
        )


def unconstrained_shape(site: Site) -> tuple[int, ...]:
    """Shape of one draw of a continuous site's unconstrained value."""
    bijection = SUPPORTS[site.support.name].bijection
    assert bijection is not None
    return tuple(axis.size for axis in site.axes) + bijection.unconstrained(tuple(dim.size for dim in site.dims))
