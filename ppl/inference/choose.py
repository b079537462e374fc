"""Choosing the guide and the method where the user has not."""

from __future__ import annotations

from ppl.guides import Guide, derive_guide
from ppl.model.plan import Plan

FULL_RANK_LIMIT = 300
"""Above this many continuous unknowns a dense covariance costs more than it tells."""


def choose_guide(plan: Plan, name: str = "auto") -> Guide:
    """The guide of that name; "auto" is full rank up to `FULL_RANK_LIMIT` continuous unknowns."""
    if name != "auto":
        return derive_guide(plan, name)
    guide = derive_guide(plan, "full_rank")
    return guide if guide.layout.size <= FULL_RANK_LIMIT else derive_guide(plan, "mean_field")
