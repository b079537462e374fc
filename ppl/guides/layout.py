"""Which part of a flat vector belongs to which site."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.model.model import Site
from ppl.model.resolve import mask


@dataclass(frozen=True)
class Entry:
    """Elements `start:stop` of the vector, of shape `shape`.

    Where not all elements of the shape exist, `places` are those that do, in the flattened array.
    """

    name: str
    start: int
    stop: int
    shape: tuple[int, ...]
    places: np.ndarray | None = field(default=None, compare=False, repr=False)

    @cached_property
    def sources(self) -> np.ndarray:
        """For each element of the shape its place among those that exist, their number for those that do not."""
        assert self.places is not None
        found = np.full(math.prod(self.shape), len(self.places))
        found[self.places] = np.arange(len(self.places))
        return found


@dataclass(frozen=True)
class VectorLayout:
    """Named entries one after the other in a flat vector."""

    entries: tuple[Entry, ...]

    @classmethod
    def of_shapes(
        cls, shapes: Iterable[tuple[str, tuple[int, ...]]], places: Mapping[str, np.ndarray] | None = None
    ) -> VectorLayout:
        """Entries of these shapes; of those in `places` only these elements."""
        entries, start, places = [], 0, places or {}
        for name, shape in shapes:
            stop = start + (len(places[name]) if name in places else math.prod(shape))
            entries.append(Entry(name, start, stop, shape, places.get(name)))
            start = stop
        return cls(tuple(entries))

    @classmethod
    def of_sites(cls, sites: Iterable[Site]) -> VectorLayout:
        """The unconstrained values of continuous sites, (plates…, unconstrained event…), of elements that exist."""
        sites = tuple(sites)
        places = {site.name: _existing(site) for site in sites if site.present is not None}
        return cls.of_shapes(((site.name, unconstrained_shape(site)) for site in sites), places)

    @property
    def size(self) -> int:
        return self.entries[-1].stop if self.entries else 0

    def unpack(self, xp: Any, vector: Any) -> dict[str, Any]:
        """`(…, size)` to one array `(…, *shape)` for each entry, 0 where an element does not exist."""
        return {entry.name: _shaped(xp, entry, vector[..., entry.start : entry.stop]) for entry in self.entries}

    def unpack_apart(self, xp: Any, places: np.ndarray, moved: Any, others: Any) -> dict[str, Any]:
        """As `unpack`, of a vector whose coordinates at `places` are `moved`, the rest `others`, each in order."""
        inside = np.zeros(self.size, dtype=bool)
        inside[places] = True
        found = {}
        for entry in self.entries:
            own, before = inside[entry.start : entry.stop], int(inside[: entry.start].sum())
            flat = moved[..., before : before + int(own.sum())]
            if not own.all():
                rest = others[..., entry.start - before : entry.stop - before - int(own.sum())]
                order = np.argsort(np.concatenate([np.flatnonzero(own), np.flatnonzero(~own)]))
                flat = xp.concatenate([flat, rest], axis=-1)[..., order] if own.any() else rest
            found[entry.name] = _shaped(xp, entry, flat)
        return found

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """The inverse of `unpack`, on NumPy arrays."""
        parts = []
        for entry in self.entries:
            array = np.asarray(values[entry.name], float)
            lead = array.shape[: array.ndim - len(entry.shape)]
            flat = array.reshape((*lead, math.prod(entry.shape)))
            parts.append(flat if entry.places is None else flat[..., entry.places])
        return np.concatenate(parts, axis=-1) if parts else np.zeros(0)

    def element_names(self) -> list[str]:
        """`theta[0]`, `theta[1]`, … one for each element of the vector."""
        names = list[str]()
        for entry in self.entries:
            every = [f"{entry.name}[{', '.join(map(str, i))}]" if i else entry.name for i in np.ndindex(*entry.shape)]
            names += every if entry.places is None else [every[place] for place in entry.places]
        return names

    def __str__(self) -> str:
        return "\n".join(
            f"{e.name:<20} {e.start}:{e.stop}" + (f"  {' x '.join(map(str, e.shape))}" if e.shape else "")
            for e in self.entries
        )


def _shaped(xp: Any, entry: Entry, flat: Any) -> Any:
    """`(…, elements that exist)` to `(…, *shape)`, 0 where an element does not exist."""
    lead = tuple(flat.shape[:-1])
    if entry.places is not None:
        flat = xp.concatenate([flat, np.zeros((*lead, 1))], axis=-1)[..., entry.sources]
    return xp.reshape(flat, lead + entry.shape)


def unconstrained_shape(site: Site) -> tuple[int, ...]:
    """Shape of one draw of a continuous site's unconstrained value."""
    return SUPPORTS[site.support.name].unconstrained_shape(site.shape)


def _existing(site: Site) -> np.ndarray:
    """Which elements of the flattened unconstrained value exist."""
    assert site.present is not None
    exists = mask(site.present, site.axes)
    shape = unconstrained_shape(site)
    return np.flatnonzero(np.broadcast_to(exists.reshape(*exists.shape, *[1] * (len(shape) - exists.ndim)), shape))
