"""The plan and the derived guide as text."""

from __future__ import annotations

from ppl.inference.choose import choose_guide
from ppl.model.plan import Plan, SitePlan

_COLUMNS = ("site", "plates", "treatment", "estimator", "reason")


def explain(plan: Plan, guide: str = "auto", code: bool = False) -> str:
    """A table with one row for each site, the derived guide and, with `code`, the generated density."""
    rows = [_COLUMNS, *(_row(site) for site in plan.sites.values())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]
    lines.insert(1, "  ".join(["-" * width for width in widths] + ["-" * len(_COLUMNS[-1])]))
    lines += ["", f"guide: {choose_guide(plan, guide)}"]
    if code:
        from ppl.compiler import density_program

        lines += ["", "# generated: log density", density_program(plan).source.rstrip()]
    return "\n".join(lines) + "\n"


def _row(site: SitePlan) -> tuple[str, ...]:
    plates = ", ".join(str(axis) for axis in site.axes)
    estimator = "" if site.estimator == "none" else site.estimator
    return (site.name, plates, site.treatment, estimator, site.reason)
