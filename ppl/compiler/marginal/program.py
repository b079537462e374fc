"""The log density of latents that are integrated out, and their distribution given the rest, as operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ppl.axes import DRAW, union
from ppl.compiler.marginal.statistics import sums_of_evidence
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.writer import Writer
from ppl.distributions.base import ExponentialFamily
from ppl.distributions.formulas import log_rising
from ppl.model.marginal import Marginal
from ppl.model.plan import Plan
from ppl.model.resolve import Resolved

Value = Resolved[Ref]
Array = Any


def _beta(xp: Any, successes: Array, failures: Array, concentration1: Array, concentration0: Array) -> Array:
    together = log_rising(xp, concentration1 + concentration0, successes + failures)
    return log_rising(xp, concentration1, successes) + log_rising(xp, concentration0, failures) - together


def _gamma(xp: Any, shape: Array, slope: Array, concentration: Array, rate: Array) -> Array:
    grown = log_rising(xp, concentration, shape) - shape * xp.log(rate - slope)
    return grown - concentration * xp.log1p(-slope / rate)


def _dirichlet(xp: Any, counts: Array, concentration: Array) -> Array:
    together = log_rising(xp, xp.sum(concentration, axis=-1), xp.sum(counts, axis=-1))
    return xp.sum(log_rising(xp, concentration, counts), axis=-1) - together


GROWTH: Mapping[str, Callable[..., Array]] = {"beta": _beta, "gamma": _gamma, "dirichlet": _dirichlet}
"""`A(eta + sums) - A(eta)`, the sums first, for parameters of any size: as a difference it would lose its digits where
a group is so alike that they are huge.
"""


def marginal_term(writer: Writer, marginal: Marginal) -> Value:
    """`A(eta + sums) - A(eta)` and the rest of the evidence, for each element of the latent."""
    sums, growth = _sums(writer, marginal), GROWTH[marginal.site.distribution.family.name]

    def implementation(xp: Any, rest: Any, *sums: Any, **parameters: Any) -> Any:
        return growth(xp, *sums, **parameters) + rest

    return _applied(writer, marginal, "log_marginal", implementation, [sums[-1], *sums[:-1]], 0)


def conditionals_program(plan: Plan) -> ArrayProgram:
    """`run(values, prepared)`: for each latent that is integrated out the natural parameters of its distribution given
    the rest, `{"0": (draw, plates…, core), …}` in the order of its family's form.
    """
    writer = Writer(plan.model)
    groups: dict[str, dict[str, Ref]] = {}
    for number, marginal in enumerate(plan.marginals):
        form, sums = _form(marginal), _sums(writer, marginal)
        outputs = {}
        for place, rank in enumerate(form.ranks):
            value = _applied(writer, marginal, f"natural_{place}", _grown(form, place), [sums[place]], rank)
            axes = union([(DRAW, *marginal.site.axes)])
            # a parameter that reads nothing random has no draws
            shape = (-1, *(axis.size for axis in axes[1:]), *[dim.size for dim in marginal.site.dims] * rank)
            array = writer.recorder.reshape(value.array, shape)
            order = [axes.index(axis) for axis in (DRAW, *marginal.site.axes)]
            order += range(len(axes), len(axes) + rank)
            outputs[str(place)] = writer.recorder.transpose(array, tuple(order))
        groups[f"group_{number}"] = outputs
    return writer.program(["values"], "natural parameters given the rest", **groups)


def _form(marginal: Marginal) -> ExponentialFamily:
    form = marginal.site.distribution.family.exponential
    assert form is not None
    return form


def _grown(form: ExponentialFamily, place: int) -> Callable[..., Any]:
    return lambda xp, more, **parameters: form.natural(xp, **parameters)[place] + more


def _sums(writer: Writer, marginal: Marginal) -> list[Value]:
    """The sums for each natural parameter, and the rest."""
    recorder, ranks = writer.recorder, (*_form(marginal).ranks, 0)
    name = recorder.function(
        f"evidence_of_{marginal.site.name}", lambda xp, data: sums_of_evidence(marginal, data)
    )  # fmt: skip
    whole = recorder.record(f"{name}(data)", static=True)
    refs = [recorder.record(f"{{}}[{place}]", (whole,)) for place in range(len(ranks))]
    return [Resolved(ref, marginal.plates, rank) for ref, rank in zip(refs, ranks, strict=True)]


def _applied(
    writer: Writer, marginal: Marginal, stem: str, function: Callable[..., Any], sums: list[Value], rank: int
) -> Value:
    """A function of sums and of the prior's parameters."""
    arguments = {name: writer.resolver(part) for name, part in marginal.site.distribution.arguments.items()}
    refs = writer.resolver.align([*sums, *arguments.values()])
    named = dict(zip(arguments, refs[len(sums) :], strict=True))
    name = f"{marginal.site.name.replace('.', '_')}_{stem}"
    ref = writer.recorder.invoke(name, function, refs[: len(sums)], named)
    return Resolved(ref, union(item.axes for item in [*sums, *arguments.values()]), rank)
