"""When a stage of a stochastic fit is over: by the ELBO, or by the parameters themselves.

Where every step sees all data the noise of the ELBO is that of a few draws, and means over windows of steps tell a
rise of a nat. Where a step sees a thousandth of the rows it is many thousands of nats; then a stage lasts until the
parameters' own paths look stationary, by R-hat of the two halves of the stage (Dhaka et al. 2020, Robust, accurate
stochastic optimization for variational inference), and the fit until their averages are known well enough.
"""

from __future__ import annotations

import numpy as np

from ppl.guides import Guide
from ppl.guides.base import GaussianGuide
from ppl.guides.derived import GAUSSIAN
from ppl.inference.chains.convergence import nested_rhat

PIECES = 10
"""Of a window, whose means are compared."""
WATCHED = 1000
"""Parameters, at most."""
STATIONARY, SHARE = 1.2, 0.9
"""R-hat that this share of the parameters must come down to."""
KNOWN, FEWEST = 0.05, 6
"""Errors of averages over windows at which a fit ends, and how many windows there are at least."""


def watched(guide: Guide) -> np.ndarray:
    """Places of the parameters that are looked at: not weights of networks, nor those of single rows."""
    plan = guide.plan
    networks = {param.name for param in plan.model.params if param.network}
    local = {name for name in guide.factors if plan.is_local(next(s for s in plan.factored if s.name == name))}
    places = [
        np.arange(entry.start, entry.stop)
        for entry in guide.parameters.entries
        if entry.name not in networks and entry.name.split(":")[0] not in local
    ]
    every = np.concatenate([np.zeros(0, int), *places])
    return every[np.unique(np.linspace(0, len(every) - 1, min(len(every), WATCHED)).astype(int))]


def stationary(pieces: np.ndarray) -> bool:
    """Whether means over pieces of a stage (pieces, parameters), its first half left out, no longer drift."""
    late = pieces[len(pieces) // 2 :]
    if len(late) < PIECES:
        return False
    moving = late.std(axis=0) > 0.0
    rhat = nested_rhat(late[:, None, moving], 1)
    return not moving.any() or bool(np.quantile(rhat, SHARE) < STATIONARY)


def known(means: list[np.ndarray], guide: Guide) -> bool | None:
    """Whether averages over windows agree so well that means and sds of the Gaussian block are known; None without one.

    Errors are told from the averages of the earlier and the later half of the windows, a mean's in units of the sd and
    those of log sds as they are. What one window has too much of the next one lacks where windows are whole rounds, so
    that errors fall faster than the spread of the windows would say.
    """
    family = guide.vector
    if not isinstance(family, GaussianGuide) or not guide.layout.size:
        return None
    if len(means) < FEWEST:
        return False
    blocks = [guide.parameters.unpack(np, each[: guide.parameters.size])[GAUSSIAN] for each in means]
    moments = [family.marginals(np, block) for block in blocks]
    locations, log_sds = np.array([mean for mean, _ in moments]), np.array([0.5 * np.log(v) for _, v in moments])
    return all(_error(rows) < KNOWN for rows in (locations / np.exp(log_sds[-1]), log_sds))


def _error(rows: np.ndarray) -> float:
    """Root mean square of half the difference between the averages of the halves of (windows, numbers)."""
    half = len(rows) // 2
    difference = rows[:half].mean(axis=0) - rows[len(rows) - half :].mean(axis=0)
    return 0.5 * float(np.sqrt(np.mean(difference**2)))
