"""The program of expected log likelihoods over linear predictors."""

from __future__ import annotations

from collections.abc import Mapping

from ppl.compiler.collapse.writer import collapsed_term
from ppl.compiler.predictor.moments import COLUMN, Covariance, moment
from ppl.compiler.predictor.sites import Predicted
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.blocks import blocked_term
from ppl.compiler.programs.writer import Writer
from ppl.model.model import Site
from ppl.model.plan import Plan


def predicted_program(plan: Plan, predicted: Mapping[str, Predicted], covariance: Covariance) -> ArrayProgram:
    """`run(values, moments, prepared) -> {name: expected log density}`, each (draw,), of observed sites.

    `moments[kind]` has the coordinates of each site, (plates…, event…), for the kinds that the covariance has; columns
    have an axis in front.
    """
    writer = Writer(plan.model)
    for name in sorted(frozenset().union(*(each.over for each in predicted.values()))):
        site = plan.model.by_name[name]
        assert isinstance(site, Site)
        for kind in covariance.parts:
            axes = (covariance.axis, *site.axes) if kind == COLUMN else site.axes
            ref = writer.recorder.input(f"moments[{kind!r}][{name!r}]")
            writer.values[moment(kind, name)] = writer.resolver.in_order(ref, axes, len(site.dims))
    terms = {name: _term(writer, plan, each) for name, each in predicted.items()}
    return writer.program(["values", "moments"], "expected log likelihoods, by name", terms=terms)


def _term(writer: Writer, plan: Plan, each: Predicted) -> Ref:
    if each.collapse is not None:
        term = writer.times(collapsed_term(writer, each.collapse), each.weights)
        return writer.reduced(term, term.axes, ())
    in_blocks = blocked_term(writer, plan, each.site, each.correction, each.weights)
    if in_blocks is not None:
        return in_blocks
    return writer.reduced(writer.weighed(each.site, each.correction, each.weights), each.site.axes, ())
