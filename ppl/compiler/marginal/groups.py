"""Pass: groups of latents with a conjugate prior that only observed sites read are integrated out in closed form.

What is left are the unknowns of the prior: of 70 batting averages with a common beta prior the two numbers of that.
Afterwards the latents are drawn from their exact distribution given the rest. Normal groups are left to the
conditional guide, which does the same for them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from ppl.compiler.collapse.candidate import inlined
from ppl.compiler.collapse.linear import Kinds, split
from ppl.compiler.collapse.rows import stream_of
from ppl.compiler.marginal.statistics import RULES
from ppl.compiler.predictor.affine import READS
from ppl.distributions import DISTRIBUTIONS
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Expr, values_read
from ppl.model.marginal import Evidence, Marginal
from ppl.model.model import Deterministic, Model, Site
from ppl.model.plan import Plan, SitePlan
from ppl.model.rewrite import substituted
from ppl.model.streamed import source_of


def marginalise(plan: Plan) -> Plan:
    """Mark the latents that are to be integrated out; none where a fit sees parts of a plate, or a latent has a factor
    of its own.
    """
    if plan.model.batches or plan.factored:
        return plan
    sites, found = dict(plan.sites), list[Marginal]()
    taken = {name for elimination in plan.eliminations for name in elimination.members}
    for site in plan.continuous:
        marginal = None if site.name in taken else _marginal(plan.model, site, taken)
        if marginal is not None:
            found.append(marginal)
            taken |= set(marginal.members)
            sites |= _decided(plan.model, sites, marginal)
    return replace(plan, sites=sites, marginals=tuple(found)) if found else plan


def may_marginalise(plan: Plan) -> bool:
    """Whether a latent looks as if the pass would take it."""
    return any(_is_group(plan.model, site) for site in plan.continuous)


def _is_group(model: Model, site: Site) -> bool:
    family = site.distribution.family
    conjugate = family.name in {prior for prior, _ in RULES} and DISTRIBUTIONS.get(family.name) is family
    plain = conjugate and bool(site.axes) and site.present is None and not site.notes
    return plain and bool(model.random_ancestors(site) - {site.name})


def _decided(model: Model, sites: dict[str, SitePlan], marginal: Marginal) -> dict[str, SitePlan]:
    name, size = marginal.site.name, sites[marginal.site.name].size
    found = {
        name: replace(
            sites[name],
            treatment="marginalised",
            estimator="exact",
            bijection="",
            block="",
            reason=f"{marginal}: {size} unknowns integrated out, later drawn given the rest",
            alternatives="",
        )
    }
    for each in marginal.evidence:
        known = sites[each.site.name]
        rows = "" if each.stream is None else f", in one pass over the rows of {source_of(model)}"
        found[known.name] = replace(known, reason=f"{known.reason}, {name} integrated out{rows}")
    return found


def _marginal(model: Model, site: Site, taken: Collection[str]) -> Marginal | None:
    """None where something else reads the latent, or reads it otherwise than its family can be conjugate to."""
    if not _is_group(model, site):
        return None
    evidence = []
    for statement in model.statements:
        reads = model.random_ancestors(statement) - {statement.name}
        if isinstance(statement, Deterministic) or site.name not in reads:
            continue
        each = None
        if isinstance(statement, Site) and statement.name not in taken:
            each = _evidence(model, site, statement)
        if each is None:
            return None
        evidence.append(each)
    return Marginal(site, tuple(evidence)) if evidence else None


def _evidence(model: Model, latent: Site, site: Site) -> Evidence | None:
    """None where the family of the site, or how it reads the latent, is not conjugate to the latent's."""
    family = site.distribution.family
    rule = RULES.get((latent.distribution.family.name, family.name))
    if rule is None or DISTRIBUTIONS.get(family.name) is not family or site.present is not None:
        return None
    if site.observed is None or not site.axes:
        return None
    parts = {name: inlined(model, part, True) for name, part in site.distribution.arguments.items()}
    observed = inlined(model, site.observed, True)
    if any(part is None for part in parts.values()) or observed is None or not observed.type.static:
        return None
    known = {name: part for name, part in parts.items() if part is not None and name != rule.parameter}
    argument = parts.get(rule.parameter)
    if argument is None or any(not part.type.static for part in known.values()):
        return None
    read = _one_element(argument, latent, site)
    if read is None or (read[0] is not None and not rule.scales):
        return None
    stream = stream_of([argument, observed, *known.values()])
    return Evidence(replace(site, observed=observed), _positions(model, latent, read[1]), read[0], known, stream)


def _one_element(argument: Expr, latent: Site, site: Site) -> tuple[Expr | None, Expr] | None:
    """A known factor, None for 1, and the element of the latent that it multiplies; None where it is not that."""

    def whole(part: Expr, plates: Collection[object]) -> bool:
        return _is_element(part, latent)

    parts = split(argument, Kinds(site.axes, lambda part: part.type.static, whole))
    if len(parts) != 1 or parts[0].factor is None or not _is_element(parts[0].factor, latent):
        return None
    return parts[0].coefficient, parts[0].factor


def _is_element(node: Expr, latent: Site) -> bool:
    """Whether a node is one element of the latent for each row, its whole event, found by data alone."""
    if len(node.type.dims) != len(latent.dims) or values_read(node) != {latent.name}:
        return False
    while isinstance(node, READS):
        if isinstance(node, ex.SliceOf):
            return False
        node = node.base
    return isinstance(node, ex.Value)


def _positions(model: Model, latent: Site, read: Expr) -> Expr:
    """The read with the number of each element, in canonical order of the plates, in place of the latent."""
    axes = sorted(latent.axes, key=lambda axis: axis.order)
    numbers = np.arange(int(np.prod([axis.size for axis in axes]))).reshape([axis.size for axis in axes])
    event = [dim.size for dim in latent.dims]
    spread = np.broadcast_to(numbers.reshape(*numbers.shape, *[1] * len(event)), (*numbers.shape, *event))
    return substituted(read, {latent.name: construct.over(np.ascontiguousarray(spread), axes)})
