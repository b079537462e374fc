"""Calibrations made by hand: ranks instead of fits."""

import numpy as np

from ppl.posterior.calibration import Calibration, Failure, Quantity
from ppl.posterior.calibration.refit import Refit

UNIFORM = np.random.default_rng(4).random((100, 1))


def ranked(places, draws=99, level="trusted", failures=0):
    """A calibration with these ranks (fits, quantities), as shares of the draws; means are at the ranks' normal z."""
    from scipy.special import ndtri

    ranks = np.floor(np.clip(places, 0.0, 1.0 - 1e-9) * (draws + 1)).astype(int)
    ones = np.ones(ranks.shape[1])
    names = tuple(Quantity("theta", f"theta[{i}]") for i in range(ranks.shape[1]))
    rng = np.random.default_rng(0)
    fits = [
        Refit(i, level, names, truth, row, truth - ndtri((row + 0.5) / (draws + 1)), ones, ones)
        for i, (row, truth) in enumerate(zip(ranks, rng.normal(size=ranks.shape) * 2.0, strict=True))
    ]
    return Calibration.of("made", [*fits, *[Failure(99, "E999 too bad")] * failures], draws, 0)
