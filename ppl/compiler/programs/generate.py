"""Code generation: the programs a plan needs, as readable Python functions over `xp`.

`expected`      expected log priors, from the moments of a guide
`density`       terms of the log joint density at given constrained values
`pointwise`     the log density of every single observation
`constrain`     unconstrained latents to values, with log |det J| for each site
`quantities`    deterministic statements and the predict block at given values
`simulate`      ancestral draws of everything that is not given
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from ppl.axes import DRAW, Axis
from ppl.compiler.collapse.writer import times_counts
from ppl.compiler.enumeration.elimination import eliminate, log_terms, opened_writer
from ppl.compiler.marginal.program import marginal_term
from ppl.compiler.programs.ancestral import draw
from ppl.compiler.programs.arrays import ArrayProgram, Ref
from ppl.compiler.programs.blocks import blocked_terms
from ppl.compiler.programs.writer import Writer, location_and_scale
from ppl.constraints import SUPPORTS
from ppl.functions import FUNCTIONS
from ppl.model.elimination import Elimination
from ppl.model.expressions import values_read
from ppl.model.model import Deterministic, Factor, Model, Param, Site, Statement
from ppl.model.plan import Plan
from ppl.model.resolve import Resolved


def density_program(plan: Plan, without: Collection[str] = ()) -> ArrayProgram:
    """`run(values, prepared) -> {statement: log density}`, each (draw, kept plates…), plates in canonical order.

    Statements that an elimination joins are one entry, under its name, with the enumerated sites summed out. Those
    `without` which the program is to be, none of them joined, are left out.
    """
    writer = opened_writer(plan)
    keep = {cost.name: cost.keep for cost in plan.costs}
    factors = log_terms(writer, plan, counted=True)
    groups = {name: elimination for elimination in plan.eliminations for name in elimination.members}
    integrated = {name: marginal for marginal in plan.marginals for name in marginal.members}
    terms: dict[str, Ref] = {}
    in_blocks = blocked_terms(writer, plan)
    for name, term in factors.items():
        if name in without:
            continue
        if (marginal := integrated.get(name)) is not None:
            if marginal.name not in terms:
                terms[marginal.name] = writer.reduced(marginal_term(writer, marginal), marginal.site.axes, ())
        elif name in in_blocks:
            terms[name] = in_blocks[name]
        elif name not in groups:
            plates = term.axes if name in plan.collapses else plan.model.by_name[name].axes
            terms[name] = writer.reduced(term, plates, keep.get(name, ()))
        elif (group := groups[name]).name not in terms:
            terms[group.name] = _eliminated(writer, plan, group, factors, keep.get(group.name, ()))
    return writer.program(["values"], "the log density of every statement, by name", terms=terms)


def _eliminated(
    writer: Writer, plan: Plan, group: Elimination, factors: Mapping[str, Resolved[Ref]], keep: tuple[Axis, ...]
) -> Ref:
    """The log density of the members of an elimination, (draw, kept plates…)."""
    counted = plan.counted.get(group.name)
    if counted is None:
        return writer.reduced(eliminate(writer, group, factors)[-1].result, group.plates, keep)
    left = eliminate(writer, counted.elimination, factors)[-1].result
    return writer.reduced(times_counts(writer, counted.cells, left), (counted.cells.axis,), ())


def expected_program(
    plan: Plan, formulas: Mapping[str, tuple[Callable[..., Any], tuple[int, ...], bool]]
) -> ArrayProgram:
    """`run(values, moments, prepared) -> {name: expected log prior}`, each (draw, kept plates…).

    `formulas` gives for each site a function of its moments and, where the flag is set, of the parameters of its
    prior, and the event rank of each moment; `moments[name]` are arrays (plates…, event…).
    """
    writer = Writer(plan.model)
    keep = {cost.name: cost.keep for cost in plan.costs}
    terms: dict[str, Ref] = {}
    for name, (formula, ranks, takes_parameters) in formulas.items():
        site = plan.model.by_name[name]
        assert isinstance(site, Site)
        term = writer.expected(site, formula, ranks, takes_parameters)
        terms[name] = writer.reduced(writer.present(site, term), site.axes, keep.get(name, ()))
    return writer.program(["values", "moments"], "expected log priors, by name", terms=terms)


def encoder_program(plan: Plan) -> ArrayProgram:
    """`run(values, prepared) -> {name: outputs}` of the networks that guides have parameters from: (plates…, outputs).

    `values` has the learned parameters and the positions of plates that are seen in parts.
    """
    writer = Writer(plan.model)
    outputs: dict[str, Ref] = {}
    for site in plan.factored:
        if plan.sites[site.name].amortised:
            note = next(note for note in site.notes if note.name == "amortized")
            array, axes = writer.stretched(writer.resolver(note.arguments[1]), site.axes)
            order = [*(axes.index(axis) for axis in site.axes), len(axes)]
            outputs[site.name] = array if order == sorted(order) else writer.recorder.transpose(array, tuple(order))
    return writer.program(["values"], "the outputs of the encoders", outputs=outputs)


def pointwise_program(model: Model) -> ArrayProgram:
    """`run(values, prepared) -> {name: log density}` of the observed sites, each (draw, plates…)."""
    writer = Writer(model)
    terms: dict[str, Ref] = {}
    for statement in model.statements:
        if isinstance(statement, Factor):
            continue
        value = writer.known(statement)
        if isinstance(statement, Site) and statement.observed is not None:
            array, _ = writer.stretched(writer.density(statement, value), (DRAW, *statement.axes))
            terms[statement.name] = writer.returned(array, statement.axes, 0)
    return writer.program(["values"], "the log density of every observation", terms=terms)


def constrain_program(plan: Plan, free: Collection[str] = ()) -> ArrayProgram:
    """`run(unconstrained, values, prepared) -> {name: value}, {name: log |det J|}` of latents with a bijection.

    `values` has the learned parameters, and the latents whose guide is over the value itself. Of the sites in `free` it
    has how centred their coordinates are too, (plates…) under `degree_name`, in place of what the plan says.
    Log determinants are summed over plates: (draw,).
    """
    writer = Writer(plan.model)
    values: dict[str, Ref] = {}
    log_dets: dict[str, Ref] = {}
    for statement in _needed_for_supports(plan, free):
        if isinstance(statement, Deterministic):
            writer.values[statement.name] = writer.deterministic(statement)
            continue
        if isinstance(statement, Param):
            writer.values[statement.name] = writer.given(statement)
            continue
        assert isinstance(statement, Site)
        if statement.observed is not None:
            writer.values[statement.name] = writer.resolver(statement.observed)
            continue
        if not plan.sites[statement.name].bijection:
            writer.values[statement.name] = writer.given(statement)
            continue
        raw = writer.given(statement, "unconstrained")
        writer.recorder.hints[raw.array] = f"{statement.name}_u"
        terms: list[Resolved[Ref]] = []
        if statement.name in free or plan.sites[statement.name].standardised:
            degree = None if statement.name in free else plan.sites[statement.name].centred
            raw, stretching = writer.standardised(statement, raw, degree)
            terms.append(stretching)
        value = writer.support_call(statement, "forward", raw)
        writer.values[statement.name] = value
        named = writer.name(value.array, statement.name)
        values[statement.name] = writer.returned(named, statement.axes, len(statement.dims))
        if SUPPORTS[statement.support.name].name != "real":
            terms.append(writer.support_call(statement, "log_det", raw))
        if terms:
            total = terms[0] if len(terms) == 1 else writer.resolver.apply(FUNCTIONS["add"], terms, 0)
            log_dets[statement.name] = writer.reduced(writer.present(statement, total), statement.axes, ())
    return writer.program(
        ["unconstrained", "values"], "values and log |det J| of the latents", values=values, log_dets=log_dets
    )


def _needed_for_supports(plan: Plan, free: Collection[str]) -> list[Statement]:
    """The continuous latents and whatever their supports' arguments read, in order."""
    wanted = {site.name for site in plan.transformed}
    for statement in reversed(plan.model.statements):
        if isinstance(statement, Site) and statement.name in wanted:
            wanted |= values_read(*statement.support.arguments)
            if statement.name in free or plan.sites[statement.name].standardised:
                wanted |= values_read(*location_and_scale(statement))
        elif statement.name in wanted and isinstance(statement, Deterministic):
            wanted |= statement.reads
    return [statement for statement in plan.model.statements if statement.name in wanted]


def quantities_program(model: Model, wanted: Iterable[str]) -> ArrayProgram:
    """`run(rng, draws, values, prepared) -> {name: value}` of deterministic statements and of the predict block.

    Given are the latents and learned parameters; observed sites have their data. Only what `wanted` reads is run.
    """
    writer = Writer(model)
    wanted = set(wanted)
    needed = _reached(model, wanted)
    predicted = {statement.name for statement in model.predicted}
    free = []
    for statement in (*model.statements, *model.predicted):
        if isinstance(statement, Factor) or statement.name not in needed:
            continue
        if isinstance(statement, Deterministic) or statement.name in predicted:
            free.append(statement)
        else:
            writer.known(statement)
    outputs = {name: output for name, output in draw(writer, free).items() if name in wanted}
    return writer.program(["rng", "draws", "values"], "what follows from the latents", quantities=outputs)


def _reached(model: Model, names: Iterable[str]) -> set[str]:
    """The statements of these names and all that they read, directly or not."""
    found: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in found:
            found.add(name)
            open_names += model.by_name[name].reads
    return found


def simulate_program(model: Model, given: Iterable[str], predict: bool = True) -> ArrayProgram:
    """`run(rng, draws, values, prepared) -> {name: value}`: ancestral draws of every statement not `given`.

    With `predict` the statements of the predict block are run too.
    """
    writer = Writer(model)
    fixed = set(given)
    statements = [*model.statements, *(model.predicted if predict else ())]
    for statement in statements:
        if statement.name in fixed:
            writer.values[statement.name] = writer.given(statement)
    free = [s for s in statements if s.name not in fixed and not isinstance(s, Factor)]
    outputs = draw(writer, free)
    return writer.program(["rng", "draws", "values"], "draws of everything that is not given", values=outputs)
