"""Pass: observed sites whose log density is had from statistics of the data, so that its cost does not grow with them.

A site may have up to three ways: for a normal with an affine mean a least-squares factor, sums of the sufficient
statistics of an exponential family, and counts of equal rows. The cheapest is taken if it saves enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ppl.compiler.collapse.candidate import Candidate, work_of_collapse
from ppl.compiler.collapse.regression import least_squares
from ppl.compiler.collapse.rows import at_cells, first_places, sorted_into_cells
from ppl.compiler.collapse.sums import natural_sums
from ppl.model.collapse import Collapse, Counts
from ppl.model.model import DistributionUse
from ppl.model.plan import Plan


def collapse(plan: Plan) -> Plan:
    """Mark the observed sites that are to be evaluated from statistics, each with what that takes.

    Not those that an elimination joins, nor those of which a scored site wants the parts.
    """
    left = {name for members in plan.joined.values() for name in members}
    left |= {cost.name for cost in plan.costs if cost.keep}
    sites, found = dict(plan.sites), {}
    for site in plan.model.observed:
        if site.name in left or site.present is not None or not site.axes:
            continue
        candidate = Candidate.of(plan.model, site)
        best = None if candidate is None else _cheapest(candidate)
        if best is not None:
            found[site.name] = best
            sites[site.name] = replace(sites[site.name], treatment="collapsed", reason=_reason(best))
    return replace(plan, sites=sites, collapses=found) if found else plan


def _reason(found: Collapse) -> str:
    rows, statistics = found.cells.rows, found.statistics
    family, plural = found.site.distribution.name, "s" * (statistics != 1)
    return f"{family}, {rows:,} rows as {statistics:,} statistic{plural}: {found.title}"


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
    cells = sorted_into_cells(site.name, candidate.plates, told_by, candidate.most_cells)
    if cells is None:
        return None
    places = first_places(cells)
    moved = {name: at_cells(part, cells, places) for name, part in arguments.items()}
    values = at_cells(candidate.values, cells, places)
    use = DistributionUse(site.distribution.family, moved, site.distribution.span)
    return Counts(site, cells, replace(site, distribution=use, axes=(cells.axis,), observed=values))


WAYS: tuple[Callable[[Candidate], Collapse | None], ...] = (least_squares, natural_sums, _counts)
