"""Mean field with more unknowns than a dense covariance is affordable for."""

from __future__ import annotations

import numpy as np

from ppl.guides.derived import GAUSSIAN
from ppl.inference.deterministic.findings import FAR_TOO_NARROW, NARROW, merged
from ppl.inference.deterministic.gaussian import affordable_draws
from ppl.inference.deterministic.wide import WideResponse, fit_wide, wide_corrections
from ppl.inference.families.independent import fit_independent
from ppl.inference.importance.psis import psis
from ppl.inference.importance.sampling import Weighted
from ppl.inference.improper import runaways
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.result import Correction
from ppl.inference.start import finite_starts
from ppl.inference.target import Target
from ppl.numeric import NUMPY


def wide_mean_field(task: Task) -> Outcome:
    """As `ppl.inference.methods.mean_field`, with costs that follow the graph."""
    rng = np.random.default_rng(task.seed)
    target = Target(task.plan, task.data, task.guide, task.backend)
    task.bar.say("mean field")
    begin = fit_independent(target, finite_starts(task.plan, task.data, task.guide, rng, 1)[0], rng)
    response = fit_wide(target, begin.mean, begin.sd, rng)
    parameters = task.guide.gaussian.initial(response.mean, response.raw_sd)
    sample = _sample(target, parameters, rng, max(task.draws, affordable_draws(target)))
    corrected = wide_corrections(target, response)
    ratio, said = _too_narrow(corrected)
    return Outcome(
        method="deterministic",
        parameters=task.guide.parameters.pack({GAUSSIAN: parameters}),
        values=target.values(sample.rows),
        log_weights=None,
        ratios=sample.log_ratios,
        khat=sample.khat,
        effective=float(len(sample.rows)),
        log_evidence=sample.log_evidence if sample.good else None,
        history=response.history,
        steps=target.evaluations,
        converged=response.sound,
        stopped="the Newton decrement vanished" if response.sound else "no maximum was found",
        faults=merged(runaways(task.guide, response.mean, response.raw_sd), said if ratio > FAR_TOO_NARROW else ()),
        problems=merged(_problems(response), said if NARROW < ratio <= FAR_TOO_NARROW else ()),
        notes=said if ratio <= NARROW else (),
        rows=sample.rows,
        corrections=corrected,
        spent=target.spent,
    )


def _sample(target: Target, parameters: np.ndarray, rng: np.random.Generator, draws: int) -> Weighted:
    """Antithetic draws of the guide with their weights."""
    half = rng.standard_normal((draws // 2, target.dim))
    noise = np.concatenate([half, -half])
    family = target.guide.gaussian
    rows = family.transform(NUMPY, parameters, noise)
    ratios = target.log_density(rows) - family.log_density_at_noise(NUMPY, parameters, noise)
    ratios = np.where(np.isnan(ratios), -np.inf, ratios)
    smoothed, khat = psis(ratios)
    return Weighted(rows, smoothed, ratios, khat)


def _problems(response: WideResponse) -> tuple[str, ...]:
    return () if response.sound else ("the curvature at the optimum is not positive definite",)


def _too_narrow(corrected: tuple[Correction, ...]) -> tuple[float, tuple[str, ...]]:
    """By how much mean field's sds are too small where it is worst, as a factor and in words."""
    moving = [each for each in corrected if each.raw > 0.0]
    if not moving:
        return 1.0, ()
    worst = max(moving, key=lambda each: each.corrected / each.raw)
    ratio = worst.corrected / worst.raw
    return ratio, (f"linear response puts the sd of {worst.name} at {ratio:.2f} times mean field's",)
