"""What the statements of a scan read of earlier iterations."""

from __future__ import annotations

from collections.abc import Collection

from ppl.language.order import Step
from ppl.language.walk import expressions, reads, target_of


def past_reads(scan: Step, released: frozenset[str]) -> frozenset[str]:
    """Names in the body of a scan that are read before their own statement: each needs its earlier iterations.

    Observed data are known, unless `released`.
    """
    found = set()
    pending = {key for step in scan.body for key in (*step.defines, *_drawn(step, released))}
    for step in scan.body:
        for expression in expressions(step.statement):
            for name, _ in reads(expression):
                if (key := step.locals.get(name.name, name.name)) in pending:
                    found.add(key)
        pending -= {*step.defines, *_drawn(step, released)}
    return frozenset(found)


def past_name(step: Step, names: Collection[str]) -> str | None:
    """Which of the names a step defines or draws."""
    target = target_of(step.statement)
    own = {*step.defines, *([target.name.name] if target is not None else [])}
    return next((name for name in names if name in own), None)


def _drawn(step: Step, released: frozenset[str]) -> frozenset[str]:
    """The released outcome that a step draws."""
    target = target_of(step.statement)
    return released & {target.name.name} if target is not None else frozenset()
