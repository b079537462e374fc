"""Exponential families: sums of sufficient statistics over rows with equal parameters.

Two families allow for rows of different weight: binomial ones with total counts of their own, and Poisson ones with
an exposure, a factor of the rate that is known from data. In both the log normaliser of a row is its weight times
that of a unit.
"""

from __future__ import annotations

from collections.abc import Callable

from ppl.compiler.collapse.candidate import Candidate
from ppl.compiler.collapse.linear import Term, terms
from ppl.compiler.collapse.regression import REGRESSIONS
from ppl.compiler.collapse.rows import all_positive, at_cells, first_places
from ppl.model import construct
from ppl.model.collapse import NaturalSums
from ppl.model.expressions import Expr

LOCATIONS = {"multi_normal": "loc"}
"""The parameter that moves the values of a family: sums of squares keep their digits if taken from a value at hand."""

Weighted = tuple[dict[str, Expr], Expr | None]
"""The arguments of a unit, and the weights of the rows, None for 1."""


def natural_sums(candidate: Candidate) -> NaturalSums | None:
    """None where there is no natural form, or rows with equal parameters are too few."""
    form = candidate.site.distribution.family.exponential
    if form is None or not candidate.family or candidate.family in REGRESSIONS:
        return None
    known = {name for name, part in candidate.arguments.items() if part.type.static}
    if not set(form.fixed) <= known:
        return None
    weigh = _WEIGHTS.get(candidate.family)
    arguments, weights = (candidate.arguments, None) if weigh is None else weigh(candidate)
    told_by = candidate.keys(*arguments.values())
    cells = candidate.cells(told_by, candidate.most_cells)
    if cells is None:
        return None
    places = first_places(cells)
    moved = {name: at_cells(part, cells, places) for name, part in arguments.items()}
    location, origin = LOCATIONS.get(candidate.family), None
    if location is not None:
        origin = at_cells(candidate.values, cells, places)
        moved[location] = construct.call("subtract", [moved[location], origin])
    fixed = {name: candidate.arguments[name] for name in form.fixed}
    log_base = _of_exposure(candidate, weights) if candidate.family == "poisson" else None
    return NaturalSums(candidate.site, cells, moved, candidate.values, fixed, origin, weights, log_base)


def _varies(node: Expr, candidate: Candidate) -> bool:
    return bool(set(node.type.axes) & set(candidate.plates))


# Weights of rows ------------------------------------------------------------------------------------------


def _trials(candidate: Candidate) -> Weighted:
    """A row of `n` trials is one of a single trial with weight `n`."""
    counts = candidate.arguments["total_count"]
    return {**candidate.arguments, "total_count": construct.constant(1)}, counts


def _exposure(candidate: Candidate) -> Weighted:
    """The known factor of a rate, or the exponential of the known term of its logarithm."""
    found = None
    if "rate" in candidate.arguments:
        found = _known_factor(terms(candidate.arguments["rate"], candidate.plates), candidate)
        name = "rate"
    else:
        found = _known_term(terms(candidate.arguments["log_rate"], candidate.plates), candidate)
        name = "log_rate"
    if found is None or not all_positive(found[1], candidate.plates):
        return candidate.arguments, None
    return {**candidate.arguments, name: found[0]}, found[1]


def _known_factor(parts: list[Term], candidate: Candidate) -> tuple[Expr, Expr] | None:
    if len(parts) != 1 or parts[0].is_vector:
        return None
    (part,) = parts
    if part.coefficient is None or part.factor is None or not _varies(part.coefficient, candidate):
        return None
    return part.factor, part.coefficient


def _known_term(parts: list[Term], candidate: Candidate) -> tuple[Expr, Expr] | None:
    known = [part.coefficient for part in parts if part.factor is None and part.coefficient is not None]
    rest = [_product(part) for part in parts if part.factor is not None]
    if not rest or not any(_varies(part, candidate) for part in known):
        return None
    return _total(rest), construct.call("exp", [_total(known)])


def _product(part: Term) -> Expr:
    assert part.factor is not None
    if part.coefficient is None:
        return part.factor
    return construct.call("dot" if part.is_vector else "multiply", [part.coefficient, part.factor])


def _total(parts: list[Expr]) -> Expr:
    total, *others = parts
    for other in others:
        total = construct.call("add", [total, other])
    return total


def _of_exposure(candidate: Candidate, exposure: Expr | None) -> Expr | None:
    """What the exposure adds to the log base measure of a Poisson row."""
    if exposure is None:
        return None
    return construct.call("multiply", [candidate.values, construct.call("log", [exposure])])


_WEIGHTS: dict[str, Callable[[Candidate], Weighted]] = {"binomial": _trials, "poisson": _exposure}
