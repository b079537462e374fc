"""Which latent sites have a complete conditional in an exponential family, told from the expressions.

Where every log density that reads a site is affine in the statistics of a family, with coefficients that do not read
the site, its mean-field factor has a closed-form update: the expected natural parameter is the derivative of the
expected log joint density by the mean statistics (Winn and Bishop 2005; Hoffman, Johnson and Tran 2018). Real sites in
which the log density is quadratic form joint normal blocks; finite discrete sites are summed out of the expected log
factors; all others take gradient steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ppl.axes import union
from ppl.compiler.conjugacy.degree import Monomials, monomials
from ppl.compiler.conjugacy.expectation import (
    COMPLEMENT,
    INVERSE,
    LOG,
    LOG_DET,
    MEAN,
    RECIPROCAL,
    Expectation,
    NotConjugate,
)
from ppl.compiler.conjugacy.forms import expected_log_density
from ppl.distributions import DISTRIBUTIONS, Distribution
from ppl.model import expressions as ex
from ppl.model.chains import opened
from ppl.model.expressions import Expr
from ppl.model.model import Factor, Model, Site, Statement
from ppl.model.plan import Plan

Role = Literal["natural", "normal", "enumerated", "gradient"]


@dataclass(frozen=True)
class ConjugateFamily:
    """A family of factors, by the sites' support; `kinds` are its statistics, in the order of its natural form."""

    name: str
    support: str
    kinds: tuple[str, ...]

    @property
    def distribution(self) -> Distribution:
        return DISTRIBUTIONS[self.name]


FAMILIES = (
    ConjugateFamily("gamma", "positive", (LOG, MEAN)),
    ConjugateFamily("inverse_gamma", "positive", (LOG, RECIPROCAL)),
    ConjugateFamily("beta", "unit_interval", (LOG, COMPLEMENT)),
    ConjugateFamily("dirichlet", "simplex", (LOG,)),
    ConjugateFamily("wishart", "positive_definite", (MEAN, LOG_DET)),
    ConjugateFamily("inverse_wishart", "positive_definite", (INVERSE, LOG_DET)),
)
_SOFT = {family.support for family in FAMILIES}


@dataclass(frozen=True)
class Update:
    """How the factor of a site is updated; `family` is the natural one's. `reason` says in words why."""

    site: str
    role: Role
    reason: str
    family: ConjugateFamily | None = None


@dataclass(frozen=True)
class Conjugacy:
    """The outcome of the analysis. `plan` has the model in which chains read `Before`.

    `expected` holds the expected log density of each site and factor, elementwise, as an expression of mean statistics
    and of the values of all sites that have no natural factor; None where it is the statement's own density.
    `normal_blocks` are groups of sites in which the log joint density is quadratic; `gradient_block` the sites without
    a closed form.
    """

    plan: Plan
    updates: dict[str, Update]
    expected: dict[str, Expr | None]
    normal_blocks: tuple[tuple[str, ...], ...] = ()

    @property
    def model(self) -> Model:
        return self.plan.model

    def with_role(self, role: Role) -> tuple[Site, ...]:
        return tuple(site for site in self.model.latents if self.updates[site.name].role == role)

    @property
    def gradient_block(self) -> tuple[str, ...]:
        return tuple(site.name for site in self.with_role("gradient"))

    @property
    def natural(self) -> dict[str, ConjugateFamily]:
        """The families of the sites with a natural factor."""
        found = {name: update.family for name, update in self.updates.items()}
        return {name: family for name, family in found.items() if family is not None}

    @property
    def members(self) -> frozenset[str]:
        """The statements whose log densities an elimination joins."""
        return frozenset(name for elimination in self.plan.eliminations for name in elimination.members)


def find_conjugacy(plan: Plan) -> Conjugacy:
    """The roles of all latent sites of a compiled plan."""
    chains = [chain for elimination in plan.eliminations for chain in elimination.chains]
    model = opened(plan.model, chains)
    enumerated = {site.name for site in plan.enumerated}
    continuous = [site for site in model.latents if site.name not in enumerated]
    search = _Search(model, {site.name for site in continuous if site.support.name in _SOFT},
                     {site.name for site in continuous if site.support.name == "real"})  # fmt: skip
    search.run()
    updates = {}
    for site in model.latents:
        if site.name in enumerated:
            reason = plan.sites[site.name].reason.replace("exactly", "of the expected log densities")
            updates[site.name] = Update(site.name, "enumerated", reason)
        else:
            updates[site.name] = search.update(site)
    blocks = _blocks([s.name for s in model.latents if updates[s.name].role == "normal"], search.products)
    return Conjugacy(replace(plan, model=model), updates, search.expected, blocks)


@dataclass
class _Search:
    """Takes sites out of the conjugate ones until what is left is consistent; `reasons` say why each was taken out."""

    model: Model
    soft: set[str]
    normal: set[str]
    reasons: dict[str, str] = field(default_factory=dict)
    families: dict[str, ConjugateFamily] = field(default_factory=dict)
    expected: dict[str, Expr | None] = field(default_factory=dict)
    products: list[Monomials] = field(default_factory=list)

    def run(self) -> None:
        while self._take_out(self._not_soft()) or self._take_out(self._not_normal()):
            pass

    def _take_out(self, found: Mapping[str, str]) -> bool:
        self.soft -= found.keys()
        self.normal -= found.keys()
        self.reasons = {**found, **self.reasons}
        return bool(found)

    def _not_soft(self) -> dict[str, str]:
        """Sites that cannot keep a natural factor; where there are none, `expected` and `families` are right."""
        q = Expectation(self.model, frozenset(self.soft))
        found: dict[str, str] = {}
        for statement in self.model.statements:
            if isinstance(statement, Site | Factor):
                try:
                    self.expected[statement.name] = _expected(q, self.model, statement)
                except NotConjugate as problem:
                    found |= dict.fromkeys(problem.sites - found.keys(), f"in `{statement.name}` {problem}")
        for name in self.soft - found.keys():
            site, kinds = self.model.by_name[name], q.requests.get(name, set())
            assert isinstance(site, Site)
            able = [f for f in FAMILIES if f.support == site.support.name and kinds <= set(f.kinds)]
            if able:
                self.families[name] = able[0]
            else:
                found[name] = f"no family has its statistics {', '.join(sorted(kinds))}"
        return found

    def _not_normal(self) -> dict[str, str]:
        """Real sites in which some log density is not quadratic; where there are none, `products` is right."""
        self.products, found = [], dict[str, str]()
        for name, term in self.expected.items():
            statement = self.model.by_name[name]
            reads = frozenset(self.normal & (self.model.random_ancestors(statement) | {name}))
            if not reads:
                continue
            products = None if term is None else monomials(self.model, term, reads)
            if products is None or any(m.count(site) > 2 for m in products for site in m):
                found |= dict.fromkeys(self._culprits(term, reads), f"`{name}` is not quadratic in it")
            else:
                self.products.append(products)
        return found

    def _culprits(self, term: Expr | None, reads: frozenset[str]) -> Iterable[str]:
        """The sites in which a term is no quadratic by themselves; all of them where none is."""
        if term is None:
            return reads
        alone = {site: monomials(self.model, term, frozenset([site])) for site in reads}
        guilty = [site for site, found in alone.items() if found is None or any(len(m) > 2 for m in found)]
        return guilty or reads

    def update(self, site: Site) -> Update:
        family = self.families.get(site.name)
        if site.name in self.soft and family is not None:
            return Update(site.name, "natural", f"closed form: {family.name}", family)
        if site.name in self.normal:
            return Update(site.name, "normal", "closed form: normal")
        why = self.reasons.get(site.name, f"no conjugate family lives on its support, {site.support.name}")
        return Update(site.name, "gradient", why)


def _expected(q: Expectation, model: Model, statement: Statement) -> Expr | None:
    """The expected log density of a statement; None where no rule is needed and it is the family's own."""
    if isinstance(statement, Factor):
        return q.mean(statement.value)
    assert isinstance(statement, Site)
    value = statement.observed
    if value is None:
        kind = model.value_type(statement.name)
        value = ex.Value(replace(kind, axes=union([kind.axes])), statement.span, statement.name)
    return expected_log_density(q, statement.distribution.family, value, statement.distribution.arguments)


def _blocks(names: list[str], products: Iterable[Monomials]) -> tuple[tuple[str, ...], ...]:
    """Groups of sites, as large as may be, in each of which no product of sites has a degree above two."""
    found = {monomial for each in products for monomial in each}
    blocks: list[list[str]] = []
    for name in names:
        for block in blocks:
            together = {*block, name}
            if all(sum(site in together for site in monomial) <= 2 for monomial in found):
                block.append(name)
                break
        else:
            blocks.append([name])
    return tuple(tuple(block) for block in blocks)
