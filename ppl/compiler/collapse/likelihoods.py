"""Pass: observed sites whose log density is had from statistics of the data, so that its cost does not grow with them.

A site may have up to three ways: for a normal with an affine mean a least-squares factor, sums of the sufficient
statistics of an exponential family, and counts of equal rows. The cheapest is taken if it saves enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ppl.compiler.collapse.candidate import Candidate, work_of_collapse
from ppl.compiler.collapse.regression import least_squares
from ppl.compiler.collapse.rows import at_cells, first_places
from ppl.compiler.collapse.sums import natural_sums
from ppl.model.collapse import Collapse, Counts
from ppl.model.model import DistributionUse
from ppl.model.plan import Plan
from ppl.model.streamed import require_parts, source_of


def collapse(plan: Plan) -> Plan:
    """Mark the observed sites that are to be evaluated from statistics, each with what that takes.

    Not those that an elimination joins, nor those of which a scored site wants the parts.
    """
    left = {name for members in plan.joined.values() for name in members}
    left |= {cost.name for cost in plan.costs if cost.keep}
    sites, found = dict(plan.sites), dict[str, Collapse]()
    for site in plan.model.observed:
        if site.name in left or site.present is not None or not site.axes:
            continue
        candidate = Candidate.of(plan.model, site)
        best = None if candidate is None else _cheapest(candidate)
        if best is not None:
            found[site.name] = best
    found = _without_halves(plan, found)
    for name, each in found.items():
        sites[name] = replace(sites[name], treatment="collapsed", reason=_reason(plan, each))
    return replace(plan, sites=sites, collapses=found) if found else plan


def all_at_hand(plan: Plan) -> Plan:
    """The plan, where every term has what it reads: rows that a fit reads row by row are had from statistics, or by
    parts. Raises ModelError where they are not.
    """
    by_statistics = {*plan.collapses, *(name for marginal in plan.marginals for name in marginal.members)}
    require_parts(plan.model, by_statistics)
    return plan


def _without_halves(plan: Plan, found: dict[str, Collapse]) -> dict[str, Collapse]:
    """Where a fit goes through a plate in parts for one term, rows along it are not collapsed for another."""
    parts = {batch.axis for batch in plan.model.batches}
    again = parts & {axis for cost in plan.costs if cost.name not in found for axis in cost.axes}
    return {name: each for name, each in found.items() if each.cells.stream not in again}


def _reason(plan: Plan, found: Collapse) -> str:
    rows, numbers = _counted(found.cells.rows, "row"), _counted(found.statistics, "statistic")
    said = f"{found.site.distribution.name}, {rows} as {numbers}: {found.title}"
    if found.cells.stream is not None:
        said += f", in one pass over the rows of {source_of(plan.model)}"
    if any(batch.axis in found.cells.plates for batch in plan.model.batches):
        said += "; no parts of a plate (`@minibatch`, `subsample`) are needed"
    return said


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _cheapest(candidate: Candidate) -> Collapse | None:
    best: Collapse | None = None
    for way in WAYS:
        found = way(candidate)
        if found is not None and work_of_collapse(found) <= candidate.most_work:
            best, candidate = found, replace(candidate, most_work=work_of_collapse(found))
    return best


def _counts(candidate: Candidate) -> Counts | None:
    """Equal rows with equal values, counted."""
    site, arguments = candidate.site, candidate.arguments
    told_by = [*candidate.keys(*arguments.values()), candidate.values]
    cells = candidate.cells(told_by, candidate.most_cells)
    if cells is None:
        return None
    places = first_places(cells)
    moved = {name: at_cells(part, cells, places) for name, part in arguments.items()}
    values = at_cells(candidate.values, cells, places)
    use = DistributionUse(site.distribution.family, moved, site.distribution.span)
    return Counts(site, cells, replace(site, distribution=use, axes=(cells.axis,), observed=values))


WAYS: tuple[Callable[[Candidate], Collapse | None], ...] = (least_squares, natural_sums, _counts)
