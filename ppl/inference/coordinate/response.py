"""Linear response at the fixed point of coordinate ascent: how far its factors' standard deviations are off.

The factors' moments are where a mean field over the unconstrained coordinates begins, and the response of its means to
a small tilt of the density has the correlations that independent factors leave out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl.guides.base import GaussianGuide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.deterministic.corrections import corrected_rows, corrections
from ppl.inference.deterministic.fixed_draws import Whitening
from ppl.inference.deterministic.gaussian import respond
from ppl.inference.importance.psis import threshold
from ppl.inference.importance.sampling import Proposal
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT

MOST, SECONDS = 100, 2.0
"""Unknowns, and estimated seconds, up to which it is looked at."""
ROWS = 64.0
"""Gradients for each unknown, roughly."""


def with_response(task: Task, outcome: Outcome, rng: np.random.Generator) -> Outcome:
    """The outcome with the sds of its factors beside those of linear response, and draws with that one's covariance
    where the factors' own are neither exact nor weighted.

    As it is where that is too much work, or linear response not sound.
    """
    dim = task.guide.layout.size
    if task.plan.factored or not outcome.converged or outcome.faults or not 0 < dim <= MOST:
        return outcome
    target = Target(task.plan, task.data, task.guide, task.backend)
    if ROWS * dim * GRADIENT * target.seconds > SECONDS:
        return outcome
    family = task.guide.vector
    assert isinstance(family, GaussianGuide)
    mean, variance = family.marginals(np, task.guide.parameters.unpack(np, outcome.parameters)[GAUSSIAN])
    response = respond(target, Whitening(mean, np.diag(np.sqrt(variance))), rng)
    sds = _sds(target, outcome)
    found = tuple(replace(each, raw=sds[each.name]) for each in corrections(target, response) if each.name in sds)
    rows = None
    if outcome.khat >= threshold(len(outcome.ratios)):
        own = Proposal(response.mean, np.diag(response.raw_sd)).draw(rng, outcome.count + outcome.count % 2)
        rows = corrected_rows(response, own[: outcome.count])
    return replace(outcome, corrections=found, corrected=None if rows is None else target.values(rows))


def _sds(target: Target, outcome: Outcome) -> dict[str, float]:
    """Of every element of the latents and of what follows from them, by equally weighted draws of the factors."""
    values = {name: outcome.values[name] for name in target.values(np.zeros((1, target.dim)))}
    sds = {}
    for name, value in {**values, **target.quantities(values)}.items():
        spread = value.std(axis=0)
        for index in np.ndindex(*spread.shape):
            sds[f"{name}[{', '.join(map(str, index))}]" if index else name] = float(spread[index])
    return sds
