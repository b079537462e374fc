"""Before a fit: the one pass through rows that are not all in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppl.compiler.collapse.statistics import has_pass, statistics
from ppl.compiler.marginal.statistics import sums_of_evidence
from ppl.inference.progress import Progress
from ppl.model.plan import Plan


def read_rows(plan: Plan, data: Mapping[str, Any], bar: Progress) -> None:
    """Compute all statistics of data that are read row by row, which programs then find computed; shown on the bar.

    Raises DataError or OSError where the rows are not there any more.
    """
    collapses = [each for each in plan.collapses.values() if each.cells.stream is not None and has_pass(each)]
    marginals = [each for each in plan.marginals if any(part.stream is not None for part in each.evidence)]
    total = sum(each.cells.rows for each in collapses) + sum(each.rows for each in marginals)
    if not total:
        return
    with bar.reading(total) as report:
        for collapse in collapses:
            statistics(collapse, data, report)
        for marginal in marginals:
            sums_of_evidence(marginal, data, report)
