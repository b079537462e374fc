"""The factors of coordinate ascent in words."""

from __future__ import annotations

from dataclasses import replace

from ppl.compiler.conjugacy.sites import Conjugacy, find_conjugacy
from ppl.inference.coordinate.outcome import described
from ppl.model.plan import Plan


def coordinate_lines(plan: Plan, carried_out: bool) -> tuple[Plan, list[str]]:
    """The plan with the update of every site as its reason (unless it was `carried_out`: then it has them), and a line
    for each factor.
    """
    whole = replace(plan, model=replace(plan.model, batches=()))
    conjugacy = find_conjugacy(whole)
    return plan if carried_out else described(plan, conjugacy), ["factors, updated in turn:", *_lines(conjugacy)]


def _lines(conjugacy: Conjugacy) -> list[str]:
    lines = [f"  {name} ~ {family.name}" for name, family in conjugacy.natural.items()]
    for block in conjugacy.normal_blocks:
        lines.append(f"  {', '.join(block)} ~ normal" + (", jointly" if len(block) > 1 else ""))
    if conjugacy.gradient_block:
        lines.append(f"  {', '.join(conjugacy.gradient_block)}: independent normals in unconstrained coordinates")
    for elimination in conjugacy.plan.eliminations:
        names = ", ".join(elimination.states)
        lines.append(f"  {names}: the exact discrete distribution given the expected log densities")
    return lines
