"""Mean field with more unknowns than a dense covariance is affordable for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ppl.guides.base import paired
from ppl.inference.deterministic.corrections import NO_RESPONSE
from ppl.inference.deterministic.findings import merged, narrowed
from ppl.inference.deterministic.gaussian import affordable_draws
from ppl.inference.deterministic.wide import WideResponse, fit_wide, wide_corrections
from ppl.inference.families.independent import fit_independent
from ppl.inference.importance.psis import log_ratios
from ppl.inference.importance.sampling import Weighted
from ppl.inference.methods import Task, uncorrected
from ppl.inference.outcome import Outcome
from ppl.inference.result import Correction
from ppl.inference.start import finite_starts
from ppl.inference.target import Target
from ppl.numeric import NUMPY

NO_DRAWS = "predictions are mean field's own: linear response has draws of up to 6,000 unknowns with a sparse curvature"


def wide_mean_field(task: Task) -> Outcome:
    """As `ppl.inference.methods.mean_field`, with costs that follow the graph."""
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend, task.clock)
    task.bar.say("mean field")
    begin = fit_independent(target, finite_starts(task.plan, task.data, task.guide, rng, 1)[0], rng)
    response = fit_wide(target, begin.mean, begin.sd, rng)
    parameters = task.guide.vector.initial(response.mean, response.raw_sd)
    sample = _sample(target, parameters, rng, max(task.draws, affordable_draws(target)))
    corrected = wide_corrections(target, response)
    ratio, said = _too_narrow(corrected)
    outcome = uncorrected(task, target, response, sample, ratio, said)
    rows = response.draw(rng, len(sample.rows))
    return replace(
        outcome,
        stopped="the Newton decrement vanished" if response.sound else outcome.stopped,
        problems=merged(_problems(response), outcome.problems),
        notes=merged(outcome.notes, () if rows is not None else (NO_DRAWS if response.sound else NO_RESPONSE,)),
        corrections=corrected,
        corrected=None if rows is None else target.values(rows),
    )


def _sample(target: Target, parameters: np.ndarray, rng: np.random.Generator, draws: int) -> Weighted:
    """Antithetic draws of the guide, with the sds that it has, and their weights."""
    noise = paired(rng.standard_normal((draws // 2, target.dim)))
    family = target.guide.vector
    rows = family.transform(NUMPY, parameters, noise)
    log_q = family.log_density_at_noise(NUMPY, parameters, noise)
    return Weighted.of(rows, log_ratios(target.log_density(rows), log_q))


def _problems(response: WideResponse) -> tuple[str, ...]:
    return () if response.sound else ("the curvature at the optimum is not positive definite",)


def _too_narrow(corrected: tuple[Correction, ...]) -> tuple[float, str]:
    """By how much mean field's sds are too small where it is worst, as a factor and in words."""
    moving = [each for each in corrected if each.raw > 0.0]
    if not moving:
        return 1.0, ""
    worst = max(moving, key=lambda each: each.corrected / each.raw)
    ratio = worst.corrected / worst.raw
    return ratio, narrowed(worst.name, ratio)
