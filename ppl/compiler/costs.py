"""Pass: the terms of the ELBO with what each depends on, for Rao-Blackwellised score functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ppl.axes import Axis
from ppl.compiler.programs.writer import location_and_scale
from ppl.model import expressions as ex
from ppl.model.model import Deterministic, Factor, Model, Site, Statement
from ppl.model.plan import Cost, Plan


def list_costs(plan: Plan) -> Plan:
    """One cost for each site, factor, elimination and latent that is integrated out, with its dependencies and, for
    scored sites, its locality.
    """
    groups = {name: elimination for elimination in plan.eliminations for name in elimination.members}
    marginals = {name: marginal for marginal in plan.marginals for name in marginal.members}
    plan = replace(plan, carried=carriers(plan))
    costs: dict[str, Cost] = {}
    for statement in plan.model.statements:
        if not isinstance(statement, Site | Factor):
            continue
        if statement.name in marginals:
            marginal = marginals[statement.name]
            members = [plan.model.by_name[name] for name in marginal.members]
            costs[marginal.name] = _cost(plan, marginal.name, members, marginal.site.axes)
        elif statement.name not in groups:
            costs[statement.name] = _cost(plan, statement.name, [statement], statement.axes)
        elif (group := groups[statement.name]).name not in costs:
            members = [plan.model.by_name[name] for name in group.members]
            straight = tuple(axis for axis in group.plates if axis not in group.lookups)
            costs[group.name] = _cost(plan, group.name, members, group.plates, straight)
    return replace(plan, costs=tuple(costs.values()))


def _cost(
    plan: Plan, name: str, members: Sequence[Statement], axes: tuple[Axis, ...], local: tuple[Axis, ...] | None = None
) -> Cost:
    """The cost of statements that are joined over `axes`; scored sites can be local along those in `local` only."""
    reads = [plan.model.random_ancestors(member) | {member.name} for member in members]
    random = {site.name for site in plan.model.latents} | {param.name for param in plan.model.params}
    direct = (frozenset().union(*reads) & random) - plan.summed
    depends = direct.union(*(plan.carried.get(read, frozenset()) for read in direct))
    locality: dict[str, tuple[Axis, ...]] = {}
    for site in plan.scored:
        if site.name in depends and any(site.name in plan.carried.get(read, ()) for read in direct):
            locality[site.name] = ()
        elif site.name in depends:
            common = set(axes if local is None else local)
            for member, read in zip(members, reads, strict=True):
                common &= _locality(plan.model, member, site.name) if site.name in read else common
            locality[site.name] = tuple(axis for axis in site.axes if axis in common)
    return Cost(name, axes, depends, dict(sorted(locality.items())))


def carriers(plan: Plan) -> dict[str, frozenset[str]]:
    """For each latent the random sites from whose values its own is computed: by the ends of its support, or by the
    location and scale of a standardised coordinate. What depends on the one depends on the others.
    """
    carried: dict[str, frozenset[str]] = {}
    for site in plan.transformed:
        parts = [*site.support.arguments]
        if plan.sites[site.name].standardised:
            parts += location_and_scale(site)
        reads = random_parents(plan.model, *parts)
        found = reads.union(*(carried.get(name, frozenset()) for name in reads))
        if found:
            carried[site.name] = found
    return carried


def random_parents(model: Model, *expressions: ex.Expr) -> frozenset[str]:
    """Sites and params that expressions read, looking through deterministic statements."""
    found: set[str] = set()
    for name in ex.values_read(*expressions):
        statement = model.by_name[name]
        found |= model.random_ancestors(statement) if isinstance(statement, Deterministic) else {name}
    return frozenset(found)


def _locality(model: Model, statement: Statement, name: str) -> frozenset[Axis]:
    """Plates along which element n of `statement` reads element n of site `name`, and no other."""
    axes = frozenset(statement.axes)
    for expression in statement.inputs:
        found = _preserved(model, expression, name)
        if found is not None:
            axes &= found
    return axes


def _preserved(model: Model, root: ex.Expr, name: str) -> frozenset[Axis] | None:
    """The axes of site `name` that reach `root` element by element; None where it does not read the site."""
    found: dict[int, frozenset[Axis] | None] = {}
    for node in ex.walk(root):
        if isinstance(node, ex.Value):
            parent = model.by_name[node.name]
            own = frozenset(node.type.axes) if node.name == name else None
            found[id(node)] = _preserved(model, parent.value, name) if isinstance(parent, Deterministic) else own
            continue
        below = [axes for child in node.children if (axes := found[id(child)]) is not None]
        mixed = node.axes if isinstance(node, ex.Lift) else (node.time,) if isinstance(node, ex.Recurrence) else ()
        found[id(node)] = frozenset.intersection(*below) - frozenset(mixed) if below else None
    return found[id(root)]
