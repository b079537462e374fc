"""Bounds of several draws: Rényi's, and its special case of importance-weighted variational inference.

`L_K = 1 / (1 - alpha) * log mean_k w_k^(1 - alpha)` (Li and Turner 2016, Rényi divergence variational inference):
alpha = 0 is IWAE (Burda, Grosse and Salakhutdinov 2016), alpha -> 1 the ELBO. The gradient through draws is the
doubly reparameterised one (Tucker et al. 2019, DReG): with normalised weights v_k of `w_k^(1 - alpha)` draw k counts
`alpha v_k + (1 - alpha) v_k^2`, and the guide's density is held. Scored sites get the leave-one-out baseline of VIMCO
(Mnih and Rezende 2016).
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ppl.errors import InferenceError
from ppl.objectives.base import OBJECTIVES, Objective, ObjectiveKind, Weighting


def weigh(log_weights: np.ndarray, alpha: float) -> Weighting:
    """Weights of the bound of order `alpha`, for log weights (draws,)."""
    power, draws = 1.0 - alpha, len(log_weights)
    scaled = power * log_weights
    total = np.logaddexp.reduce(scaled)
    share = np.exp(scaled - total)
    value = (total - np.log(draws)) / power
    baseline = _without_each(scaled, draws) / power
    score = np.where(np.isfinite(baseline), value - baseline - share, 1.0)
    return Weighting(share, -share, alpha + power * share, score, float(value))


def _without_each(scaled: np.ndarray, draws: int) -> np.ndarray:
    """Log mean of the scaled weights with each one in turn replaced by the geometric mean of the others.

    Minus infinity where all others are impossible. The bound then is minus infinity too, on average, and `weigh` scores
    a possible draw 1: it is better than they are.
    """
    if draws < 2:
        return np.zeros(draws)
    replaced = np.tile(scaled, (draws, 1))
    np.fill_diagonal(replaced, 0.0)
    np.fill_diagonal(replaced, replaced.sum(axis=1) / (draws - 1))
    return np.logaddexp.reduce(replaced, axis=1) - np.log(draws)


def renyi(alpha: float = 0.5) -> Objective:
    """Raises InferenceError for an order that is negative or 1."""
    if not 0.0 <= alpha < 1.0:
        found = f"alpha is {alpha}"
        raise InferenceError.of("E703", None, found, "it is at least 0 (iwae) and below 1, where the bound is the ELBO")
    return Objective("renyi", held=True, weigh=partial(weigh, alpha=alpha))


OBJECTIVES.register(
    ObjectiveKind("renyi", "Rényi's bound of order alpha, from iwae at 0 to the elbo at 1.", renyi, {"alpha": 0.5})
)
OBJECTIVES.register(
    ObjectiveKind(
        "iwae",
        "The importance-weighted bound, which tightens with `gradient_draws`; doubly reparameterised gradients.",
        lambda: Objective("iwae", held=True, weigh=partial(weigh, alpha=0.0)),
    )
)
