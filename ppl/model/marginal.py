"""Latents that are integrated out in closed form, as data: a conjugate prior and the observed sites that read it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ppl.axes import Axis, union
from ppl.model.expressions import Expr
from ppl.model.model import Site

RISING = 100.0
"""What a ratio of gamma functions takes, against a sum."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """An observed site each row of which reads one element of the latent, times a known `factor` (None for 1).

    `positions` is which element, counted over the latent's plates in canonical order, with the last one fastest.
    `fixed` are the other parameters. All are known from data, some of which are read row by row along `stream`.
    """

    site: Site
    positions: Expr
    factor: Expr | None
    fixed: dict[str, Expr]
    stream: Axis | None = None


@dataclass(frozen=True, eq=False)
class Marginal:
    """The density of the evidence with the latent `site` integrated out.

    The latent's prior is of an exponential family, and so is its distribution given the evidence: the natural
    parameters grow by sums over the rows of each element.
    """

    site: Site
    evidence: tuple[Evidence, ...]

    @property
    def name(self) -> str:
        return ", ".join(self.members)

    @property
    def members(self) -> tuple[str, ...]:
        """The statements whose log densities are one."""
        return (self.site.name, *(each.site.name for each in self.evidence))

    @property
    def rows(self) -> int:
        """Of all the evidence."""
        return sum(math.prod(axis.size for axis in each.site.axes) for each in self.evidence)

    @property
    def work(self) -> float:
        """Numbers touched for one draw: logarithms of gamma functions."""
        return RISING * (1 + math.prod(dim.size for dim in self.site.dims)) * math.prod(a.size for a in self.site.axes)

    @property
    def plates(self) -> tuple[Axis, ...]:
        """The latent's, in canonical order."""
        return union([self.site.axes])

    def __str__(self) -> str:
        kinds = ", ".join(dict.fromkeys(each.site.distribution.name for each in self.evidence))
        return f"{self.site.distribution.name}-{kinds}"
