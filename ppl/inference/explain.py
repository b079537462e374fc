"""The plan and the derived guide as text."""

from __future__ import annotations

from ppl.compiler.hierarchy import CONDITIONAL_BLOCK, HYPER_BLOCK
from ppl.inference.choose import choose_guide, choose_methods
from ppl.inference.methods import conditional
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
    lines += ["", *_guide(plan, guide)]
    if code:
        from ppl.compiler import density_program

        lines += ["", "# generated: log density", density_program(plan).listing.rstrip()]
    return "\n".join(lines) + "\n"


def _guide(plan: Plan, guide: str) -> list[str]:
    """The derived guide; of a hierarchical model first which unknowns are conditioned on."""
    derived = choose_guide(plan, guide)
    if choose_methods(plan, guide, "auto")[0] is not conditional:
        return [f"guide: {derived}"]
    hyper = [name for name, site in plan.sites.items() if site.block == HYPER_BLOCK]
    rest = [name for name, site in plan.sites.items() if site.block == CONDITIONAL_BLOCK]
    return [
        "guide: conditional",
        f"  first {', '.join(hyper)}: weighted draws from their marginal density",
        f"  then {', '.join(rest)}: a Gaussian around the mode given each draw",
        f"summarised as: {derived}",
    ]


def _row(site: SitePlan) -> tuple[str, ...]:
    plates = ", ".join(str(axis) for axis in site.axes)
    estimator = "" if site.estimator == "none" else site.estimator
    return (site.name, plates, site.treatment, estimator, site.reason)
