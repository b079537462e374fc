"""Points: every continuous latent optimised, as if it were noted `@point`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ppl.compiler import compile_model
from ppl.guides.base import GUIDES, VectorGuide
from ppl.model.model import Model, Note, Site, Statement
from ppl.model.plan import Plan

NOTE = "point"


class Point(VectorGuide):
    """A family over no numbers at all: the plan it is for has learned points in place of its continuous latents."""

    name = "point"
    doc = "The joint mode (MAP) on the latents' own scales; no standard deviations."

    def plan_for(self, plan: Plan) -> Plan:
        """The plan with every continuous latent a point, whose prior counts; the rest is decided anew."""
        names = {site.name for site in plan.continuous}
        names |= {site.name for site in plan.factored if not site.distribution.family.discrete}
        if not names:
            return plan
        statements = tuple(_noted(s) if s.name in names else s for s in plan.model.statements)
        model: Model = replace(plan.model, statements=statements)
        return compile_model(model).warned(plan.warnings)

    def size(self, dim: int) -> int:
        return 0

    def initial(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        return np.zeros(0)

    def transform(self, xp: Any, parameters: Any, noise: Any) -> Any:
        return noise

    def log_density(self, xp: Any, parameters: Any, draws: Any) -> Any:
        return xp.sum(draws, axis=1)

    def entropy(self, xp: Any, parameters: Any) -> Any:
        return 0.0


def _noted(statement: Statement) -> Statement:
    assert isinstance(statement, Site)
    kept = tuple(note for note in statement.notes if note.name not in (NOTE, "guide", "score", "implicit", "amortized"))
    return replace(statement, notes=(*kept, Note(NOTE, (), None)))


GUIDES.register(Point())
