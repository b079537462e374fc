"""The verifier: what must hold of a model, and of a plan after each pass. A violation is a bug of ours.

The tests run it between all passes. It works out everything anew, and trusts only the leaves of expressions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ppl.constraints import SUPPORTS
from ppl.errors import InternalError, ModelError
from ppl.functions import UNKNOWN
from ppl.model import expressions as ex
from ppl.model.elimination import Elimination
from ppl.model.expressions import Expr, Type
from ppl.model.model import Deterministic, Factor, Model, Param, Site, Statement
from ppl.model.plan import Cost, Plan
from ppl.model.retyping import inner_nodes, worked_out_type
from ppl.model.uses import core_sizes


def verify(model: Model) -> None:
    """Names, order, axes, types and supports of a model. Raises InternalError."""
    known: dict[str, Statement] = {}
    plates = {axis.name: axis for statement in model.statements for axis in statement.axes}
    for statement in (*model.statements, *model.predicted):
        name = statement.name
        _demand(name not in known, f"two statements are called `{name}`")
        _demand(len(set(statement.axes)) == len(statement.axes), f"`{name}` has a plate twice")
        _demand(
            all(plates.get(axis.name, axis) == axis for axis in statement.axes), f"a plate of `{name}` has two ranges"
        )
        for expression in statement.inputs:
            _check_expression(statement, expression, known)
            loose = set(expression.type.axes) - set(statement.axes)
            _demand(not loose, f"`{name}` reads along {', '.join(map(str, loose))}, which is none of its plates")
        _STATEMENTS[type(statement)](statement)
        known[name] = statement


def verify_plan(plan: Plan, stage: str) -> None:
    """What must hold of a plan after the pass named `stage`, and of its model. Raises InternalError."""
    verify(plan.model)
    for specification in STAGES[stage]:
        specification(plan)


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise InternalError(otherwise)


# Statements -------------------------------------------------------------------------------------------


def _check_site(site: Site) -> None:
    use, name = site.distribution, site.name
    for key, value in use.arguments.items():
        core = use.family.parameter(key).core_dimensions
        _demand(len(value.type.dims) == len(core), f"`{key}` of `{name}` has {value.type}, its core is {core}")
    sizes = core_sizes(use)
    event = tuple(sizes[core].size for core in use.family.event_dimensions)
    _demand(event == tuple(dim.size for dim in site.dims), f"the event of `{name}` is {event}, not {site.dims}")
    _check_support(site)
    _demand(SUPPORTS[site.support.name].discrete == use.family.discrete, f"`{name}` is discrete in one place only")
    if site.observed is not None:
        found = site.observed.type
        _demand(found.event == event, f"`{name}` is observed as {found}, its event is {event}")
        _demand(not ex.values_read(site.observed), f"`{name}` is observed to be something random")


def _check_deterministic(statement: Deterministic) -> None:
    pass


def _check_factor(factor: Factor) -> None:
    _demand(not factor.value.type.dims, f"the factor `{factor.name}` is {factor.value.type}")


def _check_param(param: Param) -> None:
    _demand(bool(param.prior) or not param.axes, f"the parameter `{param.name}` lies in a plate")
    shape = np.shape(param.initial)
    _demand(shape in ((), param.shape), f"`{param.name}` of shape {param.shape} starts at a value of shape {shape}")
    _check_support(param)


def _check_support(statement: Site | Param) -> None:
    name = statement.support.name
    _demand(name in SUPPORTS, f"`{statement.name}` has the support `{name}`, which is not registered")
    support, given = SUPPORTS[name], len(statement.support.arguments)
    _demand(given == len(support.arguments), f"the support of `{statement.name}` has {given} arguments")
    _demand(support.event_rank <= len(statement.dims), f"a value of `{statement.name}` is too small for its support")


_STATEMENTS: dict[type[Statement], Callable[[Any], None]] = {
    Site: _check_site,
    Deterministic: _check_deterministic,
    Factor: _check_factor,
    Param: _check_param,
}


# Expressions ------------------------------------------------------------------------------------------


def _check_expression(statement: Statement, expression: Expr, known: Mapping[str, Statement]) -> None:
    """Every node has the type that its children give it, and reads only statements in `known`.

    A site may read its own past.
    """
    reader = statement.name
    readable = {**known, reader: statement} if isinstance(statement, Site) else known
    for node in ex.walk(expression):
        if isinstance(node, ex.Value):
            _demand(node.name in readable, f"`{reader}` reads `{node.name}`, which is not defined before it")
            _demand(not isinstance(readable[node.name], Factor), f"`{reader}` reads the factor `{node.name}`")
            _check_type(node, Model("", (readable[node.name],)).value_type(node.name), reader)
        else:
            _check_type(node, _typed(node, reader), reader)
        for inner in inner_nodes(node):
            _check_type(inner, _typed(inner, reader), reader)


def _check_type(node: Expr, found: Type, reader: str) -> None:
    where, domain = f"{type(node).__name__} in `{reader}`", node.type.domain
    _demand(domain == UNKNOWN or domain in SUPPORTS, f"{where}: no support `{domain}`")
    stored, worked_out = (_essence(kind) for kind in (node.type, found))
    _demand(stored == worked_out, f"{where}: its type is {stored}, its children give {worked_out}")


def _typed(node: Expr, reader: str) -> Type:
    try:
        return worked_out_type(node)
    except (ModelError, ValueError, IndexError) as error:
        raise InternalError(f"{type(node).__name__} in `{reader}`: {error}") from error


def _essence(kind: Type) -> tuple[object, ...]:
    """What the rest of the system relies on: axes, lengths, staticness. Labels only serve messages."""
    return frozenset(kind.axes), kind.event, kind.static


# Plans, one specification a pass ----------------------------------------------------------------------


def _treated(plan: Plan) -> None:
    """Every site and parameter has a treatment that its kind allows, with a reason."""
    decided = {statement.name: statement for statement in plan.model.statements if isinstance(statement, Site | Param)}
    _demand(list(plan.sites) == list(decided), "the plan's sites are not the model's")
    for name, statement in decided.items():
        site = plan.sites[name]
        observed = isinstance(statement, Site) and statement.observed is not None
        seen = {"observed", "collapsed"} if observed else {"guided", "enumerated", "marginalised"}
        allowed = {"point"} if isinstance(statement, Param) else seen
        _demand(site.treatment in allowed, f"`{name}` is {site.treatment}")
        _demand(site.axes == statement.axes and site.name == name, f"the plan has other plates for `{name}`")
        _demand(site.size == math.prod(statement.shape), f"`{name}` has {site.size} elements in the plan")
        _demand(bool(site.reason), f"no reason is given for `{name}`")


def _enumerated(plan: Plan) -> None:
    """What is summed out is the finite discrete latents of the eliminations, each in one, with all that reads them."""
    names = [name for elimination in plan.eliminations for name in elimination.states]
    treated = {site.name for site in plan.with_treatment("enumerated")}
    _demand(set(names) == treated and len(names) == len(treated), "eliminations and treatments differ")
    members = [name for elimination in plan.eliminations for name in elimination.members]
    _demand(len(set(members)) == len(members), "a statement is in two eliminations")
    for elimination in plan.eliminations:
        _check_elimination(plan.model, elimination)
    for statement in plan.model.statements:
        read = {statement.name} | plan.model.random_ancestors(statement)
        if not isinstance(statement, Deterministic) and read & treated:
            _demand(statement.name in members, f"`{statement.name}` reads an enumerated site and is in no elimination")


def _check_elimination(model: Model, elimination: Elimination) -> None:
    """Each factor is used once, each site goes once, and what stays in a table goes later."""
    sites = [step.site for step in elimination.steps]
    _demand(len(set(sites)) == len(sites) and set(sites) == set(elimination.states), f"{elimination.name}: sites")
    unused, seen = set(elimination.members), set[str]()
    for step in elimination.steps:
        site = model.by_name[step.site]
        _demand(isinstance(site, Site) and site in model.latents, f"`{step.site}` is no latent site")
        _demand(step.plates == site.axes, f"`{step.site}` is summed over other plates than its own")
        seen.add(step.site)
        _demand(not seen & set(step.others), f"a table of `{step.site}` has a site that is gone")
        for part in step.parts:
            _demand(part.factor in unused, f"`{part.factor}` is used twice or before it is there")
            unused.remove(part.factor)
        unused.add(step.result)
    _demand(unused == {elimination.steps[-1].result}, f"{elimination.name}: left over are {', '.join(sorted(unused))}")


_ESTIMATORS = {"observed": {"none"}, "collapsed": {"none"}, "enumerated": {"exact"}, "marginalised": {"exact"}}


def _estimated(plan: Plan) -> None:
    """Every latent has an estimator that fits its treatment, and what that estimator needs."""
    for site in plan.model.sites:
        decided, name = plan.sites[site.name], site.name
        discrete = site.distribution.family.discrete
        allowed = _ESTIMATORS.get(decided.treatment, {"pathwise", "implicit", "score"})
        _demand(decided.estimator in allowed, f"`{name}` is {decided.treatment} with the {decided.estimator} estimator")
        _demand(not discrete or decided.estimator in ("none", "exact", "score"), f"`{name}` is discrete and pathwise")
        if decided.bijection:
            _demand(decided.bijection == site.support.name, f"`{name}` goes through the bijection of another support")
            _demand(SUPPORTS[decided.bijection].bijection is not None, f"`{name}` has no bijection")
        if decided.treatment == "guided":
            _demand(bool(decided.block) != bool(decided.factor), f"`{name}` is not in one part of the guide")


def _costed(plan: Plan) -> None:
    """Every log density is in one cost, which knows all the random sites it reads."""
    groups = plan.joined
    covered = [member for cost in plan.costs for member in groups.get(cost.name, (cost.name,))]
    terms = [s.name for s in plan.model.statements if isinstance(s, Site | Factor)]
    _demand(sorted(covered) == sorted(terms), "the costs are not those of all sites and factors, each once")
    for cost in plan.costs:
        _check_cost(plan, cost, groups.get(cost.name, (cost.name,)))


def _check_cost(plan: Plan, cost: Cost, members: tuple[str, ...]) -> None:
    model = plan.model
    random = {s.name for s in (*model.latents, *model.params)} - plan.summed
    read = {name for member in members for name in (member, *model.random_ancestors(model.by_name[member]))}
    wanted = (read & random).union(*(plan.carried.get(name, frozenset()) for name in read & random))
    _demand(cost.depends == wanted, f"the cost of `{cost.name}` depends on {sorted(wanted)}")
    scored = {site.name: site for site in plan.scored if site.name in cost.depends}
    _demand(set(cost.local) == set(scored), f"the cost of `{cost.name}` is local in other sites than those scored")
    for name, local in cost.local.items():
        shared = set(scored[name].axes) & set(cost.axes)
        _demand(set(local) <= shared, f"the cost of `{cost.name}` is local along a plate that `{name}` lacks")


def _collapsed(plan: Plan) -> None:
    """What is collapsed is observed, its cost a single number; what is evaluated stands over its cells."""
    treated = {site.name for site in plan.with_treatment("collapsed")}
    _demand(treated == plan.collapses.keys(), "collapses and treatments differ")
    joined = {name for members in plan.joined.values() for name in members}
    _demand(not treated & joined, "a collapsed site is in an elimination")
    for cost in plan.costs:
        _demand(not (cost.keep and cost.name in treated), f"a scored site wants the parts of `{cost.name}`")
    for name, found in plan.collapses.items():
        _demand(found.site is plan.model.by_name[name], f"the statistics are not those of `{name}`")
        _demand(set(found.cells.plates) == set(found.site.axes), f"the rows of `{name}` run over other plates")
        counts = found.cells.counts
        _demand(len(counts) == found.cells.axis.size and bool(np.all(counts > 0)), f"`{name}` has an empty cell")
        known = {name, *plan.model.random_ancestors(found.site)}
        for expression in found.expressions:
            _check_expression(found.site, expression, plan.model.by_name)
            _demand(set(expression.type.axes) <= {found.cells.axis}, f"`{name}` is evaluated along its rows")
            _demand(ex.values_read(expression) <= known, f"`{name}` does not depend on all that is evaluated for it")


def _marginalised(plan: Plan) -> None:
    """What is integrated out is read by the observed sites of its evidence alone."""
    names = [marginal.site.name for marginal in plan.marginals]
    _demand(
        set(names) == {site.name for site in plan.with_treatment("marginalised")}, "marginals and treatments differ"
    )
    members = [name for group in plan.joined.values() for name in group]
    _demand(len(set(members)) == len(members), "a statement is in two joint terms")
    for marginal in plan.marginals:
        for statement in plan.model.statements:
            reads = marginal.site.name in plan.model.random_ancestors(statement) - {statement.name}
            if reads and not isinstance(statement, Deterministic):
                _demand(statement.name in marginal.members, f"`{statement.name}` reads a site that is integrated out")


def _counted(plan: Plan) -> None:
    """An elimination over kinds of rows has the members and states of the one it stands for, none over rows."""
    whole = {elimination.name: elimination for elimination in plan.eliminations}
    for name, found in plan.counted.items():
        _demand(name in whole, f"`{name}` is no elimination")
        _demand(set(found.cells.plates) == set(whole[name].plates), f"the rows of `{name}` run over other plates")
        _demand(tuple(member.name for member in found.members) == whole[name].members, f"`{name}` has other members")
        _demand(found.elimination.states == whole[name].states, f"`{name}` has other states")
        _demand(found.elimination.plates == (found.cells.axis,), f"`{name}` is left over other plates than its cells")
        for member in found.members:
            axes = {axis for part in member.inputs for axis in part.type.axes} | set(member.axes)
            _demand(not axes & set(found.cells.plates), f"`{member.name}` is evaluated along its rows")


STAGES: dict[str, tuple[Callable[[Plan], None], ...]] = {
    "make_points": (),
    "treat": (_treated,),
    "enumerate_discretes": (_treated, _enumerated),
    "choose_estimators": (_treated, _enumerated, _estimated),
    "parameterise": (_treated, _enumerated, _estimated),
    "split_hierarchy": (_treated, _enumerated, _estimated),
    "list_costs": (_treated, _enumerated, _estimated, _costed),
    "collapse": (_treated, _enumerated, _estimated, _costed, _collapsed, _marginalised),
    "count_rows": (_treated, _enumerated, _estimated, _costed, _collapsed, _marginalised, _counted),
    "all_at_hand": (_treated, _enumerated, _estimated, _costed, _collapsed, _marginalised, _counted),
}
"""The specifications that hold after each pass of the compiler, by the pass's name."""
