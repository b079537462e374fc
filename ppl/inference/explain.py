"""The plan and the derived guide as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ppl.axes import Axis
from ppl.compiler.hierarchy import CONDITIONAL_BLOCK, HYPER_BLOCK
from ppl.guides import Guide
from ppl.guides.mean_field import MeanField
from ppl.inference.choose import choose_guide, choose_methods
from ppl.inference.coordinate.explain import coordinate_lines
from ppl.inference.coordinate.methods import COORDINATE
from ppl.inference.deterministic.expectations import Expectations
from ppl.inference.families.fit import DENSE_LIMIT
from ppl.inference.methods import conditional
from ppl.inference.result import InferenceResult
from ppl.inference.staged_text import staged_lines
from ppl.inference.stochastic.measure import DRAWS, measure, table
from ppl.model.plan import Plan, SitePlan

_COLUMNS = ("site", "plates", "treatment", "estimator", "reason")


def explain(
    plan: Plan,
    guide: str = "auto",
    code: bool = False,
    result: InferenceResult | None = None,
    data: Mapping[str, Any] | None = None,
    method: str = "auto",
    staged: Mapping[str, Any] | None = None,
) -> str:
    """A table with one row for each site, what else was possible, the derived guide and, with `code`, the generated
    density.

    Of `method` only those of coordinate ascent make a difference. Of a `result` it tells too which methods were tried,
    and which was kept. With `data` the variance and cost of every estimator that a site could have are measured. With
    `staged`, which are the data again, and `code` there is the staged program of the gradient too.
    """
    derived = choose_guide(plan, guide) if result is None else result.guide
    plan = derived.plan
    method = method if result is None else result.method
    if method in COORDINATE:
        plan, family = coordinate_lines(plan, carried_out=result is not None)
    else:
        split = _is_split(plan, guide) if result is None else result.method.startswith("conditional")
        family = _guide(derived, split)
    lines = [*_table(plan), *_alternatives(plan), "", *family, *_by_expectations(derived)]
    if result is not None and result.rungs:
        lines += ["", *_tried(result)]
    if result is not None and result.corrections:
        lines += ["", *_corrected(result)]
    if data is not None:
        lines += ["", f"measured near the optimum of a mean-field guide, {DRAWS} draws a gradient:"]
        lines += [f"  {line}" for line in table(measure(plan, data))]
    if code:
        from ppl.compiler import density_program

        lines += ["", "# generated: log density", density_program(plan).listing.rstrip()]
        if staged is not None:
            lines += ["", *staged_lines(plan, staged, derived)]
    return "\n".join(lines) + "\n"


def _by_expectations(derived: Guide) -> list[str]:
    """Of mean field how its deterministic fit has the ELBO."""
    plan = derived.plan
    stepped = plan.factored or plan.model.params or plan.batches
    if stepped or not isinstance(derived.vector, MeanField) or not 0 < derived.layout.size <= DENSE_LIMIT:
        return []
    return [f"without method='stochastic': {Expectations.of(derived)}"]


def _is_split(plan: Plan, guide: str) -> bool:
    """Whether a fit would begin with the conditional guide."""
    return choose_methods(plan, guide, "auto")[0] is conditional


def _table(plan: Plan) -> list[str]:
    """One row for each site."""
    parts = {batch.axis: f" (by {batch.size})" for batch in plan.batches}
    rows = [_COLUMNS, *(_row(site, parts) for site in plan.sites.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    lines.insert(1, "  ".join(["-" * width for width in widths] + ["-" * len(_COLUMNS[-1])]))
    return lines


def _alternatives(plan: Plan) -> list[str]:
    """What else was possible and why it was not chosen, sites of the same answer together."""
    by_answer: dict[str, list[str]] = {}
    for site in plan.sites.values():
        if site.alternatives:
            by_answer.setdefault(site.alternatives, []).append(site.name)
    if not by_answer:
        return []
    return ["", "instead:", *(f"  {', '.join(names)}: {answer}" for answer, names in by_answer.items())]


def _guide(derived: Guide, split: bool) -> list[str]:
    """The derived guide; where it is `split`, first which unknowns are conditioned on."""
    if not split:
        return [f"guide: {derived}"]
    sites = derived.plan.sites
    hyper = [name for name, site in sites.items() if site.block == HYPER_BLOCK]
    rest = [name for name, site in sites.items() if site.block == CONDITIONAL_BLOCK]
    return [
        "guide: conditional",
        f"  first {', '.join(hyper)}: weighted draws from their marginal density",
        f"  then {', '.join(rest)}: a Gaussian around the mode given each draw",
        f"summarised as: {derived}",
    ]


def _tried(result: InferenceResult) -> list[str]:
    kept = next(rung for rung in reversed(result.rungs) if rung.method == result.method)
    return ["tried:", *(f"  {rung}{', kept' if rung is kept else ''}" for rung in result.rungs)]


CORRECTIONS = 40
"""Corrections listed at most, the largest first where there are more."""


def _corrected(result: InferenceResult) -> list[str]:
    """Mean field's sds beside those of linear response."""
    chosen = list(result.corrections)
    if len(chosen) > CORRECTIONS:
        chosen = sorted(chosen, key=lambda each: -each.corrected / (each.raw or 1.0))[:CORRECTIONS]
    cells = [("", "raw sd", "corrected", "because of")]
    for each in chosen:
        why = f"{each.neighbour} (correlation {each.correlation:.2f})" if each.neighbour else ""
        cells.append((each.name, f"{each.raw:.3g}", f"{each.corrected:.3g}", why))
    widths = [max(len(row[column]) for row in cells) for column in range(3)]
    head = "standard deviations of independent factors, and what linear response makes of them:"
    rows = ["  ".join([*(cell.rjust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in cells]
    return [head, *(f"  {row}".rstrip() for row in rows)]


def _row(site: SitePlan, parts: Mapping[Axis, str]) -> tuple[str, ...]:
    plates = ", ".join(f"{axis}{parts.get(axis, '')}" for axis in site.axes)
    estimator = "" if site.estimator == "none" else site.estimator
    return (site.name, plates, site.treatment, estimator, site.reason)
