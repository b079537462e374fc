"""Forward KL, `KL(p(z | x) || q(z))`, by self-normalised importance sampling. It covers mass; the ELBO seeks a mode.

The wake phase of reweighted wake-sleep (Bornschein and Bengio 2015): draws are held, the guide is moved towards those
with large weights, and learned parameters follow the gradient of the importance-weighted bound. Its gradient is
biased by the normalisation, of order 1 / draws.
"""

from __future__ import annotations

import numpy as np

from ppl.objectives.base import OBJECTIVES, Objective, ObjectiveKind, Weighting


def weigh(log_weights: np.ndarray) -> Weighting:
    """Self-normalised weights, for log weights (draws,); the value is the importance-weighted bound."""
    total = np.logaddexp.reduce(log_weights)
    share = np.exp(log_weights - total)
    return Weighting(share, share, np.zeros_like(share), share, float(total - np.log(len(share))))


OBJECTIVES.register(
    ObjectiveKind(
        "forward_kl",
        "Mass-covering: minimises KL(posterior || guide) by importance weights; its value is the iwae bound.",
        lambda: Objective("forward_kl", weigh=weigh, spread=2.0),
    )
)
