"""Natural factors: distributions of an exponential family, one for each element of a site."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ppl.compiler.conjugacy.sites import ConjugateFamily
from ppl.guides.closed import against
from ppl.model.model import Site
from ppl.model.resolve import mask
from ppl.numeric import NUMPY

Natural = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class NaturalFactor:
    """A distribution of an exponential family for each element of a site, by its natural parameters.

    `exists` says which elements do, where a plate is ragged: the others keep the factor they have.
    """

    site: Site
    family: ConjugateFamily
    natural: Natural
    exists: np.ndarray | None = field(default=None, compare=False)

    @classmethod
    def first(cls, site: Site, family: ConjugateFamily) -> NaturalFactor:
        """A factor of the least information that is proper."""
        start = _FIRST[family.name](site)
        form = family.distribution.exponential
        assert form is not None
        natural = form.natural(NUMPY, **start)
        exists = None if site.present is None else mask(site.present, site.axes)
        return cls(site, family, tuple(np.asarray(part, float) for part in natural), exists)

    @property
    def statistics(self) -> Natural:
        """The means of the statistics."""
        form = self._form
        return tuple(np.asarray(part, float) for part in form.mean_statistics(NUMPY, *self.natural))

    def statistics_of(self, value: np.ndarray) -> Natural:
        """The statistics of a value (*shape)."""
        return tuple(np.asarray(part, float) for part in self._form.statistics(NUMPY, value))

    @property
    def _form(self) -> Any:
        form = self.family.distribution.exponential
        assert form is not None
        return form

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters of the distribution."""
        return self._form.parameters(NUMPY, *self.natural)

    @property
    def entropy(self) -> float:
        """In nats, over all elements that exist. The families' base measures are 1."""
        return -float(np.sum(self._kept(against(NUMPY, self._form, self.natural, self.statistics))))

    def moved(self, natural: Natural, rate: float = 1.0) -> NaturalFactor:
        """The factor with these natural parameters, or a step of that length towards them."""
        parts = []
        for old, new, rank in zip(self.natural, natural, self._form.ranks, strict=True):
            new = 0.5 * (new + np.swapaxes(new, -1, -2)) if rank == 2 else new
            mixed = new if rate == 1.0 else (1.0 - rate) * old + rate * new
            if self.exists is not None:
                mixed = np.where(self.exists.reshape(*self.exists.shape, *[1] * rank), mixed, old)
            parts.append(mixed)
        return replace(self, natural=tuple(parts))

    @property
    def proper(self) -> bool:
        """Whether the natural parameters are those of a distribution."""
        with np.errstate(all="ignore"):
            return all(np.all(np.isfinite(part)) for part in (*self.statistics, np.asarray(self.entropy)))

    def draw(self, rng: np.random.Generator, draws: int) -> np.ndarray:
        """(draws, *shape)."""
        return self.family.distribution.sample(rng, (draws, *self._batch), **self.parameters)

    def log_density(self, value: np.ndarray) -> np.ndarray:
        """Of draws (draws, *shape), over all elements: (draws,)."""
        terms = self._kept(self.family.distribution.log_density(NUMPY, value, **self.parameters))
        return terms.reshape(len(value), -1).sum(axis=1)

    def _kept(self, terms: np.ndarray) -> np.ndarray:
        return terms if self.exists is None else np.where(self.exists, terms, 0.0)

    @property
    def _batch(self) -> tuple[int, ...]:
        return self.site.shape[: len(self.site.axes)]

    def __str__(self) -> str:
        return f"{self.site.name} ~ {self.family.name}"


def _unit(site: Site) -> np.ndarray:
    return np.ones(site.shape)


def _identity(site: Site) -> dict[str, np.ndarray]:
    size, batch = site.shape[-1], site.shape[:-2]
    return {"df": np.full(batch, size + 2.0), "scale": np.broadcast_to(np.eye(size) / (size + 2.0), site.shape)}


_FIRST: dict[str, Callable[[Site], dict[str, np.ndarray]]] = {
    "gamma": lambda site: {"concentration": _unit(site), "rate": _unit(site)},
    "inverse_gamma": lambda site: {"concentration": 2.0 * _unit(site), "scale": _unit(site)},
    "beta": lambda site: {"concentration1": _unit(site), "concentration0": _unit(site)},
    "dirichlet": lambda site: {"concentration": _unit(site)},
    "wishart": _identity,
    "inverse_wishart": lambda site: {**_identity(site), "scale": np.broadcast_to(np.eye(site.shape[-1]), site.shape)},
}
