"""The importance sample that judges a fitted family of guides, and corrects it where its weights can be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ppl.backends import Backend
from ppl.backends.reuse import programs_for
from ppl.guides.derived import GAUSSIAN
from ppl.inference.deterministic.findings import merged
from ppl.inference.importance.psis import log_ratios
from ppl.inference.importance.sampling import Weighted
from ppl.inference.improper import runaways
from ppl.inference.methods import Task
from ppl.inference.outcome import Outcome
from ppl.inference.target import Target
from ppl.numeric import NUMPY

WIDE_SHARE = 0.2
"""Of the draws, from wider noise."""
TAIL_ROUNDS, TAIL_STEPS, LIGHT = 3, 40, 0.5
"""Rounds and steps in which tails are fitted, and the k-hat that needs none."""
ENOUGH = 0.05
"""The share of effective draws from which on weights that are not quite reliable are still better than none."""


@dataclass(frozen=True)
class Fitted:
    """Parameters of the guide's family, and how they were found."""

    parameters: np.ndarray
    method: str
    history: np.ndarray
    converged: bool
    stopped: str
    faults: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def family_sample(
    target: Target, parameters: np.ndarray, rng: np.random.Generator, draws: int
) -> tuple[Weighted, np.ndarray]:
    """Antithetic draws of the guide's family with their weights against the exact density, and log p - log q at those
    of the family alone.

    Where a draw stands for its noise, a share of the draws is made from wider noise, which catches tails that are a
    little too light (Hesterberg 1995, Weighted average importance sampling and defensive mixture distributions).
    """
    family, dim = target.guide.vector, target.dim
    half = rng.standard_normal((draws // 2, family.noise_size(dim)))
    wide = round(WIDE_SHARE * len(half)) if half.shape[1] == dim else 0
    half[len(half) - wide :] *= _widening(dim)
    noise = np.concatenate([half, -half])
    rows = family.transform(NUMPY, parameters, noise)
    ratios = log_ratios(target.log_density(rows), family.log_density_at_noise(NUMPY, parameters, noise))
    plain = ratios[np.arange(len(noise)) % len(half) < len(half) - wide]
    if wide:
        ratios = ratios - _defended(noise, wide / len(half), _widening(dim))
    return Weighted.of(rows, ratios), plain


def _widening(dim: int) -> float:
    """How much wider the wide noise is: its length, too, grows by little more than one."""
    return 1.0 + np.sqrt(2.0 / dim)


def _defended(noise: np.ndarray, share: float, widening: float) -> np.ndarray:
    """Log density of noise of which a share is wider, against that of standard normal noise: (draws,)."""
    square, dim = np.sum(noise**2, axis=1), noise.shape[1]
    wide = 0.5 * square * (1.0 - widening**-2.0) - dim * np.log(widening)
    return np.logaddexp(np.log1p(-share), np.log(share) + wide)


def with_tails(
    target: Target, backend: Backend, parameters: np.ndarray, rng: np.random.Generator, draws: int
) -> np.ndarray:
    """Parameters at which the family's weights have lighter tails, where those are heavy; the best of a few rounds.

    The ELBO hardly feels far tails. Each round fits the family to its own weighted draws by maximum likelihood, which
    lowers the divergence of the family from the posterior (population Monte Carlo, Cappé et al. 2008).
    """
    from scipy.optimize import minimize

    family, xp = target.guide.vector, backend.xp
    kept = programs_for(backend.name, (), {}, family, "weighted likelihood")
    slope = backend.value_and_grad(
        lambda flat, rows, weights: -xp.sum(weights * family.log_density(xp, flat, rows)), kept
    )
    best, khat = parameters, np.inf
    for _ in range(TAIL_ROUNDS + 1):
        sample, _ = family_sample(target, parameters, rng, draws)
        if sample.khat < khat:
            best, khat = parameters, sample.khat
        usable = np.isfinite(sample.rows).all(axis=1)
        if khat < LIGHT or usable.sum() < len(usable) // 2 or target.clock.over():
            break
        rows, weights = sample.rows[usable], np.exp(sample.log_weights[usable])
        with np.errstate(all="ignore"):
            found = minimize(
                slope, parameters, (rows, weights), jac=True, method="L-BFGS-B", options={"maxiter": TAIL_STEPS}
            )
        parameters = np.asarray(found.x)
    return best


def judged(task: Task, target: Target, fitted: Fitted, sample: Weighted, bounds: np.ndarray | None = None) -> Outcome:
    """The outcome of a fitted family: its draws, weighted where the weights can be used."""
    corrected = sample.good or sample.effective > ENOUGH * len(sample.rows)
    mean, covariance = sample.moments() if corrected else (sample.rows.mean(axis=0), np.cov(sample.rows.T))
    sd = np.sqrt(np.diag(np.atleast_2d(covariance)))
    return Outcome(
        method=fitted.method,
        parameters=task.guide.parameters.pack({GAUSSIAN: fitted.parameters}),
        values=target.values(sample.rows),
        log_weights=sample.log_weights if corrected else None,
        ratios=sample.log_ratios,
        khat=sample.khat,
        effective=sample.effective if corrected else float(len(sample.rows)),
        log_evidence=sample.log_evidence if sample.good and not fitted.problems else None,
        history=fitted.history,
        steps=target.evaluations,
        converged=fitted.converged,
        stopped=fitted.stopped,
        faults=merged(fitted.faults, runaways(task.guide, mean, sd)),
        problems=fitted.problems,
        notes=fitted.notes,
        bounds=bounds,
        rows=sample.rows,
        spent=target.spent,
    )
