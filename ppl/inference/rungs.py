"""The rungs of the ladder with families of their own: each has an outcome only where those before say it may help.

Mixtures for a few unknowns or separate modes, a flow for up to some dozens, a low-rank Gaussian where a dense one is
out of reach. `docs/decisions/0008-the-ladder.md` has what was measured.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl.guides import Guide, derive_guide
from ppl.guides.mixture import GaussianMixture
from ppl.inference.choose import BENDABLE, MODAL
from ppl.inference.deterministic.gaussian import affordable_draws
from ppl.inference.families.fit import ADAM, by_adam, fixed_draws
from ppl.inference.families.mixture import arranged, bound_of, population
from ppl.inference.families.sample import Fitted, judged
from ppl.inference.importance.psis import threshold
from ppl.inference.importance.sampling import Proposal
from ppl.inference.methods import Task, moment_matched
from ppl.inference.outcome import Outcome
from ppl.inference.target import Target
from ppl.inference.work import GRADIENT

MIXTURE, FLOW, LOW_RANK = "mixture", "flow", "low rank"
FEW = 12
"""Unknowns up to which a mixture is tried where no second mode was seen."""
COMPONENTS = 8
FEWEST_STEPS = 3000
STEP_OVERHEAD = 1e-3
"""Seconds that a step of Adam takes beyond its arithmetic."""


def mixture(task: Task) -> Outcome | None:
    """Gaussians by population Monte Carlo, begun at the modes and the draws of the best fit before."""
    before = _best(task)
    if before is None or task.guide.layout.size > (MODAL if len(before.modes) > 1 else FEW):
        return None
    task.bar.say("components")
    rng = np.random.default_rng(task.seed)
    guide = _guide(task, before, "mixture", components=max(COMPONENTS, 2 * len(before.modes)))
    family = guide.vector
    assert isinstance(family, GaussianMixture)
    target = Target(guide.plan, task.data, guide, task.backend, task.clock)
    first = arranged(_candidates(before, family.components, rng), family.components, rng)
    found, sample, history = population(target, first, rng, affordable_draws(target))
    parts = found.components
    fitted = Fitted(
        family.pack(np.array(found.weights), [part.mean for part in parts], [part.factor for part in parts]),
        MIXTURE,
        history,
        sample.effective > 1.0,
        "the components have settled",
        notes=before.notes,
    )
    outcome = judged(replace(task, guide=guide), target, fitted, sample, bound_of(target, found, rng))
    return replace(outcome, plan=guide.plan, guide=guide, modes=before.modes)


def flow(task: Task) -> Outcome | None:
    """A normalising flow by Adam, for as long as the time left allows.

    Cut short it is as good as its weights say.
    """
    if not task.previous or not 1 < task.guide.layout.size <= BENDABLE:
        return None
    guide = _guide(task, min(task.previous, key=lambda each: each.khat), "flow")
    target = Target(guide.plan, task.data, guide, task.backend, task.clock)
    if task.seconds < FEWEST_STEPS * (ADAM.gradient_draws * GRADIENT * target.seconds + STEP_OVERHEAD):
        return None
    outcome = by_adam(replace(task, plan=guide.plan, guide=guide))
    reliable = outcome.khat < threshold(len(outcome.ratios))
    return replace(outcome, method=FLOW, plan=guide.plan, guide=guide, converged=outcome.converged or reliable)


def low_rank(task: Task) -> Outcome:
    """A Gaussian of low rank beside a diagonal, where a dense covariance is out of reach."""
    guide = derive_guide(task.plan, "low_rank")
    return replace(fixed_draws(replace(task, guide=guide)), method=LOW_RANK, guide=guide)


def _best(task: Task) -> Outcome | None:
    """The fit before whose draws are worth most, if they are finite."""
    known = [each for each in task.previous if each.rows is not None and np.isfinite(each.rows).all()]
    return min(known, key=lambda each: each.khat, default=None)


def _guide(task: Task, before: Outcome, name: str, **options: int) -> Guide:
    """The guide of that name in the coordinates of the fit before."""
    return replace(derive_guide(task.plan, name, **options), plan=before.plan or task.plan)


def _candidates(before: Outcome, count: int, rng: np.random.Generator) -> list[Proposal]:
    """The Gaussians at the modes, then the one with the moments of the draws, moved to draws taken by weight."""
    rows = before.rows
    assert rows is not None
    weights = None if before.log_weights is None else np.exp(before.log_weights)
    whole = moment_matched(rows, weights)
    modes = list(before.modes) if len(before.modes) > 1 else [whole]
    chosen = rows[rng.choice(len(rows), count, p=weights)]
    return [*modes, *(replace(whole, mean=row) for row in chosen)]
