"""How well the draws of a fit tell standard deviations, which heavy tails make uncertain long before the means are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

MUCH = 0.05
"""Relative uncertainty of a standard deviation from which on it is worth a word."""
MOST_NUMBERS = 5_000_000
"""Of one latent that are looked at; of more draws some are left out."""


def uncertain_sd(
    values: Mapping[str, np.ndarray], log_weights: np.ndarray | None, effective: float
) -> tuple[str, float] | None:
    """The element whose sd is least certain, and its relative standard error, where that is above `MUCH`.

    `values` are draws (draws, …) with their log weights (draws,), worth `effective` ones. A variance from n draws has
    the relative error sqrt((kurtosis - 1) / n), and the sd half of that.
    """
    worst, where = MUCH, ""
    for name, draws in values.items():
        if not np.issubdtype(draws.dtype, np.floating) or not draws.size:
            continue
        errors = 0.5 * np.sqrt(np.maximum(_kurtosis(draws, log_weights) - 1.0, 0.0) / max(effective, 1.0))
        place = np.unravel_index(int(np.argmax(errors)), errors.shape)
        if errors[place] > worst:
            worst, where = float(errors[place]), name + (f"[{', '.join(map(str, place))}]" if place else "")
    return (where, worst) if where else None


def _kurtosis(draws: np.ndarray, log_weights: np.ndarray | None) -> np.ndarray:
    """Of every element; 1 where it does not vary or is not finite."""
    stride = max(1, draws.size // MOST_NUMBERS)
    weights = np.ones(len(draws)) if log_weights is None else np.exp(log_weights)
    draws, weights = draws[::stride], weights[::stride] / weights[::stride].sum()
    with np.errstate(all="ignore"):
        centred = draws - np.tensordot(weights, draws, axes=1)
        square = centred * centred
        found = np.tensordot(weights, square * square, axes=1) / np.tensordot(weights, square, axes=1) ** 2
    return np.where(np.isfinite(found), found, 1.0)
