"""The evidence from posterior draws and draws of a Gaussian near it: bridge sampling (Meng and Wong 1996)."""

from __future__ import annotations

import numpy as np

_ROUNDS = 200


def bridge(posterior: np.ndarray, proposal: np.ndarray, effective: float) -> tuple[float, float]:
    """The log evidence and its relative error, from log p(x, z) - log q(z) at draws of each.

    `effective` is what the posterior draws are worth together. The error is that of Frühwirth-Schnatter (2004), inf
    where it cannot be told.
    """
    usable = np.isfinite(posterior)
    if not usable.all() or not np.isfinite(proposal).any():
        return -np.inf, np.inf
    middle = float(np.median(posterior))
    ours, theirs = np.exp(np.clip(posterior - middle, -700, 700)), np.exp(np.clip(proposal - middle, -700, 700))
    share = effective / (effective + len(proposal))
    constant = 1.0
    for _ in range(_ROUNDS):
        above = np.mean(theirs / (share * theirs + (1.0 - share) * constant))
        below = np.mean(1.0 / (share * ours + (1.0 - share) * constant))
        constant, last = float(above / below), constant
        if abs(constant / last - 1.0) < 1e-10:
            break
    near = theirs / constant / (share * theirs / constant + (1.0 - share))
    far = 1.0 / (share * ours / constant + (1.0 - share))
    error = near.var() / near.mean() ** 2 / len(proposal) + far.var() / far.mean() ** 2 / effective
    return middle + float(np.log(constant)), float(np.sqrt(error)) if np.isfinite(error) else np.inf
