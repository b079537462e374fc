"""The plan: what the compiler decided about every site, as data. Nothing downstream re-decides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from ppl.axes import Axis, union
from ppl.errors import Diagnostic
from ppl.model.elimination import Elimination
from ppl.model.model import Model, Site

Treatment = Literal["observed", "enumerated", "guided", "point"]
Estimator = Literal["none", "exact", "pathwise", "score"]


@dataclass(frozen=True)
class SitePlan:
    """The decision for one site (or learned parameter).

    `bijection` is the support whose bijection carries the site to the reals; `block` the guide factor it
    belongs to; `centred` is False where the coordinate is the standardised value, `loc + scale u` being the value
    itself. `reason` says in words why, `alternatives` what else was possible and why not.
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
    centred: bool = True


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
    warnings: tuple[Diagnostic, ...] = ()

    def warned(self, records: Iterable[Diagnostic]) -> Plan:
        """The plan with these warnings too, each once."""
        return replace(self, warnings=tuple(dict.fromkeys((*self.warnings, *records))))

    def with_treatment(self, *treatments: Treatment) -> tuple[SitePlan, ...]:
        return tuple(site for site in self.sites.values() if site.treatment in treatments)

    @property
    def continuous(self) -> tuple[Site, ...]:
        """Latent sites that live in the flat Gaussian vector, in the model's order."""
        return tuple(s for s in self.model.latents if self.sites[s.name].estimator == "pathwise")

    @property
    def scored(self) -> tuple[Site, ...]:
        """Latent sites with a guide factor of their own and a score-function gradient."""
        return tuple(s for s in self.model.latents if self.sites[s.name].estimator == "score")

    @property
    def enumerated(self) -> tuple[Site, ...]:
        """Finite discrete latent sites that are summed out exactly, in the model's order."""
        names = {name for elimination in self.eliminations for name in elimination.states}
        return tuple(site for site in self.model.latents if site.name in names)
