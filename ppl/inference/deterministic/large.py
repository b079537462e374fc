"""Whitened mean field with more unknowns than Hessians at all draws are affordable for.

In the coordinates that the Hessian at the mode whitens a posterior is near a standard normal, so that independent
Gaussians there are near the best full-rank one; what linear response would add is left out.
"""

from __future__ import annotations

import numpy as np

from ppl.inference.deterministic.fixed_draws import FixedDraws, Whitening
from ppl.inference.deterministic.mean_field import LinearResponse, climbed, paired_draws
from ppl.inference.target import Target

LARGE = 400
"""Unknowns from which on it is done."""
FLAT = 0.1
"""Nats for a step of one sd: a slope of this size moves no mean by more than as many sds."""


def fit_large(target: Target, whitening: Whitening, rng: np.random.Generator, pairs: int) -> LinearResponse:
    """Mean field by L-BFGS on fixed draws; the Hessian stands for itself at the mode, with the new scales."""
    dim = target.dim
    objective = FixedDraws(target, whitening, paired_draws(rng, pairs, dim))
    eta = climbed(objective, objective.begin(), 1e-3, target.clock)
    value, slope = objective(eta)
    scale, factor = np.exp(eta[dim:]), whitening.factor
    rows, jitter = objective.at(eta)
    slopes = objective.scores(whitening.pull(target.gradient(rows)), jitter)[:, :dim]
    each = 0.5 * (slopes[:pairs] + slopes[pairs:])
    spread = factor * scale
    return LinearResponse(
        mean=whitening.rows(eta[None, :dim])[0],
        covariance=spread @ spread.T,
        raw_sd=whitening.sd(scale),
        mean_error=float(np.max(scale * each.std(axis=0, ddof=1)) / np.sqrt(pairs)),
        sound=bool(np.isfinite(value) and np.max(np.abs(slope), initial=0.0) < FLAT),
        elbo=-value + 0.5 * dim * np.log(2 * np.pi * np.e) + whitening.log_det,
        history=np.array(objective.history),
    )
