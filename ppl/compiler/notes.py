"""Pass: latents that a note makes points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl.axes import union
from ppl.constraints import SUPPORTS
from ppl.errors import Diagnostic, ModelError
from ppl.model import construct
from ppl.model import expressions as ex
from ppl.model.expressions import Type
from ppl.model.model import Factor, Model, Param, Site, Statement
from ppl.model.plan import Plan
from ppl.model.resolve import fixed_arguments
from ppl.numeric import NUMPY

_OF_DRAWS = ("score", "pathwise", "implicit", "guide", "amortized")
"""Notes about how a latent is drawn."""


def make_points(plan: Plan) -> Plan:
    """Every latent noted `@point` as a learned parameter, with its log density kept as a factor.

    The point is a mode of the density of the value itself, on its own scale: no Jacobian enters. Raises ModelError
    where a site is discrete or its support is not known from data.
    """
    pointed = {site.name for site in plan.model.latents if any(note.name == "point" for note in site.notes)}
    if not pointed:
        return plan
    problems = [p for site in plan.model.latents if site.name in pointed for p in _refuse(site)]
    if problems:
        raise ModelError(problems)
    statements: list[Statement] = []
    for statement in plan.model.statements:
        if isinstance(statement, Site) and statement.name in pointed:
            statements += _as_point(plan.model, statement)
        else:
            statements.append(statement)
    return replace(plan, model=replace(plan.model, statements=tuple(statements)))


def _refuse(site: Site) -> list[Diagnostic]:
    span = next((note.span for note in site.notes if note.name == "point"), None) or site.span
    if SUPPORTS[site.support.name].bijection is None:
        return [Diagnostic("E404", span, f"`{site.name}` is discrete, and cannot be optimised as a point")]
    drawn = next((note for note in site.notes if note.name in _OF_DRAWS), None)
    if drawn is not None:
        found = f"`{site.name}` is noted `@point`, and a point is not drawn as `@{drawn.name}` asks"
        return [Diagnostic("E404", drawn.span or span, found, "remove one of the two notes")]
    if not all(argument.type.static for argument in site.support.arguments):
        found = f"`@point` for `{site.name}`, whose support is random, is not supported yet"
        return [Diagnostic("E801", span, found)]
    return []


def _as_point(model: Model, site: Site) -> tuple[Statement, Statement]:
    support = SUPPORTS[site.support.name]
    assert support.bijection is not None
    prior = f"{site.name}.prior"
    param = Param(site.name, site.axes, site.span, site.dims, site.support, 0.0, prior, present=site.present)
    ends = fixed_arguments(param.axes, len(param.dims), param.support.arguments)
    free = np.zeros(support.unconstrained_shape(param.shape))
    param = replace(param, initial=np.broadcast_to(support.bijection.forward(NUMPY, free, *ends), param.shape))
    value = ex.Value(model.value_type(site.name), site.span, site.name)
    use = site.distribution
    parts = tuple(use.arguments.values())
    axes = union([value.type.axes, *(part.type.axes for part in parts)])
    density: ex.Expr = ex.LogDensity(
        Type(axes, (), static=False), site.span, use.family, value, tuple(use.arguments), parts
    )
    if site.present is not None:
        density = construct.call("where", [site.present, density, construct.constant(0.0)])
    return param, Factor(prior, site.axes, site.span, density)
