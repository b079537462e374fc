"""Pass: finite discrete sites are summed out exactly, by variable elimination over plates.

Obermeyer et al. (2019), Tensor variable elimination for plated factor graphs. A site goes when all other open sites
in its factors live on plates around its own (or are looked up from there); among those that can go, the one with
the smallest table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ppl.axes import Axis, state_axis
from ppl.compiler.readings import NotElementwise, reading
from ppl.errors import Diagnostic, ModelError
from ppl.model.chains import Chain, chain_of, looks_back, opened
from ppl.model.elimination import Elimination, Part, Reading, Step
from ppl.model.model import Factor, Model, Note, Site
from ppl.model.plan import Plan, SitePlan
from ppl.model.resolve import evaluate

TABLE_LIMIT = 1_000_000
"""The most states of a table for one element of its plates."""


def enumerate_discretes(plan: Plan) -> Plan:
    """Enumerate every finite discrete latent that can be, unless the user asked for `@score`.

    Raises ModelError where a table is too large, or a site marked `@enumerate` cannot be summed out.
    """
    model = plan.model
    discrete = [site for site in model.latents if site.distribution.family.discrete and not _own_factor(site)]
    asked = [site.name for site in discrete if _note(site, "enumerate") is not None]
    found = enumerate_sites(model, [site.name for site in discrete], keep=asked)
    problems = too_large(model, found) + _impossible_notes(model, found)
    if problems:
        raise ModelError(problems)
    sites = dict(plan.sites)
    for elimination in found.eliminations:
        for step in elimination.steps:
            sites[step.site] = _enumerated(sites[step.site], elimination, step)
    warnings = [
        Diagnostic("W402", site.span, f"cannot be enumerated, so it is sampled and scored: {found.reasons[site.name]}")
        for site in discrete
        if site.name in found.reasons and state_count(site) is not None
    ]
    return replace(plan, sites=sites, eliminations=found.eliminations).warned(warnings)


def _enumerated(decided: SitePlan, elimination: Elimination, step: Step) -> SitePlan:
    count, table = elimination.states[step.site].size, elimination.table_states(step)
    joined = f" (a table of {table}, with {', '.join(step.others)})" if step.others else ""
    others = ", ".join(name for name in elimination.members if name != step.site)
    return replace(
        decided,
        treatment="enumerated",
        estimator="exact",
        reason=f"{count} states{joined}, summed out exactly{f' together with {others}' * bool(others)}",
        alternatives="score: unbiased too, but noisy; ask for it with `@score`",
    )


def _own_factor(site: Site) -> bool:
    """Whether the user asked for a guide factor."""
    return any(note.name in ("score", "guide", "amortized") for note in site.notes)


def _note(site: Site, name: str) -> Note | None:
    return next((note for note in site.notes if note.name == name), None)


def _impossible_notes(model: Model, found: Enumeration) -> list[Diagnostic]:
    """Sites marked `@enumerate` that cannot be."""
    problems = []
    for site in model.sites:
        note = _note(site, "enumerate")
        if note is None:
            continue
        if site.observed is not None:
            reason = "it is observed"
        elif not site.distribution.family.discrete:
            reason = "it is continuous"
        elif _note(site, "score") is not None:
            reason = "it is marked `@score` too"
        elif site.name in found.reasons:
            reason = found.reasons[site.name]
        else:
            continue
        problems.append(
            Diagnostic("E404", note.span or site.span, f"`{site.name}` cannot be enumerated: {reason}", "remove it")
        )
    return problems


@dataclass(frozen=True)
class Enumeration:
    """`eliminations` that can be done; `reasons` why the other sites asked for cannot be summed out, in words."""

    eliminations: tuple[Elimination, ...]
    reasons: dict[str, str]


def state_count(site: Site) -> int | None:
    """The most states that an element of a discrete site has, None where that is not known or infinite."""
    if site.support.name == "boolean":
        return 2
    if site.support.name != "integer_interval" or not all(bound.type.static for bound in site.support.arguments):
        return None
    lower, upper = (evaluate(bound).array for bound in site.support.arguments)
    return int(np.max(upper)) - int(np.min(lower)) + 1


def enumerate_sites(model: Model, names: Iterable[str], keep: Iterable[str] = ()) -> Enumeration:
    """How to sum out as many of the named sites as can be; those in `keep` are given up last."""
    sites = {site.name: site for site in model.latents if site.name in set(names)}
    reasons = {}
    states: dict[str, Axis] = {}
    chains: dict[str, Chain] = {}
    for position, site in enumerate(model.latents):
        if site.name in sites and (count := state_count(site)) is not None:
            states[site.name] = state_axis(site.name, count, position)
            chain = chain_of(model, site, state_axis(f"{site.name} before", count, position - len(model.latents)))
            chains |= {} if chain is None else {site.name: chain}
        elif site.name in sites:
            reasons[site.name] = "its support is not known to be finite"
    factors = _factors(opened(model, chains.values()), list(states), chains, reasons)
    protected = set(keep)
    while True:
        open_sites = [name for name in states if name not in reasons]
        groups = _groups(factors, open_sites)
        stuck: list[str] = []
        done = []
        for group in groups:
            steps, left = _ordered(group, {name: sites[name] for name in open_sites}, states, chains)
            stuck += left
            members = tuple(f.name for f in group)
            done.append(Elimination(members, {step.site: states[step.site] for step in steps}, steps))
        if not stuck:
            return Enumeration(tuple(done), reasons)
        given_up = max(stuck, key=lambda name: (name not in protected, states[name].size))
        reasons[given_up] = _coupled(given_up, stuck, sites)
        factors = [f.without(given_up) for f in factors]


def too_large(model: Model, enumeration: Enumeration) -> list[Diagnostic]:
    """A record for every table above the limit."""
    problems = []
    for elimination in enumeration.eliminations:
        for step in elimination.steps:
            if elimination.table_states(step) > TABLE_LIMIT:
                problems.append(_table_too_large(model, elimination, step))
    return problems


def _table_too_large(model: Model, elimination: Elimination, step: Step) -> Diagnostic:
    sizes = [elimination.states[name].size for name in (step.site, *step.others)]
    sizes += [] if step.chain is None else [step.chain.before.size]
    power = f"{sizes[0]}^{len(sizes)}" if len(set(sizes)) == 1 and len(sizes) > 1 else " * ".join(map(str, sizes))
    total = f"{math.prod(sizes):.2g}".replace("e+0", "e").replace("e+", "e")
    shown = f"{power} = {total}" if len(sizes) > 1 else total
    per = f" per {', '.join(axis.name for axis in step.plates)}" if step.plates else ""
    joined = f"joined with {len(step.others)} neighbour{'s' * (len(step.others) != 1)}: " if step.others else ""
    return Diagnostic(
        "E403", model.by_name[step.site].span, f"{joined}a table of {shown} states{per} (limit 1e6)",
        fix="write `@score` before the statement: the site is then sampled instead of summed out",
    )  # fmt: skip


def _coupled(name: str, stuck: Sequence[str], sites: dict[str, Site]) -> str:
    others = ", ".join(f"`{other}`" for other in stuck if other != name)
    plates = ", ".join(axis.name for axis in sites[name].axes) or "no plate"
    return f"its elements (over {plates}) do not come apart from those of {others or 'its neighbours'}"


# Factors and the order --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _LogFactor:
    """A log density over `plates`, and how its elements read each open site."""

    name: str
    plates: tuple[Axis, ...]
    reads: dict[str, Reading]

    def without(self, name: str) -> _LogFactor:
        return _LogFactor(self.name, self.plates, {k: r for k, r in self.reads.items() if k != name})


def _factors(
    model: Model, names: Sequence[str], chains: Mapping[str, Chain], reasons: dict[str, str]
) -> list[_LogFactor]:
    """The statements that read the sites; a site that one of them does not read element by element gets its reason."""
    found = []
    sites = [site for site in model.latents if site.name in names]
    for statement in model.statements:
        if not isinstance(statement, Site | Factor):
            continue
        reads = {}
        for site in sites:
            try:
                how = reading(model, statement, site)
            except NotElementwise as problem:
                reasons.setdefault(site.name, f"in `{statement.name}` {problem}")
                continue
            if how is not None:
                reads[site.name] = how
        if reads:
            found.append(_LogFactor(statement.name, statement.axes, reads))
        for name in looks_back(model, statement) & chains.keys():
            beside = [o for o, how in reads.items() if o != name and chains[name].time in how.needs]
            reasons |= dict.fromkeys(beside, f"in `{statement.name}` it is read together with an earlier `{name}`")
    for name in reasons:
        found = [factor.without(name) for factor in found]
    return found


def _groups(factors: Sequence[_LogFactor], names: Sequence[str]) -> list[list[_LogFactor]]:
    """Factors that are joined by sites, in the model's order."""
    group_of: dict[str, int] = {name: number for number, name in enumerate(names)}
    for factor in factors:
        joined = {group_of[name] for name in factor.reads}
        group_of |= {name: min(joined) for name, number in group_of.items() if number in joined}
    groups: dict[int, list[_LogFactor]] = {}
    for factor in factors:
        if factor.reads:
            groups.setdefault(group_of[next(iter(factor.reads))], []).append(factor)
    return list(groups.values())


def _ordered(
    factors: Sequence[_LogFactor], sites: dict[str, Site], states: dict[str, Axis], chains: Mapping[str, Chain]
) -> tuple[tuple[Step, ...], list[str]]:
    """The steps that sum out the sites of a group, and the sites that cannot go."""
    factors = list(factors)
    open_sites = [name for name in sites if any(name in factor.reads for factor in factors)]
    steps: list[Step] = []
    while open_sites:
        steps_now = [_step(name, sites[name].axes, factors, chains.get(name)) for name in open_sites]
        ready = [step for step in steps_now if step is not None]
        if not ready:
            return tuple(steps), open_sites
        best = min(ready, key=lambda step: math.prod(states[name].size for name in (step.site, *step.others)))
        steps.append(best)
        open_sites.remove(best.site)
        factors = [factor for factor in factors if best.site not in factor.reads]
        factors.append(_LogFactor(best.result, best.left, best.others))
    return tuple(steps), []


def _step(name: str, plates: tuple[Axis, ...], factors: Sequence[_LogFactor], chain: Chain | None) -> Step | None:
    """The step that sums out `name`, None where it must wait for another site."""
    parts, others = [], dict[str, Reading]()
    left = Step(name, plates, (), {}, chain).left
    for factor in factors:
        if name not in factor.reads:
            continue
        how = factor.reads[name]
        moved = _moved(factor, name)
        if moved is None:
            return None
        for other, read in moved.items():
            if not read.needs <= set(left) or not others.setdefault(other, read).same_as(read):
                return None
        parts.append(Part(factor.name, factor.plates, how if how.target else None))
    return Step(name, plates, tuple(parts), others, chain)


def _moved(factor: _LogFactor, name: str) -> dict[str, Reading] | None:
    """How the factor reads its other sites once its elements stand on the plates of `name`; None where that is lost."""
    how = factor.reads[name]
    others = {other: read for other, read in factor.reads.items() if other != name}
    if not how.target:
        return others
    for other, read in others.items():
        if read.target and read.looks_up_as(how):
            others[other] = Reading((*read.direct, *read.target))
        elif read.needs & {*how.source, *how.target}:
            return None
    return others
