"""The plan: what the compiler decided about every site, as data. Nothing downstream re-decides."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from ppl.axes import Axis, union
from ppl.errors import Diagnostic
from ppl.model.collapse import Collapse, CountedElimination
from ppl.model.elimination import Elimination
from ppl.model.marginal import Marginal
from ppl.model.model import Batch, Factor, Model, Site

Treatment = Literal["observed", "collapsed", "enumerated", "marginalised", "guided", "point"]
Estimator = Literal["none", "exact", "pathwise", "implicit", "score"]
Degree = float | tuple[float, ...]
"""How centred a coordinate is, from 0 to 1: for all elements of a site, or for each (plates in order, flattened)."""


@dataclass(frozen=True)
class SitePlan:
    """The decision for one site (or learned parameter).

    `bijection` is the support whose bijection carries the site to the reals; `block` the guide factor it
    belongs to, `factor` the family of its own factor where it is in no block, `amortised` whether that has its
    parameters from a network; `centred` is how far the coordinate u is
    the value itself (1) or the standardised one (0): the value is `loc + scale^(1 - centred) (u - centred loc)`.
    `reason` says in words why, `alternatives` what else was possible and why not.
    """

    name: str
    axes: tuple[Axis, ...]
    treatment: Treatment
    reason: str
    bijection: str = ""
    block: str = ""
    estimator: Estimator = "none"
    size: int = 0
    alternatives: str = ""
    centred: Degree = 1.0
    factor: str = ""
    amortised: bool = False

    @property
    def standardised(self) -> bool:
        """Whether location and scale enter the coordinate of any element."""
        return self.centred != 1.0


@dataclass(frozen=True)
class Cost:
    """One term of the ELBO: the log density of a statement, or of several with the enumerated sites among them summed
    out.

    `depends` names the random sites it reads (itself included, enumerated ones not). `local` tells for each scored
    site among
    them the plates along which element n of the cost reads element n of the site only; `keep` joins them: the plates
    over which the term must not be summed, because a scored site wants its own elements' costs.
    """

    name: str
    axes: tuple[Axis, ...]
    depends: frozenset[str]
    local: dict[str, tuple[Axis, ...]] = field(default_factory=dict)

    @property
    def keep(self) -> tuple[Axis, ...]:
        return union(self.local.values())


@dataclass(frozen=True)
class Plan:
    """The model with the decisions about it."""

    model: Model
    sites: dict[str, SitePlan] = field(default_factory=dict)
    eliminations: tuple[Elimination, ...] = ()
    costs: tuple[Cost, ...] = ()
    collapses: dict[str, Collapse] = field(default_factory=dict)
    counted: dict[str, CountedElimination] = field(default_factory=dict)
    marginals: tuple[Marginal, ...] = ()
    carried: dict[str, frozenset[str]] = field(default_factory=dict)
    """Of latents whose value is computed from those of others, which these are."""
    warnings: tuple[Diagnostic, ...] = ()

    def warned(self, records: Iterable[Diagnostic]) -> Plan:
        """The plan with these warnings too, each once."""
        return replace(self, warnings=tuple(dict.fromkeys((*self.warnings, *records))))

    def with_treatment(self, *treatments: Treatment) -> tuple[SitePlan, ...]:
        return tuple(site for site in self.sites.values() if site.treatment in treatments)

    @property
    def batches(self) -> tuple[Batch, ...]:
        """The plates that a fit goes through in random parts: those with terms that are not collapsed."""
        axes = {axis for cost in self.costs if cost.name not in self.collapses for axis in cost.axes}
        return tuple(batch for batch in self.model.batches if batch.axis in axes)

    def scale(self, axes: Iterable[Axis]) -> float:
        """How often a term over these plates counts, where a step sees only part of one."""
        axes = set(axes)
        return math.prod(b.total / b.size for b in self.model.batches if b.drawn and b.axis in axes)

    def is_local(self, site: Site) -> bool:
        """Whether a site has an element for each one of a plate that is seen in parts."""
        return any(batch.axis in site.axes for batch in self.model.batches)

    @property
    def continuous(self) -> tuple[Site, ...]:
        """Latent sites that live in the flat Gaussian vector, in the model's order."""
        return tuple(s for s in self._guided if not self.sites[s.name].factor)

    @property
    def factored(self) -> tuple[Site, ...]:
        """Latent sites with a guide factor of their own."""
        return tuple(s for s in self._guided if self.sites[s.name].factor)

    @property
    def transformed(self) -> tuple[Site, ...]:
        """Latent sites whose guide is over an unconstrained coordinate."""
        return tuple(s for s in self._guided if self.sites[s.name].bijection)

    @property
    def scored(self) -> tuple[Site, ...]:
        """Latent sites with a score-function gradient."""
        return tuple(s for s in self._guided if self.sites[s.name].estimator == "score")

    @property
    def joined(self) -> dict[str, tuple[str, ...]]:
        """Statements whose log densities are one term, by its name: an elimination or a latent integrated out."""
        found = {elimination.name: elimination.members for elimination in self.eliminations}
        return found | {marginal.name: marginal.members for marginal in self.marginals}

    @property
    def over_cells(self) -> dict[str, Site | Factor]:
        """The members of eliminations whose rows are counted, as they are evaluated."""
        return {member.name: member for found in self.counted.values() for member in found.members}

    @property
    def evaluated_eliminations(self) -> tuple[Elimination, ...]:
        """The eliminations with those whose rows are counted as they are evaluated."""
        return tuple(self.counted[e.name].elimination if e.name in self.counted else e for e in self.eliminations)

    @property
    def summed(self) -> frozenset[str]:
        """The latents that no term depends on: they are summed or integrated out."""
        return frozenset(site.name for site in self.with_treatment("enumerated", "marginalised"))

    @property
    def _guided(self) -> tuple[Site, ...]:
        return tuple(s for s in self.model.latents if self.sites[s.name].treatment == "guided")

    @property
    def enumerated(self) -> tuple[Site, ...]:
        """Finite discrete latent sites that are summed out exactly, in the model's order."""
        names = {name for elimination in self.eliminations for name in elimination.states}
        return tuple(site for site in self.model.latents if site.name in names)
